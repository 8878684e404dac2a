"""A real PostgreSQL server for the faults."""

from ..stores import postgresql

__all__ = ["postgresql"]
