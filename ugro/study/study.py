"""The record of a study's trials in an Optuna storage; the driver writes it."""

import math
import operator
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from ugro.events.outcome import Outcome
from ugro.events.trial_report import TrialResult
from ugro.logs import use_root_handlers
from ugro.space.search_space import described
from ugro.study.storage import open_storage

DEFINITION = "definition"  # Optuna's name for it, of the study
TEST = "test of group"  # of the study, the group's number behind it: of trials, on the test part
ID = "id"  # of the study: its folder has it, too
GROUP = "group"  # of the study: the newest; of a trial: its own
DATA = "data of group"  # of the study, the group's number behind it: fingerprints
REASON = "reason"  # how a trial ended, of the trial
_OUTCOMES = frozenset(how.value for how in Outcome)
LONGEST = 2000  # characters of a traceback, its end: some databases store no more


@dataclass(frozen=True)
class Started:
    """A trial that runs, as the storage knows it."""

    number: int
    key: int  # the storage's own id


class Study:
    """An Optuna study in UGRO's terms: what was run, how it ended, what is best.

    After a change that makes values incomparable its trials form a new group. All that ranks,
    counts or continues trials looks at one group, the newest when the study was opened.

    Attributes:
        group: that one's number, from 0
    """

    def __init__(self, record: optuna.Study, storage: BaseStorage) -> None:
        self.record = record
        self._storage = storage
        self._key = storage.get_study_id_from_name(record.study_name)
        newest = record.user_attrs.get(GROUP, 0)  # of another program's study, anything
        self.group = newest if isinstance(newest, int) else 0

    @property
    def objectives(self) -> tuple[str, ...]:
        """The objectives' names; where another program gave none, what Optuna calls the values."""
        named, count = self.record.metric_names, len(self.record.directions)
        if named and len(set(named)) == count:  # another program may call two alike
            return tuple(named)
        return ("value",) if count == 1 else tuple(f"values_{one}" for one in range(count))

    @property
    def directions(self) -> tuple[str, ...]:
        """``minimize`` or ``maximize``, one an objective."""
        return tuple(direction.name.lower() for direction in self.record.directions)

    def beside(self, name: str) -> "Study":
        """Another study of the same storage.

        Raises:
            KeyError: there is none of this name.
        """
        return Study(optuna.load_study(study_name=name, storage=self._storage), self._storage)

    def trials(self) -> list[FrozenTrial]:
        """Every trial of the group that was started, by number."""
        return [one for one in self.of_all_groups() if group(one) == self.group]

    def of_all_groups(self) -> list[FrozenTrial]:
        """Every trial that was started, by number; one that another program enqueued was not."""
        run = [one for one in self.every() if ending(one) is not Outcome.WITHDRAWN]
        return [one for one in run if one.state is not TrialState.WAITING or ending(one)]

    def every(self) -> list[FrozenTrial]:
        """Every trial that the storage has, by number."""
        return self.record.get_trials(deepcopy=False)

    def finished(self) -> list[FrozenTrial]:
        """The trials that have ended."""
        return [trial for trial in self.trials() if trial.state.is_finished()]

    def unfinished(self) -> list[FrozenTrial]:
        """The trials that were interrupted: they are to go on."""
        return [trial for trial in self.trials() if trial.state is TrialState.WAITING]

    def failed(self) -> list[FrozenTrial]:
        """The trials that ended in an error."""
        return [trial for trial in self.trials() if ending(trial) is Outcome.FAILED]

    def best(self) -> FrozenTrial | None:
        """The complete trial with the best first objective; None before there is one."""
        return next(iter(self.ranked()), None)

    def ranked(self) -> list[FrozenTrial]:
        """The complete trials, the best first objective first."""
        complete = [trial for trial in self.trials() if trial.state is TrialState.COMPLETE]
        maximised = self.record.directions[0] is StudyDirection.MAXIMIZE
        return sorted(complete, key=lambda trial: trial.values[0], reverse=maximised)

    def front(self) -> list[FrozenTrial]:
        """The complete trials that no other one beats in every objective."""
        if len(self.record.directions) == 1:
            return self.ranked()[:1]
        signs = [-1 if one is StudyDirection.MAXIMIZE else 1 for one in self.record.directions]
        losses = {
            one.number: tuple(sign * value for sign, value in zip(signs, one.values, strict=True))
            for one in self.ranked()
        }
        front: set[tuple[float, ...]] = set()
        for own in sorted(set(losses.values())):  # what dominates a point comes before it
            if not any(all(map(operator.le, other, own)) for other in front):
                front.add(own)
        found = [one for one in self.trials() if losses.get(one.number) in front]
        return sorted(found, key=lambda trial: trial.values[0])

    def searched(self) -> dict[str, BaseDistribution]:
        """The keys that the trials searched, in order of first appearance, and over what."""
        return searched_by(self.trials())

    def definition(self) -> dict[str, str]:
        """What the study was when it was last begun; what is known of it, where none says so."""
        said = self.record.user_attrs.get(DEFINITION)
        return dict(said or {key: described(over) for key, over in self.searched().items()})

    @property
    def id(self) -> str:
        """What its folder has, too; empty where it was made before there were ids."""
        known = self.record.user_attrs.get(ID, "")
        return known if isinstance(known, str) else ""

    def identify(self, own: str) -> None:
        """Record its id."""
        self.record.set_user_attr(ID, own)

    def begin_group(self) -> None:
        """From now on trials form a new group."""
        self.take_group(self.group + 1)

    def take_group(self, number: int) -> None:
        """Take up a group of trials, where the record was made anew."""
        self.group = number
        self.record.set_user_attr(GROUP, number)

    def data(self) -> dict[str, dict[str, str]]:
        """Fingerprints of the data of the group's trials, by what of it they searched."""
        known = self.record.user_attrs.get(f"{DATA} {self.group}")
        return dict(known) if isinstance(known, dict) else {}

    def keep_data(self, of: str, parts: Mapping[str, str]) -> dict[str, str]:
        """Record fingerprints that are not known yet; those that are, with them.

        Args:
            of: what trials with this data have in common
            parts: fingerprints by the part's name
        """
        known = self.data()
        kept = {**parts, **known.get(of, {})}
        if known.get(of) != kept:
            self.record.set_user_attr(f"{DATA} {self.group}", {**known, of: kept})
        return kept

    def define(self, definition: Mapping[str, str]) -> None:
        """Record what the study is."""
        if self.record.user_attrs.get(DEFINITION) != dict(definition):
            self.record.set_user_attr(DEFINITION, dict(definition))

    def tests(self) -> dict[int, dict[str, float]]:
        """Return what trials measured on the test part, by their number, in that order."""
        found = self.record.user_attrs.get(f"{TEST} {self.group}")
        return {int(number): dict(measured) for number, measured in (found or {}).items()}

    def tested(self, number: int, measured: Mapping[str, float]) -> None:
        """Record what a trial measured on the test part."""
        tests = {str(key): value for key, value in self.tests().items()}
        self.record.set_user_attr(f"{TEST} {self.group}", {**tests, str(number): dict(measured)})

    def start(
        self,
        parameters: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
        source: str,
        driver: str = "",
    ) -> Started:
        """Record a trial that is about to run, in one transaction.

        Optuna's own ``ask`` takes a transaction for each parameter: 60 ms for eight of them.
        """
        template = create_trial(
            state=TrialState.RUNNING,
            params=dict(parameters),
            distributions=dict(distributions),
            user_attrs={"source": source, "driver": driver, GROUP: self.group},
        )
        key = self._storage.create_new_trial(self._key, template)
        return Started(self._storage.get_trial_number_from_id(key), key)

    def report(self, trial: Started, resource: int, value: float) -> None:
        """Record an intermediate value."""
        self._storage.set_trial_intermediate_value(trial.key, resource, value)

    def running(self) -> list[FrozenTrial]:
        """The trials that run, as far as is known."""
        return self.record.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    def retry(self, trial: Started, times: int, driver: str = "") -> bool:
        """Record that an interrupted trial goes on; False if another driver was faster.

        Args:
            trial: waiting, or running where only its worker was lost
            times: that it was retried
            driver: who runs it now
        """
        waits = self._storage.get_trial(trial.key).state is TrialState.WAITING
        if waits and not self._storage.set_trial_state_values(trial.key, TrialState.RUNNING):
            return False
        self._storage.set_trial_user_attr(trial.key, "driver", driver)
        self._storage.set_trial_user_attr(trial.key, "retried", times)
        return True

    def tell(
        self,
        trial: Started,
        how: Outcome,
        result: TrialResult | None = None,
        error: str = "",
        traceback: str = "",
    ) -> None:
        """Record how a trial ended, what it measured or what went wrong.

        It may be told again, where nobody knows whether the first time has reached the storage.
        """
        if self._storage.get_trial(trial.key).state.is_finished():
            return
        self._storage.set_trial_user_attr(trial.key, REASON, how.value)
        if error:
            self._storage.set_trial_user_attr(trial.key, "error", error)
        if traceback:
            self._storage.set_trial_user_attr(trial.key, "traceback", traceback[-LONGEST:])
        if result is not None:
            self._storage.set_trial_user_attr(trial.key, "metrics", dict(result.metrics))
        state = state_of(how)
        values = result.values if result and state is TrialState.COMPLETE else None
        if state is TrialState.PRUNED and len(self.record.directions) == 1:
            values = last_value(self._storage.get_trial(trial.key))
        self._storage.set_trial_state_values(trial.key, state, values)

    def close_abandoned(self, is_alive: Callable[[str], bool] = lambda driver: False) -> None:
        """Have trials wait to go on that a killed driver left running."""
        for trial in self.running():
            if not is_alive(driver(trial)):
                self.tell(started(trial), Outcome.INTERRUPTED)


