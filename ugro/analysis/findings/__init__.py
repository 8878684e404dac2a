"""Derive the findings of a study: best trial, gain, certainty, cost, advice, and answers."""
