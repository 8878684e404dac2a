"""Findings of a study: the best trial, its gain, its cost, and what to try next."""
