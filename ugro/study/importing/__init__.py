"""Import of other programs' trials as a study: read, rename, write."""
