"""Find what the hardware gives a trial: device, precision, threads, and the memory it used."""

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
    """The accelerator that is there, whatever torch was built for, else the CPU."""
    there = torch.accelerator.current_accelerator(check_available=True)
    return torch.device(there.type) if there else torch.device("cpu")


def device_name() -> str:
    """The GPU's model, else the kind of device."""
    found = device()
    return torch.cuda.get_device_name(found) if found.type == "cuda" else found.type


def on_one_device(arguments: TrainingArguments) -> TrainingArguments:
    """Keep transformers' Trainer on one GPU, however many the process sees.

    It would wrap the model into ``nn.DataParallel`` and train that many times the batch. This is
    what it does itself for a model that lies across several GPUs.
    """
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments


def instructions() -> str:
    """The CPU's vector instructions that torch uses, or its CUDA: sums depend on it."""
    if device().type == "cuda":
        return f"CUDA {torch.version.cuda}"
    return str(torch.backends.cpu.get_cpu_capability())


def threads() -> int:
    """The threads that torch uses."""
    return torch.get_num_threads()


def precision(wanted: Dtype) -> torch.dtype:
    """The type of the base model's weights and of the matrix products.

    Raises:
        UserError: the device cannot train in what was asked for.
    """
    found = device().type
    match wanted:
        case Dtype.fp32:
            return torch.float32
        case Dtype.bf16 if found == "mps" and not torch.backends.mps.is_macos_or_newer(14, 0):
            raise UserError(fault("training.dtype", "bf16", "auto, fp32 or fp16 before macOS 14"))
        case Dtype.bf16:
            return torch.bfloat16
        case Dtype.fp16 if found == "cpu":
            raise UserError(fault("training.dtype", "fp16", "auto, fp32 or bf16 without a GPU"))
        case Dtype.fp16:
            return torch.float16
    return _best_precision(found)


def _best_precision(device_type: str) -> torch.dtype:
    """bfloat16 only where the hardware computes in it: a T4 emulates it, many times slower."""
    match device_type:
        case "cuda":
            real = torch.cuda.is_bf16_supported(including_emulation=False)
            return torch.bfloat16 if real else torch.float16
        case "xpu":
            return torch.bfloat16 if torch.xpu.is_bf16_supported() else torch.float16
        case _:  # on most CPUs autocast is slower than float32; Metal emulates bfloat16 up to M2
            return torch.float32


def use_allotted_threads() -> None:
    """Use as many torch threads as ``OMP_NUM_THREADS`` says.

    torch reads the variable once, at import; a warm worker may be given another number later. Ray
    sets it to a task's CPUs before the task begins. OpenMP allows a list, a number for each level
    of nesting: the first counts. What is no number of threads is told, and all CPUs are used.
    """
    allotted = os.environ.get("OMP_NUM_THREADS", "").strip()
    first = allotted.partition(",")[0].strip()
    if first.isdecimal() and int(first) > 0:
        torch.set_num_threads(int(first))
        return
    if allotted:
        allowed = f"1 or more; all {cpus()} CPUs are used"
        log.warning(fault("OMP_NUM_THREADS", allotted, allowed))
    torch.set_num_threads(cpus())


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
    if device().type == "mps":  # its pool keeps what it once took
        return torch.mps.driver_allocated_memory() / MIB
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
    if device().type == "mps":
        return int(torch.mps.recommended_max_memory())
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    allowed = limit.read_text().strip() if limit.exists() else "max"
    return min(whole, int(allowed)) if allowed.isdigit() else whole


def memory_in_use() -> int:
    """Bytes that this process takes now, of the kind that :func:`memory` counts."""
    if torch.cuda.is_available():
        free, whole = torch.cuda.mem_get_info()
        return int(whole - free)  # others' included: a trial cannot have theirs
    if device().type == "mps":
        return int(torch.mps.driver_allocated_memory())
    statm = Path("/proc/self/statm")
    pages = int(statm.read_text().split()[1]) if statm.exists() else 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpus() -> int:
    """The CPUs of this machine."""
    return os.cpu_count() or 1
