"""Sweeps on several nodes: real ones of Ray, on this machine."""
