"""UGRO finds the best LoRA hyperparameters for a language model."""
