"""Locate a metric function's source without importing it.

A user's function must not run in the driver, and importing its module would.
"""

import hashlib
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path


def search_path() -> list[str]:
    """Return where metric functions are searched: the working folder, then Python's path."""
    return list(dict.fromkeys([os.getcwd(), *filter(None, sys.path)]))


def module_spec(function: str) -> ModuleSpec | None:
    """Return the module of a dotted function name; None if it does not exist.

    Args:
        function: dotted name, ``my_package.my_module.my_function``
    """
    *modules, _ = function.split(".")
    found, path = None, search_path()
    for depth in range(1, len(modules) + 1):
        found = PathFinder.find_spec(".".join(modules[:depth]), path)
        if found is None:
            return None
        path = list(found.submodule_search_locations or [])
    return found


def source_digest(function: str) -> str:
    """Return a digest of the file that defines the function, with its name."""
    spec = module_spec(function)
    digest = hashlib.blake2b(function.encode(), digest_size=8)
    if spec is not None and spec.origin is not None and Path(spec.origin).is_file():
        digest.update(Path(spec.origin).read_bytes())
    return digest.hexdigest()
