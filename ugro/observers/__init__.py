"""Observers of a study: event log, console, live display, Prometheus and checkpoint cleanup."""
