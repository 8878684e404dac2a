"""What does the hardware give a trial? Device, precision, threads, and the memory it used."""

import os
import resource
import sys
from pathlib import Path

import torch

from ugro.config import Dtype
from ugro.errors import UserError, fault

MIB = 2**20


def device() -> torch.device:
    """The first accelerator that this process may use, else the CPU."""
    return torch.accelerator.current_accelerator() or torch.device("cpu")


def device_name() -> str:
    """The GPU's model, else cpu."""
    found = device()
    return torch.cuda.get_device_name(found) if found.type == "cuda" else found.type


def instructions() -> str:
    """Which of the CPU's vector instructions torch uses, or which CUDA: sums depend on it."""
    if device().type == "cuda":
        return f"CUDA {torch.version.cuda}"
    return str(torch.backends.cpu.get_cpu_capability())


def threads() -> int:
    """How many torch uses."""
    return torch.get_num_threads()


def precision(wanted: Dtype) -> torch.dtype:
    """The type of the base model's weights and of the matrix products.

    Raises:
        UserError: fp16 was asked for on a CPU, which cannot train in it.
    """
    on_cuda = torch.cuda.is_available()
    match wanted:
        case Dtype.fp32:
            return torch.float32
        case Dtype.bf16:
            return torch.bfloat16
        case Dtype.fp16 if not on_cuda:
            raise UserError(fault("training.dtype", "fp16", "auto, fp32 or bf16 without a GPU"))
        case Dtype.fp16:
            return torch.float16
    if not on_cuda:  # bfloat16 autocast is slower than float32 on most CPUs
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def use_allotted_threads() -> None:
    """Use as many torch threads as ``OMP_NUM_THREADS`` says.

    torch reads the variable once, at import; a warm worker may be given another number later. Ray
    sets it to a task's CPUs before the task begins.
    """
    allotted = os.environ.get("OMP_NUM_THREADS")
    torch.set_num_threads(int(allotted) if allotted else os.cpu_count() or 1)


def reset_peak_memory() -> None:
    """Begin a new measurement of :func:`peak_memory_mb`."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    clear_refs = Path("/proc/self/clear_refs")
    if os.access(clear_refs, os.W_OK):
        clear_refs.write_text("5")  # resets VmHWM, see proc(5)


def peak_memory_mb() -> float:
    """Highest memory in MiB since the reset: of the GPU where there is one, else of the process.

    Where the kernel cannot reset it (outside Linux), the process's peak is that of its lifetime.
    """
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / MIB
    status = Path("/proc/self/status")
    if status.exists():
        peaks = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        if peaks:
            return int(peaks[0].split()[1]) / 1024
    lifetime = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return lifetime / (MIB if sys.platform == "darwin" else 1024)


def memory() -> int:
    """Bytes that there are: of the GPU where there is one, else of the machine or its container."""
    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[1])
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    allowed = limit.read_text().strip() if limit.exists() else "max"
    return min(whole, int(allowed)) if allowed.isdigit() else whole


def memory_in_use() -> int:
    """Bytes that this process takes now, of the kind that :func:`memory` counts."""
    if torch.cuda.is_available():
        free, whole = torch.cuda.mem_get_info()
        return int(whole - free)  # others' included: a trial cannot have theirs
    statm = Path("/proc/self/statm")
    pages = int(statm.read_text().split()[1]) if statm.exists() else 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpus() -> int:
    """How many the machine has."""
    return os.cpu_count() or 1
