"""Find impossible values of a configuration, and say all of them together."""
