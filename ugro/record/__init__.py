"""What is known of a study? Its record in an Optuna storage."""
