"""Peer methods, configured as documented, on the clock of simulated sweeps."""
