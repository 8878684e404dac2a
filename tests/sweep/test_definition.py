from dataclasses import replace

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

R = {"lora.r": CategoricalDistribution((4, 8))}


def planned(*overrides: str) -> Plan:
    arguments = ["study.name=s", "lora.r=4,8", *overrides]
    with initialize_config_dir(config_dir=str(ROOT / "conf")):
        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration("config", ["study.name=s"], RunMode.MULTIRUN)
        with open_dict(config):
            config.hydra.job.name = "test"
        return plan_of(config, loader, arguments)


@pytest.mark.parametrize("allowed", ["false", "true"])
@pytest.mark.parametrize(
    ("asked", "told", "began"),
    [
        ((), "minimize", "maximize"),
        (("objectives=loss_memory", "objectives.mode=scalarized"), "maximize", "minimize"),
    ],
    ids=["one", "scalarized"],
)
def test_a_study_is_never_optimised_the_other_way(
    asked: tuple[str, ...], told: str, began: str, allowed: str
) -> None:
    study = in_memory(began, objectives=["eval_loss"])
    study.define({"objectives.mode": "another"})
    with pytest.raises(
        UserError, match=rf"^objectives: '{told}' given, allowed: {began}, of eval_"
    ):
        check_same(study, planned(*asked, f"study.allow_change={allowed}"))


@pytest.fixture
def begun() -> Study:
    """A study of one trial, begun as ``planned()`` has it."""
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
def test_other_data_or_another_length_are_refused_under_an_old_name(
    begun: Study, override: str, key: str, given: str, allowed: str
) -> None:
    with pytest.raises(UserError) as error:
        check_same(begun, planned(override))
    line, last = str(error.value).splitlines()
    assert line.startswith(f"{key}: '{given}' given, allowed: {allowed}, as study s began")
    assert last == "study.allow_change=true starts a new group of trials, ranked by itself"
    assert begun.group == 0
    assert begun.definition() == definition(planned())


def test_other_data_are_named_group_and_files(begun: Study) -> None:
    with pytest.raises(UserError) as error:
        check_same(begun, planned("data=text", "data.train_files=[a.txt]"))
    lines = str(error.value).splitlines()
    assert lines[0].startswith("data.source: 'text' given, allowed: pydocs")
    assert any(line.startswith("data.train_files: \"['a.txt']\" given") for line in lines)


def test_the_same_plan_goes_on_and_so_does_one_that_says_nothing_of_it(begun: Study) -> None:
    check_same(begun, planned("seed=7", "training.weight_decay=0.1", "scheduler=asha"))
    assert begun.group == 0


def test_a_change_that_is_allowed_begins_a_group_whose_trials_are_ranked_alone(
    begun: Study, caplog: pytest.LogCaptureFixture
) -> None:
    check_same(begun, planned("training.max_steps=10", "study.allow_change=true"))
    assert begun.group == 1
    assert begun.trials() == begun.finished() == begun.ranked() == []
    assert begun.best() is None
    assert "hydra.sweeper.n_trials counts the new ones alone" in caplog.text
    ended(begun, R, Outcome.COMPLETE, 5.0)  # worse than the one before
    assert [trial.number for trial in begun.ranked()] == [1]
    assert [trial.number for trial in begun.of_all_groups()] == [0, 1]
    check_same(begun, planned("training.max_steps=10"))  # that is what it is now
    assert begun.group == 1
    with pytest.raises(UserError, match=r"^training\.max_steps: 'nothing' given, allowed: 10, as"):
        check_same(begun, planned())


def test_a_wider_space_that_is_allowed_stays_in_the_group(begun: Study) -> None:
    wider = "lora.dropout=interval(0,0.1)", "study.max_trials=4"
    with pytest.raises(UserError, match=r"study\.allow_change=true goes on nevertheless$"):
        check_same(begun, planned(*wider))
    check_same(begun, planned(*wider, "study.allow_change=true"))
    assert (begun.group, len(begun.trials())) == (0, 1)


def test_a_study_of_an_earlier_version_is_refused_by_one_line() -> None:
    study = in_memory("minimize", objectives=["eval_loss"])
    before = {key: said for key, said in definition(planned()).items() if key in ("lora.r",)}
    study.define(before)
    ended(study, R)
    with pytest.raises(UserError) as error:
        check_same(study, planned())
    [line] = str(error.value).splitlines()
    assert line.startswith("study.name: 's' given, allowed: another name: this study was begun by")
    assert line.endswith("study.allow_change=true starts a new group of trials, ranked by itself")
    check_same(study, planned("study.allow_change=true"))
    assert study.group == 1


def test_what_is_searched_is_not_defined_twice() -> None:
    given = ("data=jsonl", "data.train_files=[a.jsonl]")
    plan = planned(*given, "data.block_size=32,64", "training.max_steps=3,4")
    said = definition(plan)
    assert (said["data.block_size"], said["training.max_steps"]) == ("32, 64", "3, 4")


def test_a_plan_that_must_have_other_data_begins_a_group(begun: Study) -> None:
    begun.keep_data("{}", {"eval_data": "one"})
    check_same(begun, replace(planned(), data={"{}": {"eval_data": "one"}}))
    assert begun.group == 0
    check_same(begun, replace(planned(), data={"{}": {"eval_data": "another"}}))
    assert (begun.group, begun.data()) == (1, {})
