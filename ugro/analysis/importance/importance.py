"""Importance of the searched keys by fANOVA and PED-ANOVA, with bootstrap intervals.

fANOVA (Hutter et al. 2014, https://proceedings.mlr.press/v32/hutter14.html) gives the share of the
objective's variance over the full space that a key explains by itself; interactions account for
the rest. PED-ANOVA (Watanabe et al. 2023, arXiv 2304.10255; conditional spaces: arXiv 2601.20800)
measures how the distribution of the best 10% of trials along a key differs from that of all trials.
Both implementations are Optuna's and use the first objective. Data that do not support a ranking
give a reason instead of importances.
"""

import warnings
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from ugro.analysis.comparable import Comparable, comparable, ranked
from ugro.analysis.importance.points import Points, points_of
from ugro.analysis.importance.surrogate import surrogate
from ugro.analysis.tables import Tables
from ugro.formatting import counted
from ugro.study.study import Study

FANOVA, PED_ANOVA = "fANOVA", "PED-ANOVA"
# With fewer trials, or on pure noise, both methods still rank keys (tested on synthetic functions).
MIN_TRIALS, MIN_TRIALS_PER_KEY = 12, 4  # trials
MIN_EXPLAINED = 0.2  # minimum share of variance explained out of bag by a random forest
PERMUTATIONS = 20  # random permutations of the values that the result must exceed
MAX_MEAN_WIDTH = 0.3  # mean interval width above which overlapping intervals give no order
ROUNDS, LOW, HIGH = 32, 10, 90  # bootstrap rounds and percentiles
# Maximum trials per round; Optuna's trees are pure Python and take 0.1 s each.
MAX_FANOVA, DEPTH, MAX_PED_ANOVA, MAX_SURROGATE = 500, 7, 2000, 1000
BEST, MIN_BEST = 0.1, 5  # PED-ANOVA's share of best trials and Optuna's recommended minimum


@dataclass(frozen=True)
class Importance:
    """Importance of a key.

    Attributes:
        key: column name of the key
        share: median of the bootstrap, 0 to 1
        low: 10th percentile
        high: 90th percentile
    """

    key: str
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Importances:
    """Importance of all keys by one method.

    Attributes:
        method: name of the method
        of: importances, the largest first; empty if the data do not support a ranking
        why_not: why there are no importances, a sentence
        basis: description of the values used
    """

    method: str
    of: tuple[Importance, ...]
    why_not: str
    basis: str = ""


