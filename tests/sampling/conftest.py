"""Search spaces as a sweep sees them."""

from ..spaces import feasible

__all__ = ["feasible"]
