from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import open_dict
from optuna.distributions import CategoricalDistribution

from ugro.errors import UserError
from ugro.events.outcome import Outcome
from ugro.study.study import Study
from ugro.sweep.definition import check_same, definition
from ugro.sweep.plan import Plan, plan_of

from ..conftest import ROOT
from ..studies import ended, in_memory
from ..task_files import write_tasks

R = {"lora.r": CategoricalDistribution((4, 8))}


@cache
def planned(*overrides: str) -> Plan:
    own = [override for override in overrides if override.startswith("hydra.")]
    arguments = ["study.name=s", "lora.r=4,8", *(one for one in overrides if one not in own)]
    with initialize_config_dir(config_dir=str(ROOT / "conf")):
        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration("config", ["study.name=s", *own], RunMode.MULTIRUN)
        with open_dict(config):
            config.hydra.job.name = "test"
        return plan_of(config, loader, arguments)


@pytest.mark.parametrize("allowed", ["false", "true"])
@pytest.mark.parametrize(
    ("overrides", "given", "began"),
    [
        ((), "minimize", "maximize"),
        (("objectives=loss_memory", "objectives.mode=scalarized"), "maximize", "minimize"),
    ],
    ids=["one", "scalarized"],
)
def test_the_direction_of_a_study_cannot_change(
    overrides: tuple[str, ...], given: str, began: str, allowed: str
) -> None:
    study = in_memory(began, objectives=["eval_loss"])
    study.define({"objectives.mode": "another"})
    with pytest.raises(
        UserError, match=rf"^objectives: '{given}' given, allowed: {began}, of eval_"
    ):
        check_same(study, planned(*overrides, f"study.allow_change={allowed}"))


@pytest.fixture
def existing() -> Study:
    """A study of one trial, defined by ``planned()``."""
    study = in_memory("minimize", objectives=["eval_loss"])
    check_same(study, planned())
    ended(study, R)
    return study


@pytest.mark.parametrize(
    ("override", "key", "given", "allowed"),
    [
        ("data.block_size=64", "data.block_size", "64", "128"),
        ("data.eval_fraction=0.2", "data.eval_fraction", "0.2", "0.1"),
        ("data.max_eval_examples=7", "data.max_eval_examples", "7", "32"),
        ("data.max_train_examples=7", "data.max_train_examples", "7", "nothing"),
        ("data.split_seed=3", "data.split_seed", "3", "0"),
        ("training.max_steps=10", "training.max_steps", "10", "nothing"),
        ("training.max_tokens=9999", "training.max_tokens", "9999", "nothing"),
        ("training.epochs=2", "training.epochs", "2.0", "1.0"),
        ("model.revision=main", "model.revision", "main", "nothing"),
    ],
)
def test_other_data_or_lengths_are_refused_under_the_same_name(
    existing: Study, override: str, key: str, given: str, allowed: str
) -> None:
    with pytest.raises(UserError) as error:
        check_same(existing, planned(override))
    line, last = str(error.value).splitlines()
    assert line.startswith(f"{key}: '{given}' given, allowed: {allowed}, as study s began")
    assert last == "study.allow_change=true starts a new group of trials, ranked by itself"
    assert existing.group == 0
    assert existing.definition() == definition(planned())


def test_other_content_of_a_task_file_or_its_data_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lm_eval")
    write_tasks(tmp_path)
    monkeypatch.chdir(tmp_path)
    plan = planned("metrics=lm_eval", "metrics.lm_eval.tasks=[choice.yaml]")
    study = in_memory("maximize", objectives=["lm_eval_choice_acc"])
    check_same(study, plan)
    assert study.definition()["metrics.lm_eval.tasks"] == "['choice.yaml']"
    ended(study, R)
    (tmp_path / "answers.py").write_text("")  # of another task
    check_same(study, plan)
    for name in ("choice.yaml", "sums.jsonl"):
        before = (tmp_path / name).read_text()
        (tmp_path / name).write_text(f"{before}\n")
        with pytest.raises(UserError, match=r"^metrics.lm_eval.source: '\w+' given, allowed: \w+,"):
            check_same(study, plan)
        (tmp_path / name).write_text(before)
    check_same(study, plan)


def test_changed_data_are_listed_by_group_and_files(existing: Study) -> None:
    with pytest.raises(UserError) as error:
        check_same(existing, planned("data=text", "data.train_files=[a.txt]"))
    lines = str(error.value).splitlines()
    assert lines[0].startswith("data.source: 'text' given, allowed: pydocs")
    assert any(line.startswith("data.train_files: \"['a.txt']\" given") for line in lines)


