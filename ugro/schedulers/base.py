"""Interfaces of trial schedulers, compatible with Ray Tune's classes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy
from numpy.random import Generator
from numpy.typing import NDArray

Array = NDArray[numpy.float64]
STOP = "STOP"  # Ray Tune's values
CONTINUE = "CONTINUE"
PAUSE = "PAUSE"


@dataclass(frozen=True)
class Handle:
    """Trial as a scheduler sees it.

    Attributes:
        trial_id: its number
        config: its searched parameters
    """

    trial_id: str
    config: Mapping[str, Any] = field(default_factory=dict, compare=False)


class TrialScheduler(Protocol):
    """Scheduler that decides at each result whether the trial continues.

    A result holds the resource under the scheduler's ``time_attr``, the compared value under its
    ``metric``, the objectives as ``values`` (a tuple, all minimised), ``elapsed_seconds`` since the
    trial started, the ``metric`` of the untrained model as ``untrained`` (None if unknown), and as
    ``decided`` what an earlier or another driver did at this result (None if it is new).
    """

    def on_trial_add(self, controller: Any, trial: Handle) -> None:
        """Register a new trial."""

    def on_trial_result(self, controller: Any, trial: Handle, result: Mapping[str, Any]) -> str:
        """Return ``STOP`` or ``CONTINUE``; a :class:`PausingScheduler` may return ``PAUSE``."""

    def on_trial_remove(self, controller: Any, trial: Handle) -> None:
        """Remove a finished trial."""


class Cube(Protocol):
    """The search space as a unit cube, a coordinate per searched key.

    The coordinate of a key that a configuration lacks is NaN.
    """

    @property
    def dimensions(self) -> int:
        """Number of searched keys."""

    def point(self, parameters: Mapping[str, Any]) -> Array:
        """Return the point of a configuration, [keys]."""

    def parameters(self, point: Array) -> dict[str, Any]:
        """Return the configuration at a point; the opposite of :meth:`point`."""

    def squared_distances(self, first: Array, second: Array) -> Array:
        """Return the squared distance between points along each key.

        Args:
            first: points, [m, keys]
            second: points, [n, keys]

        Returns:
            Squared distances, [keys, m, n].
        """

    def log_prior(self, points: Array) -> Array:
        """Return the logarithm of the prior density of points, [n]; 0 if it is uniform."""

    def random(self, count: int, generator: Generator) -> Array:
        """Return random points, [count, keys]."""

    def neighbours(self, point: Array, count: int, width: float, generator: Generator) -> Array:
        """Return points that differ from a point in a few keys, [count, keys].

        Args:
            point: the point, [keys]
            count: number of neighbours
            width: standard deviation of the difference along a continuous key
            generator: source of randomness
        """


@runtime_checkable
class ModelScheduler(TrialScheduler, Protocol):
    """Scheduler that models how the objective depends on the configuration, and proposes some."""

    def on_study(self, cube: Cube, trials: int, seed: int) -> None:
        """Take what is known of the study before its first trial.

        Args:
            cube: the search space
            trials: largest number of trials
            seed: seed of proposals
        """

    def propose(self) -> Mapping[str, Any] | None:
        """Return the configuration of the next new trial; None if the sampler is to propose."""


@runtime_checkable
class PausingScheduler(TrialScheduler, Protocol):
    """Scheduler that also pauses trials, and chooses at each free slot which of them resumes.

    A trial that cannot be paused continues as if the answer had been ``CONTINUE``.
    """

    def choose_paused(
        self, paused: Collection[Handle], can_start: bool, is_idle: bool
    ) -> Handle | None:
        """Return the paused trial that resumes in a free slot, or None.

        With None a new trial starts. If none can start, the slot stays free; if no trial is
        running either, the study ends, and its paused trials are kept.

        Args:
            paused: trials that can be resumed
            can_start: whether a new trial can start instead
            is_idle: whether no trial is running, this slot's included
        """

    def on_trial_resume(self, trial: Handle) -> None:
        """Note that a paused trial resumes, also by the choice of an earlier or other driver."""
