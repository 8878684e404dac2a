from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from ugro.errors import UserError
from ugro.events.outcome import Outcome
from ugro.study.importing.foreign_study import ForeignStudy
from ugro.study.importing.wandb_run import Run
from ugro.study.importing.wandb_runs import distribution_of, study_of
from ugro.study.trial_record import metrics, recorded_outcome

BEGAN = datetime(2026, 3, 1, 10)
LOSS = {"eval/loss": "eval_loss"}


def run(loss: Any, state: str = "finished", **config: Any) -> Run:
    summary = {} if loss is None else {"eval/loss": loss, "acc": 0.5}
    return Run(f"run-{loss}", state, config, summary, began=BEGAN, seconds=60.0)


def study(*runs: Run, keys: dict[str, str] | None = None) -> ForeignStudy:
    return study_of(runs, "W&B", LOSS, ["minimize"], keys or {})


def test_states_of_runs_become_outcomes() -> None:
    states = ["finished", "killed", "failed", "crashed", "running", "finished", "finished"]
    losses = [2.5, 3.0, 2.0, None, 2.0, None, "NaN"]
    found = study(
        *(
            run(loss, state, lr=i)
            for i, (loss, state) in enumerate(zip(losses, states, strict=True))
        )
    )
    assert found.left_out == {"running": 1}
    assert [
        (recorded_outcome(trial), trial.values, trial.user_attrs.get("error"))
        for trial in found.trials.values()
    ] == [
        (Outcome.COMPLETE, [2.5], None),
        (Outcome.RUNG, [3.0], None),
        (Outcome.FAILED, None, "W&B: failed"),
        (Outcome.FAILED, None, "W&B: crashed"),
        (Outcome.FAILED, None, "W&B: no finite eval/loss"),
        (Outcome.FAILED, None, "W&B: no finite eval/loss"),
    ]
    first = found.trials[0]
    assert metrics(first) == {"eval_loss": 2.5, "acc": 0.5}
    assert first.datetime_start == BEGAN
    assert first.duration is not None
    assert first.duration.total_seconds() == 60.0


def test_values_that_differ_are_searched_and_constants_keys_and_names_are_not() -> None:
    runs = [
        run(2.0 + i, lr=10.0**-i, seed=7, output_dir=f"out/{i}", optimizer="ab"[i % 2])
        for i in range(4)
    ]
    assert study(*runs).parameters == ("lr", "optimizer")
    keys = {"lr": "training.learning_rate", "seed": "seed", "output_dir": "o"}
    named = study(*runs, keys=keys)
    assert named.parameters == ("training.learning_rate", "seed", "o", "optimizer")
    assert named.unknown == ("o", "optimizer")


def test_in_a_mixed_table_parameters_are_keys_or_named() -> None:
    row = {"lora.r": 8, "lr": 0.1, "train_loss": 1.0, "eval/loss": 2.0}
    mixed = [
        Run("x", "finished", {**row, "lr": lr}, {**row, "lr": lr}, is_mixed=True) for lr in (1, 2)
    ]
    found = study(*mixed, keys={"lr": "training.learning_rate"})
    assert found.parameters == ("lora.r", "training.learning_rate")
    assert metrics(found.trials[0]) == {"eval_loss": 2.0, "train_loss": 1.0}
    nameless = [
        Run("x", "finished", {"lr": 1, "eval/loss": 2}, {"lr": 1, "eval/loss": 2}, is_mixed=True)
    ]
    with pytest.raises(UserError, match=r"^keys: \{\} given, allowed: \{NAME: KEY\} for the sear"):
        study(*nameless)


def test_lists_are_written_as_on_the_command_line() -> None:
    found = study(
        *(
            run(2.0, **{"lora.target_modules": given})
            for given in (["q_proj", "v_proj"], "all-linear")
        )
    )
    [over] = found.trials[0].distributions.values()
    assert over == CategoricalDistribution(("[q_proj,v_proj]", "all-linear"))


def test_a_logged_curve_is_kept_for_a_single_objective() -> None:
    history = {0: {"eval/loss": 3.0}, 5: {"other": 1.0}, 10: {"eval/loss": "NaN"}}
    one = Run("x", "finished", {"lora.r": 8}, {"eval/loss": 2.0, "acc": 0.5}, history)
    assert list(study(one, keys={"lora.r": "lora.r"}).trials[0].intermediate_values) == [0, 10]
    both = {**LOSS, "acc": "accuracy"}
    two = study_of([one], "W&B", both, ["minimize", "maximize"], {"lora.r": "lora.r"})
    assert two.objectives == ("eval_loss", "accuracy")
    assert (two.trials[0].values, two.trials[0].intermediate_values) == ([2.0, 0.5], {})


@pytest.mark.parametrize(
    ("objectives", "directions", "line"),
    [
        ({}, [], "objective: None given, allowed: a number of the runs: eval/loss, acc"),
        ({"x": "x"}, ["minimize"], "objective: 'x' given, allowed: a number of the runs: eval/l"),
        (LOSS, [], "direction: None given, allowed: minimize or maximize, for each objective"),
    ],
)
def test_objectives_and_directions_have_to_be_given(
    objectives: dict[str, str], directions: list[str], line: str
) -> None:
    with pytest.raises(UserError) as error:
        study_of([run(2.0, lr=1), run(3.0, lr=2)], "W&B", objectives, directions, {})
    assert str(error.value).startswith(line)


@pytest.mark.parametrize(
    ("values", "over"),
    [
        ([8, 16], IntDistribution(8, 16)),
        ([4.0, 64], IntDistribution(4, 64, log=True)),
        ([1e-5, 1e-3], FloatDistribution(1e-5, 1e-3, log=True)),
        ([0.0, 0.5], FloatDistribution(0.0, 0.5)),
        (["a", "b", "a"], CategoricalDistribution(("a", "b"))),
        ([True, False], CategoricalDistribution((True, False))),
        ([None, 8], CategoricalDistribution((None, 8))),
    ],
)
def test_a_distribution_spans_the_values_that_occur(
    values: list[Any], over: BaseDistribution
) -> None:
    assert distribution_of(values) == over


@given(
    st.lists(
        st.none() | st.booleans() | st.integers(-99, 99) | st.floats(-9, 9) | st.text("ab"),
        min_size=1,
    )
)
def test_every_distribution_contains_its_values(values: list[Any]) -> None:
    over = distribution_of(values)
    assert all(over._contains(over.to_internal_repr(value)) for value in values)
