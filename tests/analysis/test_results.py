import csv
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution

from ugro.analysis.results import OF_STUDY, best_overrides, trial_folder
from ugro.analysis.results import write_results as write
from ugro.analysis.tables import tables_of
from ugro.events.events import TrialFinished, TrialRetried, TrialStarted
from ugro.events.outcome import Outcome
from ugro.events.trial_report import TrialResult
from ugro.observers.audit_log import AuditLog
from ugro.study.study import Study
from ugro.study.trial_record import Started

from ..conftest import ROOT
from ..studies import in_memory, start

R = CategoricalDistribution((4, 8))
MODULES = CategoricalDistribution(("[q_proj,v_proj]", "all-linear"))
STEPS = CategoricalDistribution((None, 10))


@pytest.fixture
def study() -> Study:
    return in_memory()


def write_results(study: Study, folder: Path) -> None:
    write(study, tables_of(study, folder), folder)


def started(study: Study) -> Started:
    return start(study, {"lora.r": R, "lora.target_modules": MODULES}, **{"lora.r": 8})


def complete(study: Study, objective: float, **measured: float) -> Started:
    trial = started(study)
    result = TrialResult((objective,), {"eval_loss": objective, **measured})
    study.tell(trial, Outcome.COMPLETE, result)
    return trial


def table(folder: Path) -> tuple[list[str], list[dict[str, str]]]:
    with (folder / "trials.csv").open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    assert reader.fieldnames is not None
    return list(reader.fieldnames), rows


def laid_down(folder: Path, number: int) -> None:
    """Write the configuration of a trial to Hydra's location."""
    with initialize_config_dir(config_dir=str(ROOT / "conf")):
        config = compose("config", overrides=["study.name=s", "model=tiny", "lora.r=8"])
    path = trial_folder(folder, number) / ".hydra" / "config.yaml"
    path.parent.mkdir(parents=True)
    OmegaConf.save(config, path)


# The table


def test_the_columns_are_number_state_value_keys_metrics_seconds_and_reason(
    study: Study, tmp_path: Path
) -> None:
    complete(study, 1.5, tokens_seen=4096)
    write_results(study, tmp_path)
    columns, (row,) = table(tmp_path)
    keys, measured = ["lora.r", "lora.target_modules"], ["eval_loss", "tokens_seen"]
    ends = ["seconds", "reason", "source", "error"]
    assert columns == ["number", "state", "value", *keys, *measured, *ends]
    assert float(row.pop("seconds")) >= 0
    assert row == {
        "number": "0",
        "state": "COMPLETE",
        "value": "1.5",
        "lora.r": "8",
        "lora.target_modules": "[q_proj,v_proj]",
        "eval_loss": "1.5",
        "tokens_seen": "4096",
        "reason": "complete",
        "source": "sampler",
        "error": "",
    }


def test_a_row_a_trial_whatever_became_of_it(study: Study, tmp_path: Path) -> None:
    complete(study, 1.5)
    study.tell(started(study), Outcome.FAILED, error='ValueError: "a", b')
    study.tell(started(study), Outcome.DIVERGED)
    study.tell(started(study), Outcome.INTERRUPTED)
    started(study)
    study.record.enqueue_trial({"lora.r": 4})
    write_results(study, tmp_path)
    _, rows = table(tmp_path)
    assert [(row["number"], row["state"], row["value"], row["reason"]) for row in rows] == [
        ("0", "COMPLETE", "1.5", "complete"),
        ("1", "FAIL", "", "failed"),
        ("2", "PRUNED", "", "diverged"),
        ("3", "WAITING", "", "interrupted"),
        ("4", "RUNNING", "", ""),
    ]
    assert rows[1]["error"] == 'ValueError: "a", b'
    assert rows[4]["seconds"] == ""
    assert {row["lora.r"] for row in rows} == {"8"}


def test_a_study_without_a_trial_has_a_table_of_columns_only(study: Study, tmp_path: Path) -> None:
    write_results(study, tmp_path / "new" / "folder")
    columns, rows = table(tmp_path / "new" / "folder")
    assert columns == ["number", "state", "value", "seconds", "reason", "source", "error"]
    assert rows == []


