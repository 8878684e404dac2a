"""Executors: run trials in this process, on Ray, or on a simulated clock."""
