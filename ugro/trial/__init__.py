"""What happens inside one trial: base model, adapter, data, training. No Optuna, Ray or MLflow."""
