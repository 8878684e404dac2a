import csv
import io
import json
import re
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from rich.console import Console

from tests.studies import ended, in_memory, start
from ugro.analysis.analyze import analyze
from ugro.analysis.terminal_summary import show
from ugro.cli.analyze import main
from ugro.events.events import TrialFinished, TrialStarted
from ugro.events.outcome import Outcome
from ugro.observers.audit_log import AuditLog
from ugro.study.study import Study, create_or_continue

SPACE = {
    "lora.r": CategoricalDistribution((4, 8, 16)),
    "lora.target_modules": CategoricalDistribution(("[q_proj,v_proj]", "all-linear")),
    "lora.use_dora": CategoricalDistribution((False, True)),
}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def finished(study: Study, *objectives: float, base: float = 3.0) -> Study:
    """Return trials of ranks 4, 8, 16 with these losses."""
    for r, loss in zip((4, 8, 16), objectives, strict=False):
        given = {"lora.r": r, "lora.use_dora": True}
        measured = {
            "eval_loss": loss,
            "base_eval_loss": base,
            "tokens_seen": 4096,
            "train_seconds": 12.4,
        }
        ended(study, SPACE, Outcome.COMPLETE, loss, measured=measured, given=given)
    return study


def made(name: str, *objectives: float, folder: str | None = None) -> Study:
    """Return a study in a database, by default at a sweep's location."""
    place = Path(folder or f"multirun/{name}")
    place.mkdir(parents=True)
    storage = f"sqlite:///{place}/study.db"
    return finished(create_or_continue(name, storage, ["eval_loss"], ["minimize"]), *objectives)


def told(study: Study, width: int = 200) -> str:
    text = io.StringIO()
    show(study, Path("multirun/s"), Console(file=text, width=width))
    return text.getvalue()


def rows(text: str) -> list[list[str]]:
    """Return the non-empty cells of the table."""
    lines = [line.strip() for line in text.splitlines()]
    rule = next(index for index, line in enumerate(lines) if line.startswith("──"))
    table = lines[rule + 1 : lines.index("", rule)]
    return [re.split(r"\s{2,}", line) for line in table]


# The command


def test_a_study_may_have_another_folder_or_storage(capsys: pytest.CaptureFixture[str]) -> None:
    made("moved", folder="elsewhere")
    main(["study.name=moved", "study.dir=elsewhere"])
    assert Path("elsewhere/trials.csv").exists()
    main(["study.name=moved", "storage=sqlite:///elsewhere/study.db"])
    assert Path("multirun/moved/trials.csv").exists()
    assert capsys.readouterr().out.count("no trial yet") == 2


def test_all_of_a_study_is_written_and_what_to_try_next_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    made("full", 2.0, 1.25, 1.5)
    made("other")
    main(["study.name=full"])
    written = {path.name for path in Path("multirun/full/analysis").iterdir()}
    assert {"summary.json", "report.html", "overview.png"} <= written
    assert Path("multirun/full/trials.csv").exists()
    assert Path("multirun/full/optimization_results.yaml").exists()
    assert not Path("multirun/other/trials.csv").exists()
    said = capsys.readouterr().out
    assert "Best: trial 1, value 1.2500" in said
    assert "Report: multirun/full/analysis/report.html" in said
    assert "The second, trial 2, is 0.25 behind in eval_loss" in said
    assert "Next: A single seed does not show" in said
    assert "  study.confirm=3" in said  # nobody knows with which command it was begun


def test_what_takes_seconds_can_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    analyze(made("quick", 2.0, 1.25), Path("multirun/quick"), whole=False)
    assert [path.name for path in Path("multirun/quick/analysis").iterdir()] == ["summary.json"]
    summary = json.loads(Path("multirun/quick/analysis/summary.json").read_text())
    assert summary["best"]["number"] == 1
    assert summary["importances"] == []
    assert "Best: trial 1" in capsys.readouterr().out


def test_the_seconds_of_the_table_and_of_the_summary_are_the_same() -> None:
    study, folder = made("timed"), Path("multirun/timed")
    log = AuditLog(folder / "events.jsonl")
    for number, loss in enumerate((2.0, 1.5)):
        ended(study, SPACE, Outcome.COMPLETE, loss)
        log.observe(TrialStarted(number, time=10.0 * number))
        log.observe(TrialFinished(number, Outcome.COMPLETE, (loss,), {}, time=10.0 * number + 4.25))
    analyze(study, folder, whole=False)
    with (folder / "trials.csv").open(newline="") as file:
        seconds = sum(float(row["seconds"]) for row in csv.DictReader(file))
    summary = json.loads((folder / "analysis" / "summary.json").read_text())
    assert summary["cost"]["slot_seconds"] == seconds == 8.5


def test_any_study_of_optuna_can_be_analysed(capsys: pytest.CaptureFixture[str]) -> None:
    record = optuna.create_study(
        study_name="foreign", storage="sqlite:///x.db", directions=["minimize", "maximize"]
    )
    record.optimize(lambda trial: (trial.suggest_float("state", 0, 1), 2.0), n_trials=3)
    main(["storage=sqlite:///x.db", "study.name=foreign", "study.dir=out"])
    summary = json.loads(Path("out/analysis/summary.json").read_text())
    assert summary["objectives"] == ["values_0", "values_1"]
    assert len(summary["front"]) == 1
    assert (
        Path("out/trials.csv")
        .read_text()
        .startswith("number,state,values_0,values_1,state (searched),")
    )
    said = capsys.readouterr().out
    assert "All trials: out/trials.csv" in said
    assert "Its adapter" not in said


# The summary


