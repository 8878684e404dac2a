"""Which searched keys mattered? By fANOVA and PED-ANOVA, with intervals; or data cannot tell.

fANOVA (Hutter et al. 2014, https://proceedings.mlr.press/v32/hutter14.html): the share of the
objective's variance over the whole space that a key explains by itself; what is left of 1 is the
keys' working together. PED-ANOVA (Watanabe et al. 2023, arXiv 2304.10255; with conditions: arXiv
2601.20800): how differently the best tenth of the trials is spread along a key. Both are Optuna's.
With several objectives both look at the first.
"""

import warnings
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from ugro.analysis.comparable import Comparable, comparable, ranked
from ugro.analysis.importance.points import Points, points_of
from ugro.analysis.importance.surrogate import surrogate
from ugro.analysis.tables import Tables
from ugro.study.study import Study

FANOVA, PED_ANOVA = "fANOVA", "PED-ANOVA"
# Below these and on noise alone, both methods name a winner: probed on made-up functions.
FEWEST, FEWEST_A_KEY = 12, 4  # trials
EXPLAINED = 0.2  # of the variance, by a forest asked about trials that it has not seen
DEALT = 20  # times that values are dealt out by chance; what was found must beat them all
UNSURE = 0.3  # a mean interval as wide as that, and none apart from another, is no order
ROUNDS, LOW, HIGH = 32, 10, 90  # of the bootstrap, and its percentiles
# So many trials are drawn for a round; Optuna's trees are plain Python, 0.1 s for each.
MOST_FANOVA, DEPTH, MOST_PED_ANOVA, MOST_SURROGATE = 500, 7, 2000, 1000
BEST, FEWEST_BEST = 0.1, 5  # PED-ANOVA's best tenth; Optuna's documentation asks for five trials


@dataclass(frozen=True)
class Importance:
    """How much a key mattered.

    Attributes:
        key: as its column is called in the tables
        share: 0 to 1, the median of the bootstrap
        low: its 10th percentile
        high: its 90th
    """

    key: str
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Importances:
    """How much each key mattered, by one method.

    Attributes:
        of: the largest first; empty where the data cannot tell
        why_not: a sentence, where it cannot
        basis: which values of which trials were looked at
    """

    method: str
    of: tuple[Importance, ...]
    why_not: str
    basis: str = ""


