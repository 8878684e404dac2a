"""Hypothesis strategies for studies with any state, key, objective and gap."""

from typing import Any

import optuna
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from ugro.events.outcome import Outcome
from ugro.study.study import Study
from ugro.study.trial_record import state_of

# Some are called as columns are; the last ones have changed while the study ran.
KEYS: dict[str, list[BaseDistribution]] = {
    "training.learning_rate": [FloatDistribution(1e-5, 1e-2, log=True)],
    "value": [FloatDistribution(-1.0, 1.0)],
    "state": [IntDistribution(1, 4), IntDistribution(2, 9)],
    "lora.r": [CategoricalDistribution((4, 8, 16)), CategoricalDistribution((8, 32))],
    "=modules": [CategoricalDistribution(("[q_proj,v_proj]", "all-linear", None, True))],
    "steps": [IntDistribution(1, 64, log=True), FloatDistribution(0.5, 2.0, step=0.5)],
}
NUMBERS = st.one_of(st.floats(1.0, 4.0), st.floats(allow_nan=False), st.just(2.0))
ENDINGS = [*(one for one in Outcome if one is not Outcome.WITHDRAWN), *[Outcome.COMPLETE] * 10]
NAMES = st.sampled_from(["eval_loss", "seconds", "number", "accuracy"])


@st.composite
def studies(draw: st.DrawFn) -> Study:
    """Draw a study of up to three objectives and forty trials, of UGRO or another program."""
    count = draw(st.integers(1, 3))
    directions = draw(st.lists(st.sampled_from(["minimize", "maximize"]), min_size=count,
                               max_size=count))  # fmt: skip
    storage = optuna.storages.InMemoryStorage()
    record = optuna.create_study(study_name="s", storage=storage, directions=directions)
    if draw(st.booleans()):
        record.set_metric_names(draw(st.lists(NAMES, min_size=count, max_size=count)))
    own, tells = draw(st.booleans()), draw(st.booleans())
    keys = draw(st.sampled_from([[], ["value"], ["value", "lora.r"], [*KEYS]]))
    many = draw(st.sampled_from([0, 1, 2, 5, 15, 40]))
    for trial in draw(st.lists(trials(count, keys, own, tells), min_size=many, max_size=many)):
        record.add_trial(trial)
    return Study(record, storage)


@st.composite
def trials(
    draw: st.DrawFn, objectives: int, keys: list[str], own: bool, tells: bool
) -> FrozenTrial:
    """A trial in any state.

    Args:
        keys: that it may search; one in five is left out
        own: whether UGRO ran it
        tells: whether its first objective depends on a key
    """
    over = {key: draw(st.sampled_from(KEYS[key])) for key in keys if draw(st.integers(0, 4))}
    parameters = {key: draw(within(one)) for key, one in over.items()}
    how = draw(st.sampled_from(ENDINGS))
    state = state_of(how) if own else draw(st.sampled_from(list(TrialState)))
    values = draw(st.lists(NUMBERS, min_size=objectives, max_size=objectives))
    values[0] = parameters.get("value", 0.5) if tells else values[0]
    attributes: dict[str, Any] = {"source": draw(st.sampled_from(["baseline", "sampler"]))}
    attributes |= {"reason": how.value, "metrics": {"eval_loss": values[0], "tokens_seen": 100}}
    others: dict[str, Any] = {"reason": ["bad"], "metrics": "none", "error": {"code": 1}}
    return create_trial(
        state=state,
        values=values if state is TrialState.COMPLETE else None,
        params=parameters,
        distributions=over,
        user_attrs=attributes if own else others,
        intermediate_values=draw(st.dictionaries(st.integers(0, 400), NUMBERS, max_size=4)),
    )


def within(over: BaseDistribution) -> st.SearchStrategy[Any]:
    """Draw a value of a distribution."""
    match over:
        case CategoricalDistribution(choices=choices):
            return st.sampled_from(choices)
        case IntDistribution(low=low, high=high):
            return st.integers(low, high)
        case FloatDistribution(low=low, high=high, step=float(step)):
            return st.integers(0, round((high - low) / step)).map(lambda at: low + at * step)
        case FloatDistribution(low=low, high=high):
            return st.floats(low, high)
    raise TypeError(over)
