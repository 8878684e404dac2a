"""Benchmark sweeps on recorded and synthetic learning curves with a simulated clock."""