def importances_of(study: Study, tables: Tables, seed: int = 0) -> tuple[Importances, ...]:
    """Each method's findings; the same for the same trials.

    Args:
        study: its record, for what trials searched
        tables: its values
        seed: of all that is drawn
    """
    by_number = {trial.number: trial for trial in study.trials()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's, of what is asked for knowingly
        found = (
            _importances(FANOVA, _fanova, comparable(tables), by_number, seed),
            _importances(PED_ANOVA, _ped_anova, ranked(tables), by_number, seed),
        )
    named = [tuple(replace(one, key=tables.column(one.key)) for one in each.of) for each in found]
    return tuple(replace(each, of=of) for each, of in zip(found, named, strict=True))


@dataclass(frozen=True)
class _Data:
    """Trials as a method takes them; values are better where they are smaller."""

    trials: Sequence[FrozenTrial]
    points: Points
    values: NDArray[numpy.float64]

    @property
    def keys(self) -> list[str]:
        return [axis.key for axis in self.points.axes]


# Takes trials and a seed; a row a round, a column a key.
_Method = Callable[[_Data, int], "NDArray[numpy.float64] | str"]


def _importances(
    method: str,
    rounds_of: _Method,
    what: Comparable,
    by_number: Mapping[int, FrozenTrial],
    seed: int,
) -> Importances:
    values = what.values[numpy.isfinite(what.values)]
    trials = [by_number[number] for number in values.index]
    data = _Data(trials, points_of(trials), values.to_numpy(dtype="float64"))
    why_not = _too_little(data) or _unexplained(data, seed)
    if why_not:
        return Importances(method, (), why_not, what.of)
    rounds = rounds_of(data, seed)
    if isinstance(rounds, str):
        return Importances(method, (), rounds, what.of)
    shares, lows, highs = numpy.percentile(rounds, [50, LOW, HIGH], axis=0)
    found = [
        Importance(key, *map(float, three))
        for key, *three in zip(data.keys, shares, lows, highs, strict=True)
    ]
    found.sort(key=lambda one: -one.share)
    return Importances(method, () if (why := _no_order(found)) else tuple(found), why, what.of)


def _too_little(data: _Data) -> str:
    count, keys = len(data.trials), len(data.keys)
    if not keys:
        return "No key had more than one value."
    needed = max(FEWEST, FEWEST_A_KEY * keys)
    if count < needed:
        trials = f"{count} trial{'s' * (count != 1)}"
        return f"{trials} can be compared; for {keys} key{'s' * (keys != 1)} it takes {needed}."
    if numpy.ptp(data.values) == 0:
        return f"All {count} trials have the same value."
    return ""


def _unexplained(data: _Data, seed: int) -> str:
    some = _drawn(len(data.trials), MOST_SURROGATE, numpy.random.default_rng(seed))
    known = surrogate(data.points.filled()[some], data.values[some], seed).explained
    if known >= EXPLAINED:
        return ""
    return (
        f"The keys explain {known:.0%} of what {len(data.trials)} trials differ by (a random "
        f"forest, asked about trials that it had not seen): that is noise."
    )


def _no_order(found: Sequence[Importance]) -> str:
    """Whether intervals are so wide that the order says nothing."""
    wide = numpy.mean([one.high - one.low for one in found]) > UNSURE
    apart = max(one.low for one in found) > min(one.high for one in found)
    if len(found) == 1 or apart or not wide:
        return ""
    return "The intervals overlap so far that the keys' order is noise; it takes more trials."


def _drawn(count: int, most: int, draw: numpy.random.Generator) -> NDArray[numpy.int64]:
    return numpy.arange(count) if count <= most else draw.permutation(count)[:most]


# fANOVA


def _fanova(data: _Data, seed: int) -> NDArray[numpy.float64] | str:
    """One tree a round: the forest of Optuna's fANOVA grows each on a bootstrap sample."""
    draw = numpy.random.default_rng(seed)
    over: dict[str, BaseDistribution] = {key: FloatDistribution(0.0, 1.0) for key in data.keys}
    lines = [
        _trial(number, float(value), dict(zip(over, map(float, at), strict=True)), over)
        for number, (at, value) in enumerate(zip(data.points.filled(), data.values, strict=True))
    ]
    rounds = []
    for tree in range(ROUNDS):
        some = _study([lines[i] for i in _drawn(len(lines), MOST_FANOVA, draw)])
        forest = FanovaImportanceEvaluator(n_trees=1, max_depth=DEPTH, seed=seed + tree)
        try:
            found = forest.evaluate(some)
        except RuntimeError:  # the sample's values are all the same
            continue
        rounds.append([found[key] for key in over])
    return numpy.array(rounds) if rounds else "Hardly any trial's value differs from the others'."


# PED-ANOVA


def _ped_anova(data: _Data, seed: int) -> NDArray[numpy.float64] | str:
    """Bootstrapped, if the trials as they are say more than values that were dealt by chance."""
    draw = numpy.random.default_rng(seed)
    whole = _drawn(len(data.trials), MOST_PED_ANOVA, draw)
    trials, values = _searched_alike(data, whole), data.values[whole]
    count = len(trials)
    found = _divergences(trials, values, data.keys).max()
    chance = max(
        _divergences(trials, draw.permutation(values), data.keys).max() for _ in range(DEALT)
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


def _searched_alike(data: _Data, some: NDArray[numpy.int64]) -> list[FrozenTrial]:
    """The trials with one distribution a key, numbered as their values are.

    Where bounds have changed in a study that went on, Optuna would take each as a key of its own.
    """
    over = {axis.key: axis.over for axis in data.points.axes}
    has = ~numpy.isnan(data.points.at)
    made = []
    for number, index in enumerate(some):
        own = [key for key, there in zip(over, has[index], strict=True) if there]
        given = data.trials[index].params
        parameters = {key: given[key] for key in own}
        made.append(_trial(number, 0.0, parameters, {key: over[key] for key in own}))
    return made


def _divergences(
    trials: Sequence[FrozenTrial], values: NDArray[numpy.float64], keys: Sequence[str]
) -> NDArray[numpy.float64]:
    """A Pearson divergence a key, 0 where no trial of these has it."""
    share = min(max(BEST, FEWEST_BEST / len(trials)), 0.5)
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


class _These(InMemoryStorage):
    """A storage that has these trials, some perhaps twice, without a copy of each."""

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
    """A minimised study of these trials."""
    storage: BaseStorage = _These(trials)
    return optuna.create_study(storage=storage)