def state_of(how: Outcome) -> TrialState:
    """Optuna's state of a trial that ended so; of a FAIL the sampler would learn nothing."""
    if how is Outcome.INTERRUPTED:
        return TrialState.WAITING
    if how.is_pruned:
        return TrialState.PRUNED
    return TrialState.COMPLETE if how.has_value else TrialState.FAIL


def started(trial: FrozenTrial) -> Started:
    """How the storage knows a trial."""
    return Started(trial.number, trial._trial_id)


def quieten() -> None:
    """Optuna tells of each trial, and at each start that multivariate TPE is experimental."""
    if optuna.logging.get_verbosity() != optuna.logging.WARNING:  # setting it takes a millisecond
        optuna.logging.set_verbosity(optuna.logging.WARNING)
    use_root_handlers("optuna")
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def last_value(trial: FrozenTrial) -> tuple[float] | None:
    """The last intermediate value, which Optuna takes for a pruned trial's value."""
    if trial.last_step is None:
        return None
    value = trial.intermediate_values[trial.last_step]
    return (value,) if math.isfinite(value) else None


def ending(trial: FrozenTrial) -> Outcome | None:
    """How a trial ended; None while it runs, and where another program ran it."""
    if trial.state is TrialState.RUNNING:
        return None  # of one that was interrupted and goes on the record still has that
    reason = trial.user_attrs.get(REASON)
    known = isinstance(reason, str) and reason in _OUTCOMES
    return Outcome(reason) if known else None


