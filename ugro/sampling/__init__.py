"""Sampling: proposals by Optuna's samplers, and the view of the study that they learn from."""
