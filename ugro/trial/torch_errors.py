"""Translate torch's errors for exhausted memory and disk into Python's built-in exceptions."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

MEMORY = "can't allocate memory"  # of DefaultCPUAllocator
DISK = ("PytorchStreamWriter failed writing", "unexpected pos", os.strerror(errno.ENOSPC))


@contextmanager
def named() -> Iterator[None]:
    """Translate torch's errors inside the block.

    Raises:
        MemoryError: GPU or host memory is exhausted.
        OSError: a file could not be written.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(_first_line(error)) from error
    except RuntimeError as error:
        if MEMORY in str(error):
            raise MemoryError(_first_line(error)) from error
        if any(said in str(error) for said in DISK):
            raise OSError(errno.ENOSPC, _first_line(error)) from error
        raise


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
