"""One module per kind of input. Each offers `targets(workspace)`; a new module is found by itself."""
