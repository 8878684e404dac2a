"""The model of a trial: base model, adapter, and how they are run."""
