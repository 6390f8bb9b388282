"""Hostile input for every parser: `make fuzz MINUTES=10`. See `harness`."""
