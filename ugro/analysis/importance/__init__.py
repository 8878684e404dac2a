"""Estimate the importance of the searched keys."""
