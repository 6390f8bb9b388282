"""DuckDB: a file per symbol. `sql/` declares tables; `sql/queries/` makes and reads rows (`oi_delta.sql`: gaps filled).

Not here: what is computed from rows (`transform`), or files that others read (`published`).
"""
