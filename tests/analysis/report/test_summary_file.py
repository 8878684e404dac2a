import json
import math
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from ugro.analysis.confirmation.certainty import Certainty, Noise
from ugro.analysis.confirmation.confirmation import Candidate, Confirmation
from ugro.analysis.findings.advice import Advice
from ugro.analysis.findings.answers import Answer
from ugro.analysis.findings.best import Baseline, Best, Gain
from ugro.analysis.findings.cost import Cost
from ugro.analysis.findings.findings import Findings
from ugro.analysis.findings.held_out import MetricScore, Score, TestPart
from ugro.analysis.generations import Paired
from ugro.analysis.importance.importance import Importance, Importances
from ugro.analysis.report.summary_file import summary, write_summary
from ugro.trial.data.layout import PartSummary

BEST = Best(1, (1.5, math.inf), {"lora.r": 8, "lora.target_modules": "all-linear"}, "lora.r=8", 3.0)
FULL = Findings(
    name="s",
    objectives=("eval_loss", "latency_ms"),
    directions=("minimize", "minimize"),
    counts={"complete": 2},
    total=2,
    finished_because="all trials are done",
    best=BEST,
    front=(BEST,),
    baseline=Baseline(0, "complete", (Gain("eval_loss", 2.0, 1, 1.5, 0.5, 0.25),)),
    test=TestPart(
        best=Score(1, 1.4, 0.7),
        baseline=Score(0, 1.9, 0.9),
        base_model=Score(None, 3.0, 1.5),
        gain=1.6,
        gain_low=1.5,
        gain_high=1.7,
        gain_over_baseline=0.5,
        documents=9,
        tokens=80,
        measured=1,
        metrics=(MetricScore("exact_match", 0.8, 0.5, 0.1, 0.7, 0.6, 0.8),),
    ),
    data={
        "parts": {"train": asdict(PartSummary(9, 9, 3, 90, 80))},
        "formats": {"Alpaca": 9},
        "conversations": False,
        "notes": ["A record."],
    },
    certainty=Certainty(True, 0, 0.5, 0, Noise(0.1, "seeds"), 0, Paired(9, 0.1, 0.02), ("Sure.",)),
    confirmation=Confirmation((1,), (Candidate(1, "best", (1.5,), 1.5, math.nan),), ("Sure.",)),
    importances=(Importances("fANOVA", (Importance("lora.r", 0.9, 0.8, 1.0),), "", "all"),),
    cost=Cost(2, 2, 8192, 20.0, 12.0, 2, 0.8, 0.0, 0, 0, None),
    advice=(Advice("Try.", ("lora.r=16",), "python train.py -m lora.r=16"),),
    answers=(Answer("What is best?", ("Trial 1.",)),),
)
NAMES = {
    "parts": "PART",
    "formats": "NAME",
    "counts": "ENDING",
    "parameters": "KEY",
}  # below which any name may be


def keys(value: Any, path: str = "") -> Iterator[str]:
    """The paths of a summary as the documentation writes them."""
    if isinstance(value, dict):
        below = NAMES.get(path.rpartition(".")[2])
        for key, one in value.items():
            yield from keys(one, f"{path}.{below or key}".lstrip("."))
    elif isinstance(value, list):
        for one in value:
            yield from keys(one, f"{path}[]")
    else:
        yield path


def documented() -> set[str]:
    text = (ROOT / "docs" / "analysis.md").read_text().partition("## summary.json")[2]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {key for row in rows for key in re.findall(r"`([^`]+)`", row)}


def test_every_key_is_documented_and_every_documented_key_is_written() -> None:
    written = set(keys(summary(FULL)))
    whole = {path for path in documented() if any(one.startswith(path) for one in written)}
    assert written <= documented()
    assert documented() == whole


def test_it_is_json_that_any_program_reads(tmp_path: Path) -> None:
    path = tmp_path / "analysis" / "summary.json"
    write_summary(FULL, path)
    read = json.loads(path.read_text(), parse_constant=lambda constant: f"no {constant}")
    assert read["format"] == 1
    assert read["best"]["values"] == [1.5, None]  # infinity
    assert read["best"]["parameters"] == {"lora.r": 8, "lora.target_modules": "all-linear"}
    assert read["confirmation"]["candidates"][0]["spread"] is None
    assert read["advice"][0]["overrides"] == ["lora.r=16"]
    before = path.read_bytes()
    write_summary(FULL, path)
    assert path.read_bytes() == before