def test_a_key_or_metric_that_a_trial_has_not_is_left_empty(study: Study, tmp_path: Path) -> None:
    complete(study, 1.5)
    over = {"lora.dropout": FloatDistribution(0.25, 1), "training.max_steps": STEPS}
    study.tell(start(study, over), Outcome.COMPLETE, TrialResult((2.0,), {"accuracy": 0.5}))
    write_results(study, tmp_path)
    _, (first, second) = table(tmp_path)
    assert (first["lora.dropout"], first["accuracy"], first["eval_loss"]) == ("", "", "1.5")
    assert (second["lora.dropout"], second["accuracy"], second["eval_loss"]) == ("0.25", "0.5", "")
    assert (second["lora.r"], second["training.max_steps"]) == ("", "")


def test_numbers_are_written_to_the_last_digit(study: Study, tmp_path: Path) -> None:
    complete(study, 0.1 + 0.2)
    write_results(study, tmp_path)
    _, (row,) = table(tmp_path)
    assert row["value"] == "0.30000000000000004"


def test_seconds_are_those_that_a_trial_stayed_in_slots(study: Study, tmp_path: Path) -> None:
    complete(study, 1.5)
    log = AuditLog(tmp_path / "events.jsonl")
    for event in (
        TrialStarted(0, time=10.0),
        TrialRetried(0, "interrupted", 0, time=14.0),  # and taken up the next day
        TrialStarted(0, time=90_000.0),
        TrialFinished(0, Outcome.COMPLETE, (1.5,), {}, time=90_003.0),
    ):
        log.observe(event)
    write_results(study, tmp_path)
    _, (row,) = table(tmp_path)
    assert float(row["seconds"]) == 7.0


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=HYPERLINK(0)", "'=HYPERLINK(0)"),
        ("+1+cmd", "'+1+cmd"),
        ("-x", "'-x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("-1e-05", "-1e-05"),
        ("all-linear", "all-linear"),
    ],
)
def test_no_cell_is_a_formula(study: Study, tmp_path: Path, text: str, cell: str) -> None:
    study.tell(start(study, {"=key": CategoricalDistribution((text,))}), Outcome.FAILED, error=text)
    write_results(study, tmp_path)
    _, (row,) = table(tmp_path)
    assert row["'=key"] == row["error"] == cell


def test_a_key_may_be_called_as_a_column_is(study: Study, tmp_path: Path) -> None:
    over = {key: FloatDistribution(0.0, 1.0) for key in ("value", "state", "reason", "x")}
    study.tell(start(study, over), Outcome.COMPLETE, TrialResult((1.5,), {"seconds": 3.0}))
    write_results(study, tmp_path)
    columns, _ = table(tmp_path)
    assert len(set(columns)) == len(columns)
    assert columns[:4] == ["number", "state", "value", "value (searched)"]


# The best


