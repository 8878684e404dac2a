"""Dashboard, alerts, scrape configuration: checked by Prometheus' own tool and by names."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from ugro.observers.prometheus import Metrics

from ..conftest import ROOT

FOLDER = ROOT / "deploy" / "monitoring"


def served() -> set[str]:
    """Every figure's name, as an observer serves it."""
    registry = CollectorRegistry()
    Metrics(registry)
    return set(re.findall(r"^# TYPE (ugro_\w+)", generate_latest(registry).decode(), re.MULTILINE))


@pytest.mark.parametrize("name", ["alerts.yml", "grafana-dashboard.json"])
def test_what_is_asked_for_is_served(name: str) -> None:
    asked = set(re.findall(r"\bugro_\w+", (FOLDER / name).read_text()))
    families = {re.sub(r"_(bucket|sum|count)$", "", one) for one in asked}
    assert families
    assert families <= served()


def test_the_dashboard_has_a_query_in_each_panel_and_none_overlaps() -> None:
    panels = json.loads((FOLDER / "grafana-dashboard.json").read_text())["panels"]
    assert all(target["expr"] for panel in panels for target in panel["targets"])
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24  # Grafana's grid


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize(("kind", "name"), [("config", "prometheus.yml"), ("rules", "alerts.yml")])
def test_prometheus_own_tool_finds_no_fault(kind: str, name: str, tmp_path: Path) -> None:
    command = ["promtool", "check", kind, str(FOLDER / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "SUCCESS" in done.stdout + done.stderr
