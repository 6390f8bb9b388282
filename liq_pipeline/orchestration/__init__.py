"""The only room that knows Dagster: assets, checks, schedules, sensors, jobs, runs, and its UI.

Not here: what a step does (`transform`). A step that can be described without Dagster belongs there.
"""