def test_without_a_complete_trial_nothing_is_called_best(study: Study, tmp_path: Path) -> None:
    study.tell(started(study), Outcome.FAILED, error="e")
    started(study)
    write_results(study, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["trials.csv"]


def test_the_result_file_is_upstreams(study: Study, tmp_path: Path) -> None:
    complete(study, 2.0)
    complete(study, 1.5)
    write_results(study, tmp_path)
    assert (tmp_path / "optimization_results.yaml").read_text() == (
        "name: optuna\n"
        "best_params:\n"
        "  lora.r: 8\n"
        "  lora.target_modules: '[q_proj,v_proj]'\n"
        "best_value: 1.5\n"
    )


def test_the_best_experiment_is_the_whole_configuration_less_its_study(
    study: Study, tmp_path: Path
) -> None:
    complete(study, 2.0)
    complete(study, 1.5)
    laid_down(tmp_path, 1)
    write_results(study, tmp_path)
    path = tmp_path / "experiment" / "best.yaml"
    assert path.read_text().splitlines()[:3] == [
        "# @package _global_",
        "# Trial 1, value 1.5.",
        "# As overrides: lora.r=8 'lora.target_modules=[q_proj,v_proj]'",
    ]
    best = OmegaConf.load(path)
    of_a_trial = {
        "seed",
        "cache_dir",
        "model",
        "quantization",
        "adapter",
        "lora",
        "data",
        "training",
        "task",
        "metrics",
        "latency",
    }
    assert set(best) == of_a_trial | {"objectives", "constraints", "stoppers", "defaults"}
    assert best.lora.r == 8


def test_the_best_experiment_composes_to_the_best_trials_configuration(
    study: Study, tmp_path: Path
) -> None:
    complete(study, 1.5)
    laid_down(tmp_path, 0)
    write_results(study, tmp_path)
    path = f"hydra.searchpath=[file://{tmp_path}]"
    with initialize_config_dir(config_dir=str(ROOT / "conf")):
        again = compose("config", overrides=["study.name=new", path, "experiment=best"])
    trial = OmegaConf.load(trial_folder(tmp_path, 0) / ".hydra" / "config.yaml")
    assert again.study.name == "new"
    of_both = [OmegaConf.to_container(config, enum_to_str=True) for config in (again, trial)]
    for config in of_both:
        for group in OF_STUDY:
            config.pop(group, None)
    assert of_both[0] == of_both[1]


def test_a_trial_that_a_confirmation_prefers_is_run_again_instead(
    study: Study, tmp_path: Path
) -> None:
    complete(study, 1.5)
    complete(study, 1.6)
    laid_down(tmp_path, 0)
    laid_down(tmp_path, 1)
    write(study, tables_of(study, tmp_path), tmp_path, preferred=1)
    said = (tmp_path / "experiment" / "best.yaml").read_text().splitlines()[1]
    better = "confirmed as better than trial 0, which has the best value"
    assert said == f"# Trial 1, value 1.6; {better}."
    assert OmegaConf.load(tmp_path / "optimization_results.yaml").best_value == 1.5


def test_a_trial_that_left_no_configuration_gives_no_experiment(
    study: Study, tmp_path: Path
) -> None:
    complete(study, 1.5)
    write_results(study, tmp_path)
    assert not (tmp_path / "experiment").exists()
    assert (tmp_path / "optimization_results.yaml").exists()


def test_written_again_the_files_are_the_new_ones_and_no_draft_is_left(
    study: Study, tmp_path: Path
) -> None:
    for objective in (1.5, 1.0):
        number = complete(study, objective).number
        laid_down(tmp_path, number)
        write_results(study, tmp_path)
    assert OmegaConf.load(tmp_path / "optimization_results.yaml").best_value == 1.0
    assert "# Trial 1, value 1.0." in (tmp_path / "experiment" / "best.yaml").read_text()
    assert len(table(tmp_path)[1]) == 2
    assert not list(tmp_path.rglob("*.draft"))


def test_overrides_to_paste_name_every_searched_key(study: Study) -> None:
    start(study, {"lora.dropout": FloatDistribution(0.25, 1), "training.max_steps": STEPS})
    (trial,) = study.trials()
    assert best_overrides(trial) == "lora.dropout=0.25 training.max_steps=null"


def test_a_trials_folder_has_four_digits() -> None:
    assert trial_folder(Path("multirun/s"), 7) == Path("multirun/s/trials/0007")
    assert trial_folder(Path("multirun/s"), 12345) == Path("multirun/s/trials/12345")


def test_trials_of_an_earlier_group_stay_in_the_table_and_are_not_the_best(
    study: Study, tmp_path: Path
) -> None:
    complete(study, 1.5)
    write_results(study, tmp_path)
    assert "group" not in table(tmp_path)[0]
    study.begin_group()
    complete(study, 2.5)
    laid_down(tmp_path, 1)
    write_results(study, tmp_path)
    columns, rows = table(tmp_path)
    assert columns[:4] == ["number", "group", "state", "value"]
    told = [(row["number"], row["group"], row["value"]) for row in rows]
    assert told == [("0", "0", "1.5"), ("1", "1", "2.5")]
    best = (tmp_path / "experiment" / "best.yaml").read_text().splitlines()[1]
    assert best == "# Trial 1, value 2.5."
    assert OmegaConf.load(tmp_path / "optimization_results.yaml").best_value == 2.5
