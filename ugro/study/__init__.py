"""A study's record in an Optuna storage, and its consistency with the event log."""
