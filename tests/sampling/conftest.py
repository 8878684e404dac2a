"""Fixtures: search spaces."""

from ..spaces import feasible

__all__ = ["feasible"]
