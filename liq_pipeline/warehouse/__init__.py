"""DuckDB, and the published files: connects, runs SQL, writes atomically."""
