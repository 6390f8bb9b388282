"""Asset checks: statements that hold when they pass. One module per kind, one function per rule."""
