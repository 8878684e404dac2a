"""Confirmation of the best trials with other seeds, and how certain the best is."""
