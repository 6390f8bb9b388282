"""Dagster assets, one module per group: name, describe, call one function of `transform`, return metadata.

Not here: the work itself (`transform`).
"""
