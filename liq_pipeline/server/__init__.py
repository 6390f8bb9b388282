"""A read-only service over the published files. It never opens the warehouse and computes no level."""