def metrics(trial: FrozenTrial) -> dict[str, float]:
    """What a trial measured; nothing where it did not end by itself."""
    found = trial.user_attrs.get("metrics")  # of another program's trial, whatever it calls so
    return dict(found) if isinstance(found, dict) else {}


def tokens_of(trial: FrozenTrial) -> int:
    """How many tokens a trial has trained on, as far as is known: to its last report or its end."""
    return int(metrics(trial).get("tokens_seen", trial.last_step or 0))


def retried(trial: FrozenTrial) -> int:
    """How often a trial was run again, as its worker was lost."""
    times = trial.user_attrs.get("retried", 0)
    return times if isinstance(times, int) else 0


def driver(trial: FrozenTrial) -> str:
    """Which driver runs a trial or ran it."""
    return str(trial.user_attrs.get("driver", ""))


def group(trial: FrozenTrial) -> int:
    """Which group of the study's trials it is one of."""
    own = trial.user_attrs.get(GROUP, 0)  # of another program's trial, whatever it calls so
    return own if isinstance(own, int) else 0


def searched_by(trials: Iterable[FrozenTrial]) -> dict[str, BaseDistribution]:
    """The keys that trials searched, in order of first appearance, and over what."""
    return {key: over for trial in trials for key, over in trial.distributions.items()}


def source(trial: FrozenTrial) -> str:
    """Who proposed a trial; nobody knows where another program did."""
    return str(trial.user_attrs.get("source", ""))


def create_or_continue(
    name: str, url: str, objectives: Sequence[str], directions: Sequence[str]
) -> Study:
    """The study of this name, new or as it was left."""
    quieten()
    storage = open_storage(url)
    record = optuna.create_study(
        study_name=name,
        storage=storage,
        directions=[StudyDirection[one.upper()] for one in directions],
        load_if_exists=True,
    )
    if record.metric_names is None and len(record.directions) == len(objectives):
        record.set_metric_names(list(objectives))
    return Study(record, storage)


def read(name: str, url: str) -> Study:
    """A study that exists.

    Raises:
        KeyError: there is none of this name.
    """
    quieten()
    storage = open_storage(url)
    return Study(optuna.load_study(study_name=name, storage=storage), storage)


def read_renamed(name: str, url: str) -> Study:
    """A study that exists, or the only one of its database: its folder may have another name.

    Raises:
        KeyError: there is none of this name, and not one alone.
    """
    try:
        return read(name, url)
    except KeyError:
        held = names(url)
        if len(held) != 1:
            raise
        return read(held[0], url)


def names(url: str) -> list[str]:
    """The studies that a storage holds."""
    quieten()
    return sorted(optuna.get_all_study_names(open_storage(url)))
