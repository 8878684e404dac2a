import pytest

from tests.studies import ended, in_memory
from ugro.analysis.findings.best import Gain, baseline_of, best_of, front_of
from ugro.analysis.tables import tables_of
from ugro.events.outcome import Outcome


def test_the_best_has_its_parameters_as_overrides_to_paste() -> None:
    from tests.analysis.test_results import MODULES, R

    study = in_memory()
    ended(study, {"lora.r": R, "lora.target_modules": MODULES}, Outcome.COMPLETE, 1.5)
    best = best_of(study)
    assert best is not None
    assert (best.number, best.values) == (0, (1.5,))
    assert best.overrides == "lora.r=4 'lora.target_modules=[q_proj,v_proj]'"
    assert front_of(study) == ()


@pytest.mark.parametrize(
    ("direction", "values", "gain"),
    [
        ("minimize", (2.0, 3.0, 1.5), Gain("value", 2.0, 2, 1.5, 0.5, 0.25)),
        ("maximize", (2.0, 3.0, 1.5), Gain("value", 2.0, 1, 3.0, 1.0, 0.5)),
        ("maximize", (-4.0, -5.0, -1.0), Gain("value", -4.0, 2, -1.0, 3.0, 0.75)),
        ("minimize", (0.0, 1.0, -1.0), Gain("value", 0.0, 2, -1.0, 1.0, None)),
        ("minimize", (1.0, 2.0, 3.0), Gain("value", 1.0, 0, 1.0, 0.0, 0.0)),
    ],
)
def test_the_gain_is_above_zero_where_it_is_better(
    direction: str, values: tuple[float, ...], gain: Gain
) -> None:
    study = in_memory(direction)
    for number, value in enumerate(values):
        source = "sampler" if number else "baseline"
        ended(study, {}, Outcome.COMPLETE, value, source=source)
    baseline = baseline_of(tables_of(study))
    assert baseline is not None
    assert baseline.gains == (gain,)


def test_each_objective_has_a_gain_of_its_own() -> None:
    study = in_memory("minimize", "maximize", objectives=["loss", "speed"])
    ended(study, {}, Outcome.COMPLETE, 2.0, 10.0, source="baseline")
    ended(study, {}, Outcome.COMPLETE, 1.0, 5.0)
    ended(study, {}, Outcome.COMPLETE, 3.0, 40.0)
    baseline = baseline_of(tables_of(study))
    assert baseline is not None
    assert baseline.gains == (
        Gain("loss", 2.0, 1, 1.0, 1.0, 0.5),
        Gain("speed", 10.0, 2, 40.0, 30.0, 3.0),
    )
    assert [one.number for one in front_of(study)] == [1, 0, 2]


def test_a_baseline_without_a_value_has_no_gain() -> None:
    study = in_memory()
    assert baseline_of(tables_of(study)) is None
    ended(study, {}, Outcome.RUNG, source="baseline")
    baseline = baseline_of(tables_of(study))
    assert baseline is not None
    assert (baseline.number, baseline.ending, baseline.gains) == (0, "rung", ())
    assert best_of(study) is None
