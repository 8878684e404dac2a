"""Tracking: send the runs of a study to MLflow and Weights & Biases."""
