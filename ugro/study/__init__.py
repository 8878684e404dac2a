"""Record of a study in an Optuna storage, and its consistency with the folder and the event log."""
