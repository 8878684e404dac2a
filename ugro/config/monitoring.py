"""What may be configured of monitoring: who is told, while a sweep runs, how it does."""

from dataclasses import dataclass

from omegaconf import MISSING


@dataclass
class PrometheusConfig:
    """Where a Prometheus server finds the study's figures."""

    host: str = MISSING
    port: int = MISSING


@dataclass
class MonitoringConfig:
    """Each kind of monitoring; null: not there."""

    prometheus: PrometheusConfig | None = None
