"""A real Prometheus scrapes a real sweep."""

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..faults.sweeps import SPACE, TWO_SLOTS, Sweep, wait_for
from ..stores import free_port

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="Prometheus is not installed"
)
Query = Callable[[str], list[float]]


@pytest.fixture
def scraped(tmp_path: Path) -> int:
    """The port that the sweep is to serve on."""
    return free_port()


@pytest.fixture
def query(tmp_path: Path, scraped: int) -> Iterator[Query]:
    """``query("ugro_slots")``: the values that Prometheus answers."""
    port, config = free_port(), tmp_path / "prometheus.yml"
    job = {"job_name": "ugro", "static_configs": [{"targets": [f"127.0.0.1:{scraped}"]}]}
    often = {"scrape_interval": "200ms", "scrape_timeout": "200ms"}
    config.write_text(json.dumps({"global": often, "scrape_configs": [job]}))  # JSON is YAML
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]

    def _query(what: str) -> list[float]:
        url = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': what})}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            result = json.load(answer)["data"]["result"]
        return [float(one["value"][1]) for one in result]

    def is_up() -> bool:
        try:
            return _query("vector(1)") == [1.0]
        except OSError:
            return False

    with (tmp_path / "prometheus.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(is_up, 30)
        yield _query
    finally:
        server.kill()
        server.wait()


@pytest.mark.long
def test_prometheus_answers_with_the_sweeps_figures(
    tmp_path: Path, scraped: int, query: Query
) -> None:
    gate = tmp_path / "gate"
    overrides = [
        SPACE,
        "study.name=s",
        *TWO_SLOTS,
        "hydra.sweeper.n_trials=4",
        "monitoring=prometheus",
        f"monitoring.prometheus.port={scraped}",
    ]
    with Sweep(tmp_path, overrides, {"steps": 3, "gate": str(gate)}) as sweep:
        wait_for(lambda: query("ugro_reports_total") == [6.0])  # steps 0 to 2 of two trials
        assert query("ugro_slots") == [2.0]
        assert query("ugro_trials_running") == [2.0]
        assert query("ugro_trials_waiting") == [2.0]
        assert query("ugro_tokens_total") == [400.0]  # two trials, two steps of 100
        assert query('ugro_study_info{study="s"}') == [1.0]
        gate.touch()
        assert sweep.ends() == 0, sweep.output()
    said = f"Metrics for Prometheus: http://127.0.0.1:{scraped}/metrics"
    assert said in sweep.output()
