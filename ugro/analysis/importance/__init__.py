"""Importance of the searched keys."""
