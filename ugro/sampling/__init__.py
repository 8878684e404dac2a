"""Sampler: what Optuna's samplers propose, and what they are given."""
