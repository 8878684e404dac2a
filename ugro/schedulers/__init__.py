"""Early stopping: per-trial stoppers, and the trial schedulers that Ray Tune lacks."""
