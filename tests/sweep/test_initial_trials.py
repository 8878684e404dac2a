from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from ugro.config import Config, StudyConfig
from ugro.errors import UserError
from ugro.events.outcome import Outcome
from ugro.space.feasible import FeasibleSpace
from ugro.study.study import create_or_continue
from ugro.sweep.initial_trials import OUTSIDE, Planned, described, initial_trials, member

from ..spaces import Feasible
from ..studies import ended

SPACE = ("lora.r=8,16", "lora.target_modules=[q_proj,v_proj],all-linear")


@pytest.fixture
def study(settings: Callable[..., Config], tmp_path: Path) -> StudyConfig:
    config = settings("study.name=new").study
    config.dir = str(tmp_path / "new")
    return config


def plan(study: StudyConfig, space: FeasibleSpace, named: bool = True) -> list[Planned]:
    return initial_trials(study, named, space)


# The baseline


def test_the_baseline_is_the_unchanged_configuration(
    study: StudyConfig, feasible: Feasible
) -> None:
    own = {"lora.r": 16, "lora.target_modules": "all-linear"}
    assert plan(study, feasible(*SPACE)) == [Planned(own, "baseline")]
    study.baseline = False
    assert plan(study, feasible(*SPACE)) == []


def test_choices_on_the_command_line_run_as_given(study: StudyConfig, feasible: Feasible) -> None:
    assert plan(study, feasible(*SPACE), named=False) == []


@pytest.mark.parametrize("group", ["lora", "lora_small"])
def test_the_named_spaces_contain_the_default_configuration(
    group: str, study: StudyConfig, feasible: Feasible
) -> None:
    from omegaconf import OmegaConf

    from ..conftest import ROOT

    params = OmegaConf.load(ROOT / "conf" / "search_space" / f"{group}.yaml").params
    (baseline,) = plan(study, feasible(params=params))
    assert set(baseline.parameters) == set(params)


def test_a_configuration_outside_the_space_is_no_baseline_and_logged(
    study: StudyConfig, feasible: Feasible, caplog: pytest.LogCaptureFixture
) -> None:
    assert plan(study, feasible("lora.r=4,8")) == []
    assert "No baseline trial: lora.r=16 is not in the space" in caplog.text
    assert plan(study, feasible(*SPACE, constraints=["lora.r < 16"])) == []
    assert "No baseline trial: the configuration breaks lora.r < 16" in caplog.text


def test_the_baseline_has_no_inactive_keys(study: StudyConfig, feasible: Feasible) -> None:
    branches = feasible(
        *SPACE, "lora.use_rslora=true,false", conditions={"lora.use_rslora": "lora.r >= 64"}
    )
    (baseline,) = plan(study, branches)
    assert "lora.use_rslora" not in baseline.parameters


def test_an_inactive_key_may_be_configured_outside_of_the_space(
    study: StudyConfig, feasible: Feasible
) -> None:
    argument = "training.lr_scheduler_kwargs.min_lr_rate"
    schedules = feasible(
        "training.lr_scheduler_type=cosine,cosine_with_min_lr",
        f"{argument}=interval(0.01,0.3)",
        conditions={argument: "training.lr_scheduler_type == 'cosine_with_min_lr'"},
    )
    (baseline,) = plan(study, schedules)
    assert baseline.parameters == {"training.lr_scheduler_type": "cosine"}


# Known configurations


def test_enqueued_trials_follow_without_duplicates(study: StudyConfig, feasible: Feasible) -> None:
    study.enqueue = [
        {"lora.r": 8},
        {"lora.r": 16, "lora.target_modules": "all-linear"},
        {"lora.r": 8, "lora.target_modules": ["q_proj", "v_proj"]},
    ]
    assert [one.source for one in plan(study, feasible(*SPACE))] == [
        "baseline",
        "enqueued",
        "enqueued",
    ]
    last = plan(study, feasible(*SPACE))[-1]
    assert last.parameters == {"lora.r": 8, "lora.target_modules": "[q_proj,v_proj]"}


@pytest.mark.parametrize(
    ("enqueued", "line"),
    [
        ({"lora.r": 12}, "study.enqueue: lora.r: 12 given, allowed: 8, 16"),
        (
            {"lora.rank": 8},
            "study.enqueue: lora.rank: no key of the schema, "
            "nearest: lora.r, lora.rank_pattern, lora.bias",
        ),
        (
            {"lora.dropout": 0.1},
            "study.enqueue: 'lora.dropout' given, allowed: lora.r, lora.target_modules",
        ),
    ],
)
def test_configurations_outside_the_space_cannot_be_enqueued(
    enqueued: dict[str, object], line: str, study: StudyConfig, feasible: Feasible
) -> None:
    study.enqueue = [enqueued]
    with pytest.raises(UserError) as error:
        plan(study, feasible(*SPACE))
    assert str(error.value) == line


def test_infeasible_configurations_cannot_be_enqueued(
    study: StudyConfig, feasible: Feasible
) -> None:
    study.enqueue = [{"lora.r": 16, "lora.target_modules": "all-linear"}]
    with pytest.raises(UserError, match=r"study\.enqueue: .* allowed: lora.r < 16"):
        plan(study, feasible(*SPACE, constraints=["lora.r < 16"]))


# Earlier studies


