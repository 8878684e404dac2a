"""Train one trial in several processes, each with its own GPU."""
