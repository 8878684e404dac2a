"""Objectives, constraints, and the expressions they are written in."""
