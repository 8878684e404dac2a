"""Sweeps on several nodes: real Ray nodes on this machine."""
