"""Tracking: send a study's runs to MLflow and Weights & Biases."""