def test_the_best_of_an_earlier_study_are_run_first(
    study: StudyConfig, feasible: Feasible, tmp_path: Path
) -> None:
    over = {
        "lora.r": CategoricalDistribution((4, 8, 16)),
        "training.learning_rate": FloatDistribution(1e-5, 1e-3),
    }
    storage = f"sqlite:///{tmp_path}/old/study.db"
    old = create_or_continue("old", storage, ["eval_loss"], ["minimize"])
    for r, loss in ((8, 2.0), (4, 1.0), (16, 1.5), (16, 9.0)):
        ended(old, over, Outcome.COMPLETE, loss, given={"lora.r": r})
    study.baseline = False
    study.warm_start, study.warm_start_trials = ["old"], 3
    found = plan(study, feasible(*SPACE))
    # The best has a rank that is not in this space, and no other key of it.
    assert found == [Planned({"lora.r": 16}, "warm_start"), Planned({"lora.r": 8}, "warm_start")]
    study.warm_start = [str(tmp_path / "old")]
    assert plan(study, feasible(*SPACE)) == found


def test_a_missing_earlier_study_is_reported(study: StudyConfig, feasible: Feasible) -> None:
    study.warm_start = ["never"]
    with pytest.raises(UserError, match=r"^study\.warm_start: 'never' given, allowed: a study's"):
        plan(study, feasible(*SPACE))


def test_of_an_imported_study_only_the_searched_keys_are_used(
    study: StudyConfig, feasible: Feasible, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    over = {"lora.r": IntDistribution(4, 32), "kind": CategoricalDistribution(("a", "b"))}
    theirs = create_or_continue("old", f"sqlite:///{tmp_path}/old/study.db", ["x"], ["maximize"])
    for r, value in ((8, 2.0), (12, 9.0), (16, 3.0)):
        ended(theirs, over, Outcome.COMPLETE, value, given={"lora.r": r})
    study.baseline, study.warm_start = False, ["old"]
    with pytest.raises(UserError, match=r"^study\.warm_start: old: kind: no key of the schema"):
        plan(study, feasible(*SPACE))
    theirs.mark_imported("study theirs")
    found = plan(study, feasible(*SPACE))
    assert [one.parameters for one in found] == [{"lora.r": 16}, {"lora.r": 8}]
    assert "study.warm_start: old: no keys and not used: kind" in caplog.text


def test_an_imported_study_without_a_searched_key_is_refused(
    study: StudyConfig, feasible: Feasible, tmp_path: Path
) -> None:
    theirs = create_or_continue("old", f"sqlite:///{tmp_path}/old/study.db", ["x"], ["minimize"])
    ended(theirs, {"lr": FloatDistribution(0.1, 1.0)}, Outcome.COMPLETE, 2.0)
    theirs.mark_imported("study theirs")
    study.warm_start = ["old"]
    with pytest.raises(UserError) as error:
        plan(study, feasible(*SPACE))
    assert str(error.value) == (
        "study.warm_start: 'old' given, allowed: a study of searched keys; this one has lr: "
        "import it with keys={lr: KEY}"
    )


# Values and distributions


@pytest.mark.parametrize(
    ("over", "value", "expected"),
    [
        (CategoricalDistribution((8, 16)), 16, 16),
        (CategoricalDistribution((8, 16)), 12, OUTSIDE),
        (CategoricalDistribution(("[q,v]", "all-linear")), ["q", "v"], "[q,v]"),
        (CategoricalDistribution((None, 10)), None, None),
        (CategoricalDistribution((1.0, 2.0)), 2, 2.0),
        (FloatDistribution(0.0, 1.0), 1.0, 1.0),
        (FloatDistribution(0.0, 1.0), 1.1, OUTSIDE),
        (FloatDistribution(0.0, 1.0, step=0.1), 0.3, 0.3),
        (FloatDistribution(0.0, 1.0, step=0.1), 0.35, OUTSIDE),
        (IntDistribution(2, 10, step=4), 6, 6),
        (IntDistribution(2, 10, step=4), 8, OUTSIDE),
        (FloatDistribution(0.0, 1.0), None, OUTSIDE),
        (FloatDistribution(0.0, 1.0), True, OUTSIDE),
    ],
)
def test_a_value_is_a_member_of_a_distribution_or_outside(
    over: FloatDistribution, value: object, expected: object
) -> None:
    found = member(over, value)
    assert found is expected if expected in (None, OUTSIDE) else found == expected


def test_distributions_are_described_in_a_few_words() -> None:
    assert described(CategoricalDistribution((8, 16))) == "8, 16"
    assert described(FloatDistribution(1e-5, 1e-3, log=True)) == "1e-05 to 0.001, log"
    assert described(IntDistribution(2, 10, step=4)) == "2 to 10 in steps of 4"


def test_the_baseline_has_the_keys_of_its_own_adapter(
    study: StudyConfig, feasible: Feasible
) -> None:
    study.baseline = True
    conditions = {"vera.r": "adapter == 'vera'", "lora.r": "adapter == 'lora'"}
    params = {"vera.r": "choice(8,64)", "lora.r": "choice(8,16)", "adapter": "choice(vera,lora)"}
    space = feasible(params=params, conditions=conditions)
    [baseline] = initial_trials(study, True, space)
    assert baseline.parameters == {"adapter": "lora", "lora.r": 16}
