import html
import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution

from tests.analysis.reported import OVER, page, report, searched
from tests.studies import ended, in_memory, start
from ugro.analysis.confirmation.candidates import Candidate
from ugro.analysis.confirmation.confirmation import Confirmation
from ugro.analysis.importance.importance import Importance, Importances
from ugro.events.outcome import Outcome
from ugro.events.trial_report import TrialResult
from ugro.study.study import Study

CHROMIUM = shutil.which("chromium")
R = {"lora.r": CategoricalDistribution((8, 16))}
INJECTED = "</script><script>alert(1)</script>"


def embedded(text: str, name: str) -> Any:
    """The JSON in a script of the page."""
    found = re.search(f'<script type="application/json" id="{name}">(.*?)</script>', text, re.S)
    assert found is not None
    return json.loads(found[1])


def shown(text: str) -> list[str]:
    """The figures, in order."""
    return list(dict.fromkeys(re.findall(r'class="plot" data-name="([a-z-]+)"', text)))


# Every kind of study


def test_a_study_of_no_trial_says_so(tmp_path: Path) -> None:
    text = page(in_memory(), tmp_path)
    assert "none yet" in text
    assert "No trial was started yet." in text
    assert embedded(text, "trials")["columns"][0]["values"] == []


@pytest.mark.parametrize("count", [1, 2])
def test_a_study_of_one_or_two_trials_has_a_best(count: int, tmp_path: Path) -> None:
    text = page(searched(count), tmp_path)
    assert 'class="card best"' in text
    assert "Copy as overrides" in text
    assert "progression" in shown(text)


def test_a_study_whose_trials_were_all_stopped_shows_where_they_had_come_to(tmp_path: Path) -> None:
    study = in_memory()
    for value in (3.0, 3.5):
        trial = start(study, R)
        study.report(trial, 100, value + 1)
        study.report(trial, 200, value)
        study.tell(trial, Outcome.RUNG, TrialResult((value,), {"eval_loss": value}))
    text = page(study, tmp_path)
    assert "No trial is complete, so none is the best: 2 stopped at rung." in text
    assert {"progression", "curves"} <= set(shown(text))


def test_a_study_whose_trials_all_failed_tells_their_errors(tmp_path: Path) -> None:
    study = in_memory()
    for error in ("ValueError: twice", "ValueError: twice", "RuntimeError: once"):
        study.tell(start(study, R), Outcome.FAILED, error=error)
    text = page(study, tmp_path)
    failures = re.findall(r'class="failure"><p><b>(.*?)</b>: (.*?)</p><pre>(.*?)</pre>', text)
    assert failures == [
        ("2 trials", "0, 1", "ValueError: twice"),
        ("1 trial", "2", "RuntimeError: once"),
    ]


def test_several_objectives_have_a_front(tmp_path: Path) -> None:
    study = searched(8, "minimize", "minimize", objectives=["eval_loss", "latency_ms"])
    text = page(study, tmp_path)
    assert shown(text)[0] == "trade-offs"
    assert "beaten by no other in every objective" in text


def test_a_maximised_study_lists_its_largest_first(tmp_path: Path) -> None:
    text = page(searched(5, "maximize", objectives=["score"]), tmp_path)
    assert embedded(text, "trials")["best"]["maximised"] is True


def test_keys_that_some_trials_did_not_search_are_empty_there(tmp_path: Path) -> None:
    study = in_memory()
    both = {**R, "text": CategoricalDistribution(("a", "b"))}
    ended(study, R)
    ended(study, both)
    columns = embedded(page(study, tmp_path), "trials")["columns"]
    (text,) = [one for one in columns if one["name"] == "text"]
    assert (text["words"], text["values"]) == (["a"], [None, 0])


# What people come for


def test_the_first_screen_tells_best_and_gain(tmp_path: Path) -> None:
    study = in_memory(objectives=["eval_loss"])
    ended(study, R, Outcome.COMPLETE, 4.0, source="baseline")
    measured = {"eval_loss": 3.0, "base_eval_loss": 6.0}
    ended(study, R, Outcome.COMPLETE, 3.0, measured=measured, given={"lora.r": 16})
    numbers = re.findall(r"<strong>(.*?)</strong><span>(.*?)</span>", page(study, tmp_path))
    assert ("3", "eval_loss") in numbers
    assert ("25%", "better than the baseline") in numbers
    assert ("50%", "better than the untrained base model") in numbers


def test_the_gain_in_a_metric_of_ones_own_is_that_on_the_test_part(tmp_path: Path) -> None:
    study = in_memory("maximize", objectives=["exact_match"])
    number = ended(study, R, Outcome.COMPLETE, 0.5).number
    loss = {"test_loss": 2.0, "test_bits_per_byte": 1.0, "test_gain": 1.0, "test_gain_stderr": 0.1}
    base = {"base_test_loss": 3.0, "base_test_bits_per_byte": 1.5}
    match = {"test_exact_match": 0.75, "base_test_exact_match": 0.25, "test_exact_match_gain": 0.5}
    study.tested(number, {**loss, **base, **match, "test_documents": 9, "test_tokens": 80})
    numbers = re.findall(r"<strong>(.*?)</strong><span>(.*?)</span>", page(study, tmp_path))
    assert ("+0.5", "exact_match over the untrained base model, on the test part") in numbers


