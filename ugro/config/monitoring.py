"""Schema of monitoring: metrics of a running sweep."""

from dataclasses import dataclass

from omegaconf import MISSING


@dataclass
class PrometheusConfig:
    """The endpoint that a Prometheus server scrapes."""

    host: str = MISSING
    """Address to listen on; 0.0.0.0 allows other machines."""

    port: int = MISSING
    """Port to listen on; 0: any free port, which the log states."""


@dataclass
class MonitoringConfig:
    """The monitoring of a study; null: not used."""

    prometheus: PrometheusConfig | None = None
    """Prometheus endpoint; null: none."""
