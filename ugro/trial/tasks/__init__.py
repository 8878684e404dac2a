"""What a model is trained for: the loss of a batch and the evaluation of held-out examples."""
