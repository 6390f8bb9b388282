"""A simulated exchange: it trades, liquidates and publishes an archive in the real layout, and it knows the truth.

Not here: anything that real data passes through. Only `cli` and tests use it.
"""
