"""Pure maths on arrays: no I/O, no Dagster, no DuckDB, no clock."""
