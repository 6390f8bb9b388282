"""Dagster assets, thin: read inputs, call one function, write, return metadata. One module per group."""
