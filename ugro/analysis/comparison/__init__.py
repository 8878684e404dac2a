"""Comparison of several studies."""
