import pytest

from ugro.config import ConstraintsConfig
from ugro.errors import UserError
from ugro.objectives.constraints import broken, constraints_of, names

KEYS = {"lora.r": 16, "lora.alpha": 8.0, "seed": 1}


def test_constraints_on_results_are_checked_after_the_trial() -> None:
    expressions = ["lora.alpha >= lora.r", "peak_memory_mb <= 16000", "eval_loss < 3 or lora.r > 8"]
    constraints = constraints_of(ConstraintsConfig(expressions), KEYS.__contains__)
    assert [one.text for one in constraints.on_config] == expressions[:1]
    assert [one.text for one in constraints.on_results] == expressions[1:]
    assert names(ConstraintsConfig(expressions)) == {
        "lora.alpha",
        "lora.r",
        "peak_memory_mb",
        "eval_loss",
    }


def test_broken_constraints_are_returned_as_written() -> None:
    config = ConstraintsConfig(["lora.alpha >= lora.r", "seed == 1"])
    constraints = constraints_of(config, KEYS.__contains__)
    assert broken(constraints.on_config, KEYS.__getitem__) == ["lora.alpha >= lora.r"]


def test_an_unknown_name_is_reported_with_the_metrics() -> None:
    with pytest.raises(UserError) as error:
        constraints_of(ConstraintsConfig(["lora.rank <= 8"]), KEYS.__contains__)
    message = str(error.value)
    assert message.startswith("constraints.expressions: lora.rank <= 8: 'lora.rank' given, allowed")
    assert "latency_ms" in message


def test_an_invalid_expression_is_refused() -> None:
    with pytest.raises(UserError, match=r"lora\.r <: does not parse"):
        constraints_of(ConstraintsConfig(["lora.r <"]), KEYS.__contains__)
