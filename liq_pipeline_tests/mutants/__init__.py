"""Mutants: small faults in the package, one at a time; the tests must notice each."""
