"""Confirm the best trials with other seeds and estimate the certainty of the result."""