def test_the_summary_ranks_the_trials_and_says_how_to_use_the_best() -> None:
    Path("multirun/s/trials/0001/adapter").mkdir(parents=True)
    text = told(finished(in_memory(), 2.0, 1.25, 1.5))
    table = rows(text)
    assert [row[0] for row in table] == ["1", "2", "0"]
    assert table[0] == [
        "1", "1.25", "8", "[q,v]", "True", "4,096", "12", "complete",
    ]  # fmt: skip
    assert text.splitlines()[-6:] == [
        "Best: trial 1, value 1.2500",
        "eval_loss 1.2500; the untrained base model has 3.0000",
        "As overrides: lora.r=8 'lora.target_modules=[q_proj,v_proj]' lora.use_dora=true",
        "Run it again: python train.py --config-dir multirun/s experiment=best",
        "Its adapter: multirun/s/trials/0001/adapter",
        "All trials: multirun/s/trials.csv",
    ]
    assert "3 complete" in text


def test_where_more_is_better_the_highest_comes_first() -> None:
    text = told(finished(in_memory("maximize"), 0.25, 0.75, 0.5))
    assert [row[0] for row in rows(text)] == ["1", "2", "0"]
    assert "Best: trial 1, value 0.7500" in text


def test_trials_without_a_value_come_last_and_all_endings_are_counted() -> None:
    study = in_memory()
    ended(study, SPACE, Outcome.FAILED)
    start(study, SPACE)
    pruned = start(study, SPACE)
    study.report(pruned, 1024, 0.5)
    study.tell(pruned, Outcome.RUNG)
    finished(study, 2.0)
    text = told(study)
    assert [(row[0], row[-1]) for row in rows(text)] == [
        ("3", "complete"),
        ("2", "stopped at rung"),
        ("0", "failed"),
        ("1", "running"),
    ]
    assert rows(text)[1][1] == "0.5"  # as reported last
    assert "1,024" in rows(text)[1]
    assert "1 failed, 1 running, 1 stopped at rung, 1 complete" in text


def test_the_gain_over_the_configuration_as_it_was_is_told() -> None:
    study = in_memory()
    ended(study, SPACE, Outcome.COMPLETE, 2.0, source="baseline")
    assert "No trial was better than the configuration as it was" in told(study)
    ended(study, SPACE, Outcome.COMPLETE, 1.5)
    assert "Gain over the configuration as it was, trial 0: 0.5000 (25.0%)" in told(study)


def test_a_baseline_that_was_stopped_is_told_instead_of_a_gain() -> None:
    study = in_memory()
    ended(study, SPACE, Outcome.RUNG, source="baseline")
    ended(study, SPACE, Outcome.COMPLETE, 1.5)
    assert "The configuration as it was, trial 0: stopped at rung" in told(study)


def test_several_objectives_have_a_column_each_and_a_front() -> None:
    study = in_memory("minimize", "minimize", objectives=["eval_loss", "latency_ms"])
    ended(study, SPACE, Outcome.COMPLETE, 2.0, 30.0)
    ended(study, SPACE, Outcome.COMPLETE, 1.5, 50.0)
    text = told(study)
    assert re.search(r"trial +eval_loss +latency_ms +r ", text)
    assert "Best: trial 1, eval_loss 1.5000, latency_ms 50.0000" in text
    assert "Not dominated: trials 1, 0" in text


def test_a_study_without_a_complete_trial_says_so() -> None:
    study = in_memory()
    assert "no trial yet" in told(study)
    start(study, SPACE)
    assert "No trial is complete yet: there is no best configuration." in told(study)


def test_of_many_trials_the_twenty_best_are_shown() -> None:
    study = in_memory()
    for number in range(25):
        ended(study, {}, Outcome.COMPLETE, 25.5 - number)
    text = told(study)
    assert [row[0] for row in rows(text)] == [str(number) for number in range(24, 4, -1)]
    assert "Study s: 20 of 25 trials" in text
    assert "25 complete" in text


def test_the_whole_lora_space_fits_into_80_columns() -> None:
    study = in_memory()
    given = {
        "lora.r": 128,
        "lora.alpha_ratio": 0.5,
        "lora.dropout": 0.00756321,
        "lora.target_modules": "[q_proj,k_proj,v_proj,o_proj]",
        "training.learning_rate": 0.000448123,
        "training.warmup_ratio": 0.00746321,
        "training.weight_decay": 0.01,
        "training.batch_size": 32,
    }
    space = {key: CategoricalDistribution((value,)) for key, value in given.items()}
    ended(study, space, Outcome.COMPLETE, 2.4815)
    ended(study, space, Outcome.RUNG)
    assert told(study, 80).splitlines()[1:7] == [
        "              alpha            target learning  warmup weight batch         ",
        "no. value   r ratio dropout   modules     rate   ratio  decay  size state   ",
        "────────────────────────────────────────────────────────────────────────────",
        "  0 2.482 128   0.5 0.00756 [q,k,v,o] 0.000448 0.00746   0.01    32 complete",
        "  1       128   0.5 0.00756 [q,k,v,o] 0.000448 0.00746   0.01    32 stopped ",
        "                                                                    at rung ",
    ]
    roomy = told(study, 160)
    assert "learning_rate" in roomy
    assert "stopped at rung" in roomy


def test_keys_that_find_no_room_are_named() -> None:
    text = told(finished(in_memory(), 2.0), 30)
    assert max(map(len, text.partition("1 complete")[0].splitlines())) <= 30
    assert "trials.csv has lora.use_dora" in " ".join(text.split())


def test_the_report_is_named_where_there_is_one() -> None:
    study = finished(in_memory(), 2.0)
    assert "Report:" not in told(study)
    report = Path("multirun/s/analysis/report.html")
    report.parent.mkdir(parents=True)
    report.touch()
    assert told(study).splitlines()[-1] == "Report: multirun/s/analysis/report.html"