def importances_of(study: Study, tables: Tables, seed: int = 0) -> tuple[Importances, ...]:
    """Compute the importances by both methods, deterministically.

    Args:
        study: record of the study
        tables: tables of the study
        seed: seed of all random choices
    """
    by_number = {trial.number: trial for trial in study.trials()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Optuna, about experimental features used on purpose
        found = (
            _importances(FANOVA, _fanova, comparable(tables), by_number, seed),
            _importances(PED_ANOVA, _ped_anova, ranked(tables), by_number, seed),
        )
    named = [
        tuple(replace(importance, key=tables.column(importance.key)) for importance in each.of)
        for each in found
    ]
    return tuple(replace(each, of=of) for each, of in zip(found, named, strict=True))


@dataclass(frozen=True)
class _Data:
    """Trials as input of a method; smaller values are better."""

    trials: Sequence[FrozenTrial]
    points: Points
    values: NDArray[numpy.float64]

    @property
    def keys(self) -> list[str]:
        return [axis.key for axis in self.points.axes]


# Takes trials and a seed; returns [rounds, keys] or why there is no result.
_Method = Callable[[_Data, int], "NDArray[numpy.float64] | str"]


def _importances(
    method: str,
    rounds_of: _Method,
    comparison: Comparable,
    by_number: Mapping[int, FrozenTrial],
    seed: int,
) -> Importances:
    values = comparison.values[numpy.isfinite(comparison.values)]
    trials = [by_number[number] for number in values.index]
    data = _Data(trials, points_of(trials), values.to_numpy(dtype="float64"))
    why_not = _too_few_trials(data) or _unexplained(data, seed)
    if why_not:
        return Importances(method, (), why_not, comparison.of)
    rounds = rounds_of(data, seed)
    if isinstance(rounds, str):
        return Importances(method, (), rounds, comparison.of)
    shares, lows, highs = numpy.percentile(rounds, [50, LOW, HIGH], axis=0)
    found = [
        Importance(key, *map(float, three))
        for key, *three in zip(data.keys, shares, lows, highs, strict=True)
    ]
    found.sort(key=lambda importance: -importance.share)
    return Importances(
        method, () if (why := _no_order(found)) else tuple(found), why, comparison.of
    )


def _too_few_trials(data: _Data) -> str:
    count, keys = len(data.trials), len(data.keys)
    if not keys:
        return "No key had more than one value."
    needed = max(MIN_TRIALS, MIN_TRIALS_PER_KEY * keys)
    if count < needed:
        there = "there is 1" if count == 1 else f"there are {count}"
        return f"It needs {needed} comparable trials for {counted(keys, 'key')}; {there}."
    if numpy.ptp(data.values) == 0:
        return f"All {count} trials have the same value."
    return ""


def _unexplained(data: _Data, seed: int) -> str:
    sample = _sample(len(data.trials), MAX_SURROGATE, numpy.random.default_rng(seed))
    known = surrogate(data.points.filled()[sample], data.values[sample], seed).explained
    if known >= MIN_EXPLAINED:
        return ""
    return (
        f"The keys explain {known:.0%} of what {len(data.trials)} trials differ by (a random "
        f"forest, asked about trials that it had not seen): that is noise."
    )


def _no_order(found: Sequence[Importance]) -> str:
    """Return a reason if the intervals are too wide for an order."""
    wide = numpy.mean([importance.high - importance.low for importance in found]) > MAX_MEAN_WIDTH
    apart = max(importance.low for importance in found) > min(
        importance.high for importance in found
    )
    if len(found) == 1 or apart or not wide:
        return ""
    return "The intervals overlap so far that the keys' order is noise; it takes more trials."


def _sample(count: int, most: int, draw: numpy.random.Generator) -> NDArray[numpy.int64]:
    return numpy.arange(count) if count <= most else draw.permutation(count)[:most]


# fANOVA


def _fanova(data: _Data, seed: int) -> NDArray[numpy.float64] | str:
    """Fit one tree per round; the forest of Optuna's fANOVA bootstraps the trials of each."""
    from optuna.importance import FanovaImportanceEvaluator  # with scikit-learn, a second

    draw = numpy.random.default_rng(seed)
    over: dict[str, BaseDistribution] = {key: FloatDistribution(0.0, 1.0) for key in data.keys}
    lines = [
        _trial(number, float(value), dict(zip(over, map(float, at), strict=True)), over)
        for number, (at, value) in enumerate(zip(data.points.filled(), data.values, strict=True))
    ]
    rounds = []
    for tree in range(ROUNDS):
        sample = _study([lines[i] for i in _sample(len(lines), MAX_FANOVA, draw)])
        forest = FanovaImportanceEvaluator(n_trees=1, max_depth=DEPTH, seed=seed + tree)
        try:
            found = forest.evaluate(sample)
        except RuntimeError:  # all values of the sample are equal
            continue
        rounds.append([found[key] for key in over])
    return numpy.array(rounds) if rounds else "Hardly any trial's value differs from the others'."


# PED-ANOVA


def _ped_anova(data: _Data, seed: int) -> NDArray[numpy.float64] | str:
    """Bootstrap the divergences if they exceed those of randomly permuted values."""
    draw = numpy.random.default_rng(seed)
    sample = _sample(len(data.trials), MAX_PED_ANOVA, draw)
    trials, values = _with_common_distributions(data, sample), data.values[sample]
    count = len(trials)
    found = _divergences(trials, values, data.keys).max()
    chance = max(
        _divergences(trials, draw.permutation(values), data.keys).max() for _ in range(PERMUTATIONS)
    )
    if found <= chance:
        return (
            f"Among {count} trials the best are spread over the keys no differently than "
            "some drawn by chance."
        )
    rounds = []
    for _ in range(ROUNDS):
        sample = draw.integers(0, count, count)
        diverged = _divergences([trials[i] for i in sample], values, data.keys)
        if diverged.sum() > 0:
            rounds.append(diverged / diverged.sum())
    return numpy.array(rounds) if rounds else "The best trials are spread as all are."


def _with_common_distributions(data: _Data, sample: NDArray[numpy.int64]) -> list[FrozenTrial]:
    """Return the trials with a single distribution per key, numbered like their values.

    A resumed study may have changed bounds, which Optuna would treat as separate keys.
    """
    over = {axis.key: axis.over for axis in data.points.axes}
    has = ~numpy.isnan(data.points.at)
    made = []
    for number, index in enumerate(sample):
        own = [key for key, there in zip(over, has[index], strict=True) if there]
        given = data.trials[index].params
        parameters = {key: given[key] for key in own}
        made.append(_trial(number, 0.0, parameters, {key: over[key] for key in own}))
    return made


def _divergences(
    trials: Sequence[FrozenTrial], values: NDArray[numpy.float64], keys: Sequence[str]
) -> NDArray[numpy.float64]:
    """Return the Pearson divergence of each key, 0 for keys without values."""
    from optuna.importance import PedAnovaImportanceEvaluator

    share = min(max(BEST, MIN_BEST / len(trials)), 0.5)
    evaluator = PedAnovaImportanceEvaluator(target_quantile=share)
    found = evaluator.evaluate(_study(trials), target=lambda trial: float(values[trial.number]))
    return numpy.array([found.get(key, 0.0) for key in keys])


# Studies for Optuna's evaluators


def _trial(
    number: int,
    value: float,
    parameters: dict[str, Any],
    over: dict[str, BaseDistribution],
) -> FrozenTrial:
    made = create_trial(value=value, params=parameters, distributions=over)
    made.number = made._trial_id = number
    return made


class _TrialsStorage(InMemoryStorage):
    """Storage of given trials, possibly repeated, without copying them."""

    def __init__(self, trials: Sequence[FrozenTrial]) -> None:
        super().__init__()
        self._these = list(trials)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        return self._these


def _study(trials: Sequence[FrozenTrial]) -> optuna.Study:
    """Return a minimised study with these trials."""
    storage: BaseStorage = _TrialsStorage(trials)
    return optuna.create_study(storage=storage)
