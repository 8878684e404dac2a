"""Query the hardware of a trial: device, precision, threads, memory."""

import logging
import os
import resource
import sys
from pathlib import Path

import torch
from transformers import TrainingArguments

from ugro.config import Dtype
from ugro.errors import UserError, fault

log = logging.getLogger(__name__)

MIB = 2**20


def device() -> torch.device:
    """Return the available accelerator of torch's build, else the CPU."""
    there = torch.accelerator.current_accelerator(check_available=True)
    return torch.device(there.type) if there else torch.device("cpu")


def device_name() -> str:
    """Return the GPU's model name, else the device type."""
    current = device()
    return torch.cuda.get_device_name(current) if current.type == "cuda" else current.type


def on_one_device(arguments: TrainingArguments) -> TrainingArguments:
    """Restrict transformers' Trainer to one GPU.

    It would otherwise wrap the model into ``nn.DataParallel`` and multiply the batch size.
    transformers does the same for a model that spans several GPUs.
    """
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments


def vector_instructions() -> str:
    """Return torch's CPU vector instructions or CUDA version, which affect rounding."""
    if device().type == "cuda":
        return f"CUDA {torch.version.cuda}"
    return str(torch.backends.cpu.get_cpu_capability())


def threads() -> int:
    """Return the number of threads that torch uses."""
    return torch.get_num_threads()


def precision(dtype: Dtype) -> torch.dtype:
    """Return the dtype of base weights and matrix products.

    Raises:
        UserError: the device does not support the configured dtype.
    """
    device_type = device().type
    match dtype:
        case Dtype.fp32:
            return torch.float32
        case Dtype.bf16 if device_type == "mps" and not torch.backends.mps.is_macos_or_newer(14, 0):
            raise UserError(fault("training.dtype", "bf16", "auto, fp32 or fp16 before macOS 14"))
        case Dtype.bf16:
            return torch.bfloat16
        case Dtype.fp16 if device_type == "cpu":
            raise UserError(fault("training.dtype", "fp16", "auto, fp32 or bf16 without a GPU"))
        case Dtype.fp16:
            return torch.float16
    return _best_precision(device_type)


def _best_precision(device_type: str) -> torch.dtype:
    """Return bfloat16 only with hardware support: a T4 emulates it, many times slower."""
    match device_type:
        case "cuda":
            real = torch.cuda.is_bf16_supported(including_emulation=False)
            return torch.bfloat16 if real else torch.float16
        case "xpu":
            return torch.bfloat16 if torch.xpu.is_bf16_supported() else torch.float16
        case _:  # on most CPUs autocast is slower than float32; Metal before M3 emulates bfloat16
            return torch.float32


def use_allotted_threads() -> None:
    """Set torch's thread count to the allotted one.

    torch reads ``OMP_NUM_THREADS`` only at import, but Ray sets it per task, and a warm worker may
    be reused with another value.
    """
    torch.set_num_threads(allotted_threads())


def allotted_threads() -> int:
    """Return the number of threads by ``OMP_NUM_THREADS``, else the number of CPUs.

    OpenMP allows a list with a value per nesting level; the first is used. An invalid value is
    logged, and all CPUs are used.
    """
    allotted = os.environ.get("OMP_NUM_THREADS", "").strip()
    first = allotted.partition(",")[0].strip()
    if first.isdecimal() and int(first) > 0:
        return int(first)
    if allotted:
        allowed = f"1 or more; all {cpus()} CPUs are used"
        log.warning(fault("OMP_NUM_THREADS", allotted, allowed))
    return cpus()


def reset_peak_memory() -> None:
    """Start a new measurement of :func:`peak_memory_mb`."""
    for gpu in range(torch.cuda.device_count()):
        torch.cuda.reset_peak_memory_stats(gpu)
    clear_refs = Path("/proc/self/clear_refs")
    if os.access(clear_refs, os.W_OK):
        clear_refs.write_text("5")  # resets VmHWM, see proc(5)


def peak_memory_mb() -> float:
    """Return the peak memory since the reset in MiB: of all GPUs, or without one of the process.

    Outside Linux, where the kernel cannot reset it, the peak of the process's lifetime is returned.
    """
    if torch.cuda.is_available():
        gpus = range(torch.cuda.device_count())
        return sum(torch.cuda.max_memory_allocated(gpu) for gpu in gpus) / MIB
    if device().type == "mps":  # its memory pool does not shrink
        return torch.mps.driver_allocated_memory() / MIB
    status = Path("/proc/self/status")
    if status.exists():
        peaks = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        if peaks:
            return int(peaks[0].split()[1]) / 1024
    lifetime = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return lifetime / (MIB if sys.platform == "darwin" else 1024)


def total_memory(spread: bool = False) -> int:
    """Return the total memory in bytes: of the GPU if present, else of the machine or container.

    Args:
        spread: count all GPUs of this process
    """
    if torch.cuda.is_available():
        gpus = range(torch.cuda.device_count() if spread else 1)
        return sum(int(torch.cuda.mem_get_info(gpu)[1]) for gpu in gpus)
    if device().type == "mps":
        return int(torch.mps.recommended_max_memory())
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    allowed = limit.read_text().strip() if limit.exists() else "max"
    return min(physical, int(allowed)) if allowed.isdigit() else physical


def memory_in_use() -> int:
    """Return the memory in use in bytes, of the kind that :func:`total_memory` counts."""
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return int(total - free)  # includes other processes: a trial cannot use their memory
    if device().type == "mps":
        return int(torch.mps.driver_allocated_memory())
    statm = Path("/proc/self/statm")
    pages = int(statm.read_text().split()[1]) if statm.exists() else 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpus() -> int:
    """Return the number of CPUs of this machine."""
    return os.cpu_count() or 1
