"""Sweeps over recorded and made-up learning curves: whole studies in less than a second."""
