"""A table in, a picture or a page out. Imports neither the exchange nor assets, and no warehouse but its layout."""
