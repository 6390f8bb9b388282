"""Table to table: each step from what the exchange gave to what is published, and the rules that guard the steps.

Not here: the mathematics (`model`), or when and in which order steps run (`orchestration`).
"""
