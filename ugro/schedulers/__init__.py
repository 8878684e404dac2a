"""Which trials go on? Referee, stoppers and the trial schedulers that Ray Tune does not have."""
