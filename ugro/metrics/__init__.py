"""Metrics of generated answers and token scores: ready-made functions and the user's own."""
