"""Early stopping: stoppers, and the trial schedulers that Ray Tune does not have."""
