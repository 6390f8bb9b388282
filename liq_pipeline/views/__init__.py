"""A published table in, a picture, page or export out.

Not here: serving them over HTTP (`server`), or lines in a terminal (`cli.console`).
"""
