"""Values worked out by hand for a loss of 3 nats, 400 ms latency and an accuracy of 0.8."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ugro.config import Direction, Mode, ObjectiveConfig, ObjectivesConfig
from ugro.config.validation.objectives import objective_faults
from ugro.errors import UserError
from ugro.objectives.objectives import Objectives, objectives_of

LOSS = ObjectiveConfig(Direction.minimize, weight=0.7, best=2.0, worst=4.0)
LATENCY = ObjectiveConfig(Direction.minimize, weight=0.3, best=100.0, worst=1100.0)
ACCURACY = ObjectiveConfig(Direction.maximize, weight=0.3, best=0.9, worst=0.5)
LOSS_LATENCY = {"eval_loss": LOSS, "latency_ms": LATENCY}
LOSS_ACCURACY = {"eval_loss": LOSS, "accuracy": ACCURACY}
ACCURACY_LOSS = {"accuracy": ACCURACY, "eval_loss": LOSS}

MEASURED = {"eval_loss": 3.0, "latency_ms": 400.0, "accuracy": 0.8, "steps": 10}
REPORTED = {"eval_loss": 3.0, "accuracy": 0.8, "train_loss": 3.1}  # latency_ms comes at the end

EVERY_MODE = pytest.mark.parametrize("mode", list(Mode))


def objectives(mode: Mode, metrics: dict[str, ObjectiveConfig]) -> Objectives:
    return objectives_of(ObjectivesConfig(mode, metrics))


@EVERY_MODE
@pytest.mark.parametrize(("name", "progress"), [("eval_loss", 3.0), ("accuracy", -0.8)])
def test_a_single_metric_is_the_value(name: str, progress: float, mode: Mode) -> None:
    alone = objectives(mode, {name: LOSS_ACCURACY[name]})
    assert alone.names == (name,)
    assert alone.directions == (LOSS_ACCURACY[name].direction,)
    assert alone.values(MEASURED) == (MEASURED[name],)
    assert alone.intermediate(REPORTED) == MEASURED[name]
    assert alone.progress(REPORTED) == progress


@pytest.mark.parametrize(
    ("mode", "metrics", "direction", "value"),
    [
        # 0.7 / (1 + 3) + 0.3 * 0.8
        (Mode.scalarized, LOSS_ACCURACY, Direction.maximize, 0.175 + 0.24),
        # half way from 2 to 4 nats: 0.7 * 0.5; 300 of 1,000 ms: 0.3 * 0.3
        (Mode.chebyshev, LOSS_LATENCY, Direction.minimize, 0.35 + 0.05 * (0.35 + 0.09)),
        # a quarter of the way from 0.9 down to 0.5: 0.3 * 0.25
        (Mode.chebyshev, LOSS_ACCURACY, Direction.minimize, 0.35 + 0.05 * (0.35 + 0.075)),
    ],
)
def test_several_metrics_become_one_score(
    mode: Mode, metrics: dict[str, ObjectiveConfig], direction: Direction, value: float
) -> None:
    several = objectives(mode, metrics)
    assert several.names == ("composite_score",)
    assert several.directions == (direction,)
    assert several.values(MEASURED) == (pytest.approx(value),)


def test_pareto_keeps_each_metric() -> None:
    front = objectives(Mode.pareto, LOSS_ACCURACY)
    assert front.names == ("eval_loss", "accuracy")
    assert front.directions == (Direction.minimize, Direction.maximize)
    assert front.values(MEASURED) == (3.0, 0.8)


def test_better_than_the_best_reference_point_still_counts() -> None:
    (value,) = objectives(Mode.chebyshev, LOSS_LATENCY).values({"eval_loss": 1, "latency_ms": 100})
    # half a distance below the best loss: 0.7 * -0.5; at the best latency: 0, the larger
    assert value == pytest.approx(0.05 * -0.35)


@EVERY_MODE
def test_a_missing_objective_is_named_with_what_was_measured(mode: Mode) -> None:
    with pytest.raises(UserError) as error:
        objectives(mode, LOSS_LATENCY).values({"train_loss": 3.1, "eval_loss": 3.0})
    measured = "what the trial measured: eval_loss, train_loss"
    assert str(error.value) == f"objectives.metrics: 'latency_ms' given, allowed: {measured}"


@EVERY_MODE
@pytest.mark.parametrize("metrics", [{"latency_ms": LATENCY}, LOSS_LATENCY])
def test_nan_is_no_value(metrics: dict[str, ObjectiveConfig], mode: Mode) -> None:
    with pytest.raises(FloatingPointError, match=r"^latency_ms is not a number$"):
        objectives(mode, metrics).values({**MEASURED, "latency_ms": math.nan})


def test_scalarized_refuses_a_minimised_value_of_minus_one() -> None:
    with pytest.raises(UserError, match=r"eval_loss: -1\.0 given.*above -1.*mode=chebyshev"):
        objectives(Mode.scalarized, LOSS_LATENCY).values({**MEASURED, "eval_loss": -1.0})


@pytest.mark.parametrize(
    ("mode", "metrics", "intermediate", "progress"),
    [
        (Mode.scalarized, LOSS_LATENCY, 0.7 / 4, -0.7 / 4),
        (Mode.chebyshev, LOSS_LATENCY, 0.35 * 1.05, 0.35 * 1.05),
        (Mode.pareto, LOSS_LATENCY, -0.7 / 4, -0.7 / 4),  # the first value is minimised
        (Mode.pareto, ACCURACY_LOSS, 0.175 + 0.24, -0.175 - 0.24),  # here it is maximised
    ],
)
def test_progress_uses_reported_metrics_and_is_minimised(
    mode: Mode, metrics: dict[str, ObjectiveConfig], intermediate: float, progress: float
) -> None:
    several = objectives(mode, metrics)
    assert several.intermediate(REPORTED) == pytest.approx(intermediate)
    assert several.progress(REPORTED) == pytest.approx(progress)


@EVERY_MODE
def test_maximised_objectives_are_negated(mode: Mode) -> None:
    assert objectives(mode, LOSS_ACCURACY).minimised(REPORTED) == (3.0, -0.8)
    assert objectives(mode, LOSS_LATENCY).minimised(REPORTED) == (3.0,)


@EVERY_MODE
@pytest.mark.parametrize("metrics", [{"latency_ms": LATENCY}, LOSS_LATENCY])
def test_a_report_with_none_of_the_objectives_is_refused(
    metrics: dict[str, ObjectiveConfig], mode: Mode
) -> None:
    with pytest.raises(UserError, match=r"latency_ms' given, .*reported: accuracy, train_loss$"):
        objectives(mode, metrics).progress({"train_loss": 3.1, "accuracy": 0.8})


@EVERY_MODE
@pytest.mark.parametrize("metrics", [{"eval_loss": LOSS}, LOSS_ACCURACY, ACCURACY_LOSS])
def test_progress_is_nan_if_an_objective_is(
    metrics: dict[str, ObjectiveConfig], mode: Mode
) -> None:
    assert math.isnan(objectives(mode, metrics).progress({**REPORTED, "eval_loss": math.nan}))


AMOUNTS = st.floats(0, 1e4)


@st.composite
def configured(draw: st.DrawFn, mode: Mode) -> Objectives:
    """Two to four objectives with valid reference points."""
    metrics = {}
    for name in ("a", "b", "c", "d")[: draw(st.integers(2, 4))]:
        low = draw(st.floats(-100, 100))
        points = low, low + draw(st.floats(0.01, 100))
        direction = draw(st.sampled_from(Direction))
        best, worst = points if direction is Direction.minimize else points[::-1]
        metrics[name] = ObjectiveConfig(direction, draw(st.floats(0.01, 100)), best, worst)
    return objectives(mode, metrics)


def changed(one: ObjectiveConfig, **values: float | None) -> ObjectiveConfig:
    return ObjectiveConfig(**{**vars(one), **values})


@EVERY_MODE
@given(data=st.data())
def test_a_dominating_trial_never_has_a_worse_score(mode: Mode, data: st.DataObject) -> None:
    several = data.draw(configured(mode))
    pairs = {name: sorted(data.draw(st.tuples(AMOUNTS, AMOUNTS))) for name in several.metrics}
    better, worse = {}, {}
    for name, one in several.metrics.items():
        first, second = pairs[name] if one.direction is Direction.minimize else pairs[name][::-1]
        better[name], worse[name] = first, second
    assert several.progress(better) <= several.progress(worse)


@given(data=st.data(), name=st.sampled_from(["a", "b"]))
def test_chebyshev_never_ties_with_a_weakly_dominated_trial(name: str, data: st.DataObject) -> None:
    several = data.draw(configured(Mode.chebyshev))
    one = several.metrics[name]
    worse = {key: data.draw(AMOUNTS) for key in several.metrics}
    better = {**worse, name: worse[name] + one.best - one.worst}  # by the full distance
    assert several.progress(better) < several.progress(worse)


@given(data=st.data(), factor=st.floats(1e-3, 1e6))
def test_chebyshev_does_not_depend_on_units(factor: float, data: st.DataObject) -> None:
    several = data.draw(configured(Mode.chebyshev))
    measured = {name: data.draw(AMOUNTS) for name in several.metrics}
    one = several.metrics["a"]
    scaled = changed(one, best=one.best * factor, worst=one.worst * factor)
    other_units = objectives(Mode.chebyshev, {**several.metrics, "a": scaled})
    (value,) = other_units.values({**measured, "a": measured["a"] * factor})
    assert value == pytest.approx(several.values(measured)[0], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("mode", [Mode.scalarized, Mode.chebyshev])
@given(data=st.data(), factor=st.floats(0.01, 100))
def test_weights_scale_the_score(mode: Mode, factor: float, data: st.DataObject) -> None:
    several = data.draw(configured(mode))
    measured = {name: data.draw(AMOUNTS) for name in several.metrics}
    heavier = {n: changed(one, weight=one.weight * factor) for n, one in several.metrics.items()}
    (value,) = objectives(mode, heavier).values(measured)
    assert value == pytest.approx(several.values(measured)[0] * factor, rel=1e-9, abs=1e-9)


@EVERY_MODE
@pytest.mark.parametrize("metrics", [{"eval_loss": LOSS}, LOSS_LATENCY, LOSS_ACCURACY])
def test_valid_objectives_have_no_faults(metrics: dict[str, ObjectiveConfig], mode: Mode) -> None:
    assert list(objective_faults(ObjectivesConfig(mode, metrics), MEASURED, REPORTED)) == []


METRIC = "objectives.metrics.eval_loss"


@pytest.mark.parametrize(
    ("mode", "metrics", "line"),
    [
        (Mode.pareto, {}, "objectives.metrics: {} given, allowed: at least one metric"),
        (
            Mode.scalarized,
            {"loss": LOSS},
            "objectives.metrics: 'loss' given, allowed: eval_loss, latency_ms, accuracy, steps",
        ),
        *(
            (
                mode,
                {"eval_loss": changed(LOSS, weight=weight)},
                f"{METRIC}.weight: {weight} given, allowed: above 0",
            )
            for mode in Mode
            for weight in (0.0, -0.5, math.inf, math.nan)
        ),
        *(
            (
                Mode.chebyshev,
                {**LOSS_LATENCY, "eval_loss": changed(LOSS, **{side: None})},
                f"{METRIC}: {points} given, "
                "allowed: two reference points, as objectives.mode is chebyshev",
            )
            for side, points in (
                ("best", "{'best': None, 'worst': 4.0}"),
                ("worst", "{'best': 2.0, 'worst': None}"),
            )
        ),
        *(
            (
                Mode.chebyshev,
                {**LOSS_LATENCY, "eval_loss": changed(LOSS, best=best)},
                f"{METRIC}.best: {best} given, allowed: below worst, 4",
            )
            for best in (4.0, 5.0, math.nan)
        ),
        *(
            (
                Mode.chebyshev,
                {**LOSS_ACCURACY, "accuracy": changed(ACCURACY, best=best)},
                f"objectives.metrics.accuracy.best: {best} given, allowed: above worst, 0.5",
            )
            for best in (0.5, 0.1, math.nan)
        ),
    ],
)
def test_invalid_objectives_are_reported(
    mode: Mode, metrics: dict[str, ObjectiveConfig], line: str
) -> None:
    assert list(objective_faults(ObjectivesConfig(mode, metrics), MEASURED, REPORTED)) == [line]


@pytest.mark.parametrize(
    ("mode", "metrics"),
    [
        (Mode.scalarized, LOSS_LATENCY),
        (Mode.pareto, LOSS_LATENCY),
        (Mode.chebyshev, {"eval_loss": LOSS}),
    ],
)
def test_reference_points_are_for_chebyshev_of_several_metrics(
    mode: Mode, metrics: dict[str, ObjectiveConfig]
) -> None:
    bare = {name: changed(one, best=None, worst=None) for name, one in metrics.items()}
    assert list(objective_faults(ObjectivesConfig(mode, bare), MEASURED, REPORTED)) == []


def test_metrics_of_a_trials_end_cannot_be_the_only_objectives() -> None:
    (line,) = objective_faults(
        ObjectivesConfig(Mode.pareto, {"latency_ms": LOSS}), MEASURED, REPORTED
    )
    assert line.startswith("objectives.metrics: 'latency_ms' given, allowed: at least one that is")


def test_negative_values_are_ordered_in_a_front_as_in_any_other() -> None:
    both = {"eval_loss": LOSS, "gap": ObjectiveConfig(Direction.minimize)}
    front = objectives(Mode.pareto, both)
    values = [
        front.progress({"eval_loss": 2.0, "gap": gap}) for gap in (-3.0, -1.0, -0.5, 0.0, 1.0)
    ]
    assert values == sorted(values, key=float)
    assert len(set(values)) == 5
