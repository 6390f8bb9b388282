"""The contract with readers: where published files lie, their columns, how they are replaced and read, their age.

Not here: what goes into them (`transform.datasets`), or how they are drawn (`views`).
"""
