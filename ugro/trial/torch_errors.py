"""Translate torch's errors for exhausted memory and disk into Python's built-in exceptions."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

OUT_OF_MEMORY = "can't allocate memory"  # of DefaultCPUAllocator
DISK_FULL = ("PytorchStreamWriter failed writing", "unexpected pos", os.strerror(errno.ENOSPC))


@contextmanager
def translated() -> Iterator[None]:
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
        if OUT_OF_MEMORY in str(error):
            raise MemoryError(_first_line(error)) from error
        if any(said in str(error) for said in DISK_FULL):
            raise OSError(errno.ENOSPC, _first_line(error)) from error
        raise


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
