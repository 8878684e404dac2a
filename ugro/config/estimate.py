"""Schema of what a preflight estimates for."""

from dataclasses import dataclass


@dataclass
class EstimateConfig:
    """The hardware that a preflight estimates for."""

    gpu_memory_gb: float | None = None
    """Memory of a GPU that need not be in this machine, for study.preflight=true; null: the
    preflight checks this machine. [10^9 bytes]"""
