"""The map against reported liquidations: reads their files, aligns them, scores, writes the report.

Not here: the arithmetic of scores (`model`), or checks of our own tables (`transform.rules`).
"""
