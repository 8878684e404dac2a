"""Freeze-thaw scheduling: a model of learning curves decides which trials run."""
