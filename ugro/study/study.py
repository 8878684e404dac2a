"""Read and write the record of a study's trials in an Optuna storage."""

import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
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
from ugro.study.trial_record import (
    GROUP,
    REASON,
    Started,
    driver,
    group,
    last_value,
    recorded_outcome,
    searched_by,
    started,
    state_of,
)

DEFINITION = "definition"  # attribute of the study
TEST = "test of group"  # of the study, followed by the group's number: metrics on the test part
ID = "id"  # of the study and its folder
IMPORTED = "imported from"  # of a study whose trials another program ran
DATA = "data of group"  # of the study, followed by the group's number: fingerprints
MAX_TRACEBACK = 2000  # last characters of a traceback; some databases limit the size


class Study:
    """An Optuna study in UGRO's terms: its trials, their outcomes and the best of them.

    A change that makes values incomparable starts a new group of trials. Methods that rank, count
    or resume trials consider one group, the newest when the study was opened.

    Attributes:
        group: number of that group, from 0
    """

    def __init__(self, record: optuna.Study, storage: BaseStorage) -> None:
        self.record = record
        self._storage = storage
        self._key = storage.get_study_id_from_name(record.study_name)
        newest = record.user_attrs.get(GROUP, 0)  # arbitrary in studies of other programs
        self.group = newest if isinstance(newest, int) else 0

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of the objectives; Optuna's names for studies of other programs."""
        named, count = self.record.metric_names, len(self.record.directions)
        if named and len(set(named)) == count:  # other programs may repeat a name
            return tuple(named)
        return ("value",) if count == 1 else tuple(f"values_{index}" for index in range(count))

    @property
    def directions(self) -> tuple[str, ...]:
        """``minimize`` or ``maximize`` per objective."""
        return tuple(direction.name.lower() for direction in self.record.directions)

    def beside(self, name: str) -> "Study":
        """Return another study in the same storage.

        Raises:
            KeyError: there is no study of this name.
        """
        return Study(optuna.load_study(study_name=name, storage=self._storage), self._storage)

    def trials(self) -> list[FrozenTrial]:
        """Return the started trials of the group, by number."""
        return [trial for trial in self.of_all_groups() if group(trial) == self.group]

    def of_all_groups(self) -> list[FrozenTrial]:
        """Return all started trials, by number; trials enqueued by other programs are not."""
        run = [trial for trial in self.every() if recorded_outcome(trial) is not Outcome.WITHDRAWN]
        return [
            trial
            for trial in run
            if trial.state is not TrialState.WAITING or recorded_outcome(trial)
        ]

    def every(self) -> list[FrozenTrial]:
        """Return all trials in the storage, by number."""
        return self.record.get_trials(deepcopy=False)

    def finished(self) -> list[FrozenTrial]:
        """Return the ended trials."""
        return [trial for trial in self.trials() if trial.state.is_finished()]

    def unfinished(self) -> list[FrozenTrial]:
        """Return the interrupted and paused trials, which can be resumed."""
        return [trial for trial in self.trials() if trial.state is TrialState.WAITING]

    def failed(self) -> list[FrozenTrial]:
        """Return the trials that ended with an error."""
        return [trial for trial in self.trials() if recorded_outcome(trial) is Outcome.FAILED]

    def best(self) -> FrozenTrial | None:
        """Return the complete trial with the best first objective; None without one."""
        return next(iter(self.ranked()), None)

    def ranked(self) -> list[FrozenTrial]:
        """Return the complete trials, best first objective first."""
        complete = [trial for trial in self.trials() if trial.state is TrialState.COMPLETE]
        maximised = self.record.directions[0] is StudyDirection.MAXIMIZE
        return sorted(complete, key=lambda trial: trial.values[0], reverse=maximised)

    def front(self) -> list[FrozenTrial]:
        """Return the complete trials on the Pareto front."""
        if len(self.record.directions) == 1:
            return self.ranked()[:1]
        signs = [-1 if each is StudyDirection.MAXIMIZE else 1 for each in self.record.directions]
        losses = {
            trial.number: tuple(s * value for s, value in zip(signs, trial.values, strict=True))
            for trial in self.ranked()
        }
        front: set[tuple[float, ...]] = set()
        for own in sorted(set(losses.values())):  # dominating points come first
            if not any(all(map(operator.le, other, own)) for other in front):
                front.add(own)
        found = [trial for trial in self.trials() if losses.get(trial.number) in front]
        return sorted(found, key=lambda trial: trial.values[0])

    def searched(self) -> dict[str, BaseDistribution]:
        """Return the searched keys in order of first appearance, with their distributions."""
        return searched_by(self.trials())

    def definition(self) -> dict[str, str]:
        """Return the definition recorded at the latest start, or what the trials imply."""
        recorded = self.record.user_attrs.get(DEFINITION)
        return dict(recorded or {key: described(over) for key, over in self.searched().items()})

    @property
    def id(self) -> str:
        """Id that its folder has, too; empty for studies from before ids were introduced."""
        known = self.record.user_attrs.get(ID, "")
        return known if isinstance(known, str) else ""

    def identify(self, own: str) -> None:
        """Record the id."""
        self.record.set_user_attr(ID, own)

    @property
    def imported_from(self) -> str:
        """Where the trials were imported from; empty unless another program ran them."""
        return str(self.record.user_attrs.get(IMPORTED, ""))

    def mark_imported(self, origin: str) -> None:
        """Record that the trials were imported, and from where."""
        self.record.set_user_attr(IMPORTED, origin)

    def begin_group(self) -> None:
        """Start a new group of trials."""
        self.take_group(self.group + 1)

    def take_group(self, number: int) -> None:
        """Set the group number in a rebuilt record."""
        self.group = number
        self.record.set_user_attr(GROUP, number)

    def data(self) -> dict[str, dict[str, str]]:
        """Return the data fingerprints of the group, by the searched part of the data."""
        known = self.record.user_attrs.get(f"{DATA} {self.group}")
        return dict(known) if isinstance(known, dict) else {}

    def keep_data(self, of: str, parts: Mapping[str, str]) -> dict[str, str]:
        """Record unknown fingerprints; return them with the known ones.

        Args:
            of: what trials with this data have in common
            parts: fingerprints by name of the part
        """
        known = self.data()
        kept = {**parts, **known.get(of, {})}
        if known.get(of) != kept:
            self.record.set_user_attr(f"{DATA} {self.group}", {**known, of: kept})
        return kept

    def define(self, definition: Mapping[str, str]) -> None:
        """Record the definition."""
        if self.record.user_attrs.get(DEFINITION) != dict(definition):
            self.record.set_user_attr(DEFINITION, dict(definition))

    def tests(self) -> dict[int, dict[str, float]]:
        """Return the metrics on the test part, by trial number in order of recording."""
        found = self.record.user_attrs.get(f"{TEST} {self.group}")
        return {int(number): dict(measured) for number, measured in (found or {}).items()}

    def tested(self, number: int, measured: Mapping[str, float]) -> None:
        """Record a trial's metrics on the test part."""
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

        Optuna's own ``ask`` takes a transaction per parameter: 60 ms for eight of them.
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
        """Return the trials recorded as running."""
        return self.record.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    def retry(self, trial: Started, times: int, driver: str = "") -> bool:
        """Record that a trial is resumed; return False if another driver was faster.

        Args:
            trial: interrupted, paused, or running if only its worker was lost
            times: number of retries
            driver: that runs it now
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
        outcome: Outcome,
        result: TrialResult | None = None,
        error: str = "",
        traceback: str = "",
    ) -> None:
        """Record a trial's outcome with its result or error.

        The call is idempotent, so it can be repeated if the storage may not have been reached.
        """
        if self._storage.get_trial(trial.key).state.is_finished():
            return
        self._storage.set_trial_user_attr(trial.key, REASON, outcome.value)
        if error:
            self._storage.set_trial_user_attr(trial.key, "error", error)
        if traceback:
            self._storage.set_trial_user_attr(trial.key, "traceback", traceback[-MAX_TRACEBACK:])
        if result is not None:
            self._storage.set_trial_user_attr(trial.key, "metrics", dict(result.metrics))
        state = state_of(outcome)
        values = result.values if result and state is TrialState.COMPLETE else None
        if state is TrialState.PRUNED and len(self.record.directions) == 1:
            values = last_value(self._storage.get_trial(trial.key))
        self._storage.set_trial_state_values(trial.key, state, values)

    def close_abandoned(self, is_alive: Callable[[str], bool] = lambda driver: False) -> None:
        """Mark running trials of dead drivers as interrupted."""
        for trial in self.running():
            if not is_alive(driver(trial)):
                self.tell(started(trial), Outcome.INTERRUPTED)


def silence_optuna() -> None:
    """Silence Optuna's messages for each trial and its warnings about experimental features."""
    if optuna.logging.get_verbosity() != optuna.logging.WARNING:  # setting it takes 1 ms
        optuna.logging.set_verbosity(optuna.logging.WARNING)
    use_root_handlers("optuna")
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def create_or_continue(
    name: str, url: str, objectives: Sequence[str], directions: Sequence[str]
) -> Study:
    """Return the study of this name, created if necessary."""
    silence_optuna()
    storage = open_storage(url)
    record = optuna.create_study(
        study_name=name,
        storage=storage,
        directions=[StudyDirection[direction.upper()] for direction in directions],
        load_if_exists=True,
    )
    if record.metric_names is None and len(record.directions) == len(objectives):
        record.set_metric_names(list(objectives))
    return Study(record, storage)


def read(name: str, url: str) -> Study:
    """Return an existing study.

    Raises:
        KeyError: there is no study of this name.
    """
    silence_optuna()
    storage = open_storage(url)
    return Study(optuna.load_study(study_name=name, storage=storage), storage)


def read_renamed(name: str, url: str) -> Study:
    """Return an existing study, or the only study of a database with a renamed folder.

    Raises:
        KeyError: there is neither a study of this name nor exactly one study.
    """
    try:
        return read(name, url)
    except KeyError:
        existing = names(url)
        if len(existing) != 1:
            raise
        return read(existing[0], url)


def names(url: str) -> list[str]:
    """Return the names of the studies in a storage."""
    silence_optuna()
    return sorted(optuna.get_all_study_names(open_storage(url)))
