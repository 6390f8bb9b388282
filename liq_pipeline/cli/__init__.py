"""The `liq` command: options in, lines out, exit codes.

Not here: what a command does; each calls one function of another room.
"""