def test_the_command_for_the_best_is_there_with_its_configuration(tmp_path: Path) -> None:
    folder = tmp_path / "a study"
    assert "experiment=best" not in page(searched(2), folder)
    (folder / "experiment").mkdir()
    (folder / "experiment" / "best.yaml").touch()
    command = f"python train.py --config-dir &#39;{folder}&#39; experiment=best"
    assert f'data-copy="{command}"' in page(searched(2), folder)


def test_importances_are_bars_or_the_reason_why_not(tmp_path: Path) -> None:
    told = Importances("fANOVA", (Importance("lora.r", 0.5, 0.4, 0.7),), "", "of 9 trials")
    untold = Importances("PED-ANOVA", (), "It takes 12.")
    text = report(searched(4), tmp_path, (told, untold)).read_text(encoding="utf-8")
    assert "left:40.0%;width:30.0%" in text
    assert "PED-ANOVA: not computed. It takes 12." in text


def test_a_running_study_says_when_it_was_written(tmp_path: Path) -> None:
    study = searched(3)
    start(study, OVER)
    text = page(study, tmp_path)
    assert "This study was running when this page was written" in text
    assert re.search(r"written \d{4}-\d\d-\d\d \d\d:\d\d UTC", text)


def test_a_confirmation_is_a_table_with_its_verdicts(tmp_path: Path) -> None:
    best = Candidate(1, "best", (2.0, 2.2), 2.1, 0.1414, 1.9)
    lost = Candidate(0, "baseline", (float("nan"), 3.0), 3.0, float("nan"))
    told = Confirmation((1, 2), (best, lost), ("Trial 1 really is <best>.",))
    text = page(searched(3), tmp_path, told)
    assert shown(text)[0] == "confirmation"
    assert '<td class="right"><b>2.10 ± 0.14</b></td>' in text
    assert '<td class="right">-</td>' in text
    assert "Trial 1 really is &lt;best&gt;." in text


# What comes from outside


def hostile() -> Study:
    study = in_memory(name=INJECTED, objectives=[f"loss{INJECTED}"])
    over = {f"key{INJECTED}": CategoricalDistribution((INJECTED, "$x$ & y"))}
    for number in range(6):
        ended(study, over, Outcome.COMPLETE, float(number), source="baseline" if number < 1 else "")
    study.tell(start(study, over), Outcome.FAILED, error=f"{INJECTED} postgresql://me:pw@host/db")
    return study


def test_names_values_and_errors_are_text(tmp_path: Path) -> None:
    text = page(hostile(), tmp_path)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    scripts = re.findall(r"<script([^>]*)>", text)
    assert [one for one in scripts if "application/json" not in one] == [""]  # the page's own


def test_passwords_are_masked(tmp_path: Path) -> None:
    text = page(hostile(), tmp_path)
    assert "postgresql://me:***@host/db" in text
    assert "me:pw@" not in text


def test_nothing_is_loaded_from_anywhere(tmp_path: Path) -> None:
    text = page(searched(5), tmp_path)
    assert not re.findall(r"https?://", text)
    assert not re.findall(r"""(?:src|href)=["'](?!#)""", text)
    assert "default-src 'none'; script-src 'sha256-" in html.unescape(text)


def test_the_same_study_gives_the_same_page_but_for_the_time(tmp_path: Path) -> None:
    study, written = searched(6), re.compile(r"written [^<]*UTC")
    first, second = (written.sub("", page(study, tmp_path)) for _ in range(2))
    assert first == second


# Size


def test_many_trials_are_a_page_of_a_bearable_size(tmp_path: Path) -> None:
    began = time.process_time()
    path = report(searched(2500), tmp_path)
    assert time.process_time() - began < 20
    text = path.read_text(encoding="utf-8")
    assert "Of 2,500 trials the figures draw 2,000" in text
    assert len(embedded(text, "trials")["columns"][0]["values"]) == 2500
    assert path.stat().st_size < 7e6


# In a browser


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_draws_every_figure_without_a_complaint(tmp_path: Path) -> None:
    path = report(hostile(), tmp_path)
    assert CHROMIUM is not None
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'browser'}",
        "--virtual-time-budget=10000", "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert complaints == []
    plots = len(re.findall(r'class="plotted"', path.read_text(encoding="utf-8")))
    assert plots > 0
    assert f'data-drawn="{plots}"' in done.stdout
    assert done.stdout.count('class="plot js-plotly-plot"') == plots
    assert done.stdout.count("<tr") > 7  # a row a trial
