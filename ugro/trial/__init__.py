"""Run a single trial: base model, adapter, data, training. Imports no Optuna, Ray or MLflow."""
