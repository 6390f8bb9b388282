"""Measures the map against reported liquidations: reads files, scores, writes the report. Knows no Dagster."""
