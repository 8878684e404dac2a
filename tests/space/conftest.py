"""Search spaces as a sweep sees them, for every test here."""

from ..spaces import feasible

__all__ = ["feasible"]
