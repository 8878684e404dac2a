"""A real PostgreSQL server for the fault tests."""

from ..stores import postgresql

__all__ = ["postgresql"]