def test_unrelated_changes_do_not_prevent_resuming(existing: Study) -> None:
    check_same(existing, planned("seed=7", "training.weight_decay=0.1", "scheduler=asha"))
    assert existing.group == 0


def test_an_allowed_change_starts_a_group_that_is_ranked_separately(
    existing: Study, caplog: pytest.LogCaptureFixture
) -> None:
    check_same(existing, planned("training.max_steps=10", "study.allow_change=true"))
    assert existing.group == 1
    assert existing.trials() == existing.finished() == existing.ranked() == []
    assert existing.best() is None
    assert "hydra.sweeper.n_trials counts only the new ones" in caplog.text
    ended(existing, R, Outcome.COMPLETE, 5.0)  # worse than the one before
    assert [trial.number for trial in existing.ranked()] == [1]
    assert [trial.number for trial in existing.of_all_groups()] == [0, 1]
    check_same(existing, planned("training.max_steps=10"))  # that is what it is now
    assert existing.group == 1
    with pytest.raises(UserError, match=r"^training\.max_steps: 'nothing' given, allowed: 10, as"):
        check_same(existing, planned())


def test_an_allowed_wider_space_stays_in_the_group(existing: Study) -> None:
    wider = "lora.dropout=interval(0,0.1)", "hydra.sweeper.n_trials=4"
    with pytest.raises(UserError, match=r"study\.allow_change=true continues anyway$"):
        check_same(existing, planned(*wider))
    check_same(existing, planned(*wider, "study.allow_change=true"))
    assert (existing.group, len(existing.trials())) == (0, 1)


def test_a_study_of_an_earlier_version_is_refused_in_one_line() -> None:
    study = in_memory("minimize", objectives=["eval_loss"])
    before = {key: text for key, text in definition(planned()).items() if key in ("lora.r",)}
    study.define(before)
    ended(study, R)
    with pytest.raises(UserError) as error:
        check_same(study, planned())
    [line] = str(error.value).splitlines()
    assert line.startswith("study.name: 's' given, allowed: another name: this study was begun by")
    assert line.endswith("study.allow_change=true starts a new group of trials, ranked by itself")
    check_same(study, planned("study.allow_change=true"))
    assert study.group == 1


def test_searched_keys_are_defined_once() -> None:
    given = ("data=jsonl", "data.train_files=[a.jsonl]")
    plan = planned(*given, "data.block_size=32,64", "training.max_steps=3,4")
    parts = definition(plan)
    assert (parts["data.block_size"], parts["training.max_steps"]) == ("32, 64", "3, 4")


def test_the_base_model_of_a_search_over_its_attention_is_fixed() -> None:
    parts = definition(planned("model.attn_implementation=eager,sdpa"))
    assert parts["model.gguf_file"] == definition(planned())["model.gguf_file"]


def test_a_plan_that_requires_other_data_starts_a_group(existing: Study) -> None:
    existing.keep_data("{}", {"eval_data": "one"})
    check_same(existing, replace(planned(), data={"{}": {"eval_data": "one"}}))
    assert existing.group == 0
    check_same(existing, replace(planned(), data={"{}": {"eval_data": "another"}}))
    assert (existing.group, existing.data()) == (1, {})


def test_a_quantisation_defines_a_study_and_none_leaves_the_definition_as_it_was() -> None:
    pytest.importorskip("bitsandbytes")
    without = definition(planned())
    assert not [key for key in without if key.startswith("quantization")]
    quantised = definition(planned("quantization=bnb_nf4"))
    added = {key: quantised[key] for key in quantised.keys() - without.keys()}
    assert added == {
        "quantization.method": "bnb_nf4",
        "quantization.double_quantization": "True",
        "quantization.compute_dtype": "auto",
    }
    searched = definition(planned("quantization=none,bnb_nf4"))
    assert [key for key in searched if key.startswith("quantization")] == ["quantization"]


@pytest.mark.parametrize("allowed", ["false", "true"])
def test_an_imported_study_is_not_continued(existing: Study, allowed: str) -> None:
    existing.mark_imported("study theirs")
    with pytest.raises(UserError) as error:
        check_same(existing, planned(f"study.allow_change={allowed}"))
    assert str(error.value) == (
        "study.name: 's' given, allowed: another name, and study.warm_start=[s]: "
        "another program ran its trials"
    )
