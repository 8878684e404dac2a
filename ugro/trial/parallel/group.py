"""What the processes of a trial exchange; a trial in a single process exchanges nothing.

All processes run the same trial in lockstep: they share out rows and put together what they
computed, so that each decides the same at every point.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn

from ugro.config import TrainingConfig
from ugro.config.parallel import BatchShare, batch_share

T = TypeVar("T")
TIMEOUT = timedelta(days=1)  # a metric of the first process may take long; who waits is not lost


def join(rank: int, size: int, rendezvous: Path) -> None:
    """Join the group of a trial's processes.

    Args:
        rank: number of this process
        size: number of processes
        rendezvous: new file that all processes can reach
    """
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(
        backend, f"file://{rendezvous}", rank=rank, world_size=size, timeout=TIMEOUT
    )


def size() -> int:
    """Return the number of processes of the trial."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Return the number of this process; the first writes the trial's files."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def own_share(training: TrainingConfig) -> BatchShare:
    """Return a process's share of the rows of a step.

    Raises:
        UserError: the processes would get different numbers of rows.
    """
    return batch_share(training, size())


def from_first(compute: Callable[[], T]) -> T:
    """Compute a value in the first process, and return it in all."""
    if size() == 1:
        return compute()
    value: list[Any] = [compute() if rank() == 0 else None]
    distributed.broadcast_object_list(value, src=0, device=torch.device("cpu"))
    return value[0]  # type: ignore[no-any-return]


def summed(value: Tensor) -> Tensor:
    """Replace a value by the sum of the processes' values; return it."""
    if size() > 1:
        distributed.all_reduce(value)
    return value


def copy_from_first(parameters: Iterable[nn.Parameter]) -> None:
    """Overwrite the trained parameters with those of the first process."""
    if size() > 1:
        for parameter in parameters:
            if parameter.requires_grad:
                distributed.broadcast(parameter.data, src=0)


def gathered(value: T) -> list[T]:
    """Return the values of all processes, in their order."""
    values: list[Any] = [value] * size()
    if size() > 1:
        distributed.all_gather_object(values, value)
    return values


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace the gradients by their sums over the processes, in a single exchange.

    A parameter without gradient in this process may have one in another.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    used = torch.tensor([float(p.grad is not None) for p in trained])
    distributed.all_reduce(used)
    trained = [parameter for parameter, count in zip(trained, used, strict=True) if count]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    parts = torch.split(flat, [gradient.numel() for gradient in gradients])
    for parameter, gradient, part in zip(trained, gradients, parts, strict=True):
        parameter.grad = part.view_as(gradient)


def share(rows: Sequence[T]) -> list[T]:
    """Return this process's rows, as many as every other's; the last may occur in several."""
    own = list(rows[rank() :: size()])
    return own if len(own) == -(-len(rows) // size()) else [*own, rows[-1]]


def merged(computed: NDArray[np.bool_], *arrays: NDArray[Any]) -> list[NDArray[np.float64]]:
    """Return arrays with the values that any process computed; several computed the same.

    Args:
        computed: which values this process computed, [values]
        arrays: zero where it did not, [values] each
    """
    stacked = np.stack([computed, *arrays]).astype(np.float64)
    if size() > 1:
        distributed.all_reduce(torch.from_numpy(stacked))
    count, *totals = stacked
    return [total / np.maximum(count, 1) for total in totals]


def copy_of_first(folder: Path) -> None:
    """Copy the first process's folder, which may not exist, to this process's folder."""
    source = from_first(lambda: folder)
    if source != folder and source.is_dir():
        shutil.copytree(source, folder)
    wait_for_all()


def wait_for_all() -> None:
    """Go on when all processes have come here."""
    summed(torch.zeros(1))
