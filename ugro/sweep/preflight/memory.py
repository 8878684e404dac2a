"""Compare the estimated memory of trials with a machine, a GPU of it, or a GPU elsewhere."""

from collections.abc import Mapping

from omegaconf import DictConfig

from ugro.errors import UserError
from ugro.executors.executor import Executor
from ugro.formatting import binary_size, counted, decimal_size

PARTS = {
    "weights": "weights",
    "gradients and optimizer": "states",
    "activations": "activations",
    "the process": "process",
}
SMALLER = (
    "a smaller training.batch_size, training.eval_batch_size or data.block_size,"
    " training.gradient_checkpointing=true, quantization=bnb_nf4 or a smaller model"
)


def concurrent(trial: DictConfig, executor: Executor) -> int:
    """Return the number of trials that run concurrently."""
    n_jobs = trial.hydra.sweeper.n_jobs
    return int(executor.count() if n_jobs == "auto" else min(n_jobs, executor.count()))


def sharing_memory(trial: DictConfig, parallel: int, estimate: Mapping[str, float]) -> int:
    """Return the number of trials that share the memory of a device or machine.

    Args:
        trial: configuration of a trial, ``hydra`` included
        parallel: number of trials that run concurrently
        estimate: estimate of a trial
    """
    ray = trial.hydra.launcher.get("ray", {})
    remote = ray.get("remote", {})
    if estimate["on_gpu"]:
        return max(1, int(1 / remote.num_gpus)) if remote and remote.num_gpus else 1
    if not remote or ray.init.get("address") == "local":
        return parallel
    return max(1, min(parallel, int(estimate["cpus"] / (remote.num_cpus or 1))))


def fits_machine(estimate: Mapping[str, float], sharing: int) -> str:
    """Describe how trials fit this machine or its GPU.

    Args:
        estimate: estimate of a trial and of the machine that made it, bytes
        sharing: number of trials that share the memory

    Raises:
        UserError: they do not fit.
    """
    parts = ", ".join(f"{name} {binary_size(estimate[key])}" for name, key in PARTS.items())
    where = "the GPU" if estimate["on_gpu"] else "the machine"
    needs = f"about {binary_size(estimate['memory'])} a trial ({parts})"
    total = binary_size(estimate["total_memory"])
    has = f"{where} has {total} for {counted(sharing, 'trial')} at once"
    if estimate["memory"] * sharing > estimate["total_memory"]:
        fewer = "fewer at once (hydra.sweeper.n_jobs), " if sharing > 1 else ""
        raise UserError(f"{needs}; {has}: {fewer}{SMALLER}")
    return f"{needs}; {has}"


def fits_gpu(estimate: Mapping[str, float], sharing: int, gpu_memory_gb: float) -> str:
    """Describe how a trial fits a GPU that need not be in this machine.

    Args:
        estimate: estimate of a trial, bytes
        sharing: number of trials that share the GPU
        gpu_memory_gb: memory of the GPU, 10^9 bytes

    Raises:
        UserError: it does not fit.
    """
    has = estimate["total_memory"] / sharing
    free = has - estimate["memory"]
    size = f"{gpu_memory_gb:g} GB"
    if sharing > 1:
        size = f"{decimal_size(has)}, 1/{sharing} of {size} (hydra.launcher.ray.remote.num_gpus)"
    parts = ", ".join(f"{name} {decimal_size(estimate[key])}" for name, key in PARTS.items())
    needs = f"{decimal_size(estimate['memory'])} estimated"
    if free < 0:
        lacks = f"{needs}, {decimal_size(-free)} too much ({parts})"
        raise UserError(f"does not fit {size}: {lacks}: {SMALLER}")
    return f"fits {size}: {needs}, {decimal_size(free)} free ({parts})"
