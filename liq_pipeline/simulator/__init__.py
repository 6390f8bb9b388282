"""A simulated exchange: it trades, liquidates and publishes an archive in the real layout, and it knows the truth."""
