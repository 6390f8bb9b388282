"""The outside world: the exchange's archive and its file formats. Knows HTTP; knows neither Dagster nor DuckDB."""
