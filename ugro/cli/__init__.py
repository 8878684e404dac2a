"""Commands: analyze, compare, reproduce, audit, backup, track."""
