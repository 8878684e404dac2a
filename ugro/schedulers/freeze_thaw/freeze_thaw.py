"""Pause trials, and resume those whose predicted end is worth the rest of their run."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy

from ugro.schedulers.base import CONTINUE, PAUSE, Array, Cube, Handle
from ugro.schedulers.freeze_thaw.curve_process import CurveProcess
from ugro.schedulers.freeze_thaw.curves import EARLY, Curve, State, missed_by, observations
from ugro.schedulers.freeze_thaw.forecast import Forecast
from ugro.schedulers.rungs import UP_TO_ROUNDING

NEW = "new"  # instead of the id of a trial
FIRST_PER_KEY = 2  # trials per searched key before the model decides
FIRST_SHARE, LEAST_FIRST = 0.25, 2  # of all trials, which is fewer than that if there are few
# Trials that may start per trained run: two, or as many as have all trials started after 25 runs.
LEAST_PACE, ALL_STARTED = 2.0, 25
SPARED_EVERY = 8  # one trial in eight is never paused, the first one included
EXPLORED_EVERY, EXPLORED_FROM = 5, 10  # one new trial in five is at a random point, from the tenth
LEAST_GROWTH = 2.0  # of a resumed trial's progress before it is paused again
STAY = 4.0  # times the gain for which a trial is paused: most of a change is an error of prediction
COMMITTED = 0.5  # share of the slots for trials that run to their end while none has
MIN_LEFT = 0.1  # share of a run that resuming costs at least, as loading and checkpoints take time
COST_POWER = 0.5  # a gain counts per square root of the rest of the run
# Standard deviations by which a trial must be behind before it is no longer committed: behind the
# best end, or, before half of the run, behind the best prediction.
BEHIND_END, BEHIND_PREDICTION, MAY_DROP_UNTIL = 1.5, 3.0, 0.5
PROMISING = 0.5  # standard deviations below its prediction that must beat the best end
GROWTH = 1.15  # of the observations, after which the model is fitted again
NEW_TRIALS = 4  # after which it is, too
FIRST_ITERATIONS, ITERATIONS = 25, 8  # of the fits


class FreezeThaw:
    """Freeze-thaw scheduling (Swersky et al. 2014, arXiv:1406.3896) with parallel slots.

    A Gaussian process over configuration and progress predicts the end of each trial
    (:class:`CurveProcess`). The first trials, two per searched key, are paused at their first
    report. Then, at each report, the slot goes to the trial with the largest expected improvement
    per square root of the remaining share of its run: the reporting trial, which is preferred, a
    paused one, or a new one. The model also proposes the new one's configuration; the sampler
    proposes the first trials.

    Only a complete trial has a result, so some trials run to their end early: until one has, half
    of the slots are for committed trials, chosen by best prediction and by largest expected
    improvement in turns. Later, each resumed trial is committed. A committed trial is paused only
    if its prediction is clearly behind.

    Each complete trial checks the first prediction of its end. As far as these have missed, in
    standard deviations, the predictions of unfinished trials count as less certain. So curves that
    mislead, by slow starts for example, cost little beside running every trial to its end.

    No trial is paused before ``grace_period``, and none again before its progress has doubled. The
    first trial and one in eight are never paused: they show what whole curves look like, also of
    configurations that start slowly. From the tenth on, one new trial in five is at a random point,
    as a process that has settled on a local optimum does not leave it. When no new trial can start,
    paused trials resume that may still be the best. If the number of trials is small, new ones
    start only as fast as earlier ones are trained.

    Args:
        time_attr: key of the resource in results
        metric: key of the compared value in results
        mode: ``min`` or ``max``
        max_t: resource of a full trial
        grace_period: resource before which no trial is paused
    """

    def __init__(
        self, time_attr: str, metric: str, mode: str, max_t: float, grace_period: float
    ) -> None:
        self._time_attr = time_attr
        self._metric = metric
        self._sign = 1.0 if mode == "min" else -1.0
        self._max_t = max_t
        self._grace_period = grace_period
        self._curves: dict[str, Curve] = {}
        self._base: float | None = None  # objective of the untrained model
        self._chosen: str | None = None  # by a trial that has paused since
        self._can_start = True  # whether a new trial could start when a slot was last free
        self._proposed: Array | None = None  # point of the next new trial
        self._since_commitment: float = math.inf  # reports
        self._commitments = 0
        self._fitted = (0, 0)  # observations and trials at the last fit
        self._scale = 1.0

    def on_study(self, cube: Cube, trials: int, seed: int) -> None:
        """Create the model, and plan when trials may start."""
        self._cube = cube
        self._generator = numpy.random.default_rng(seed)
        self._process = CurveProcess(cube)
        few = max(LEAST_FIRST, math.ceil(FIRST_SHARE * trials))
        self._first = min(FIRST_PER_KEY * cube.dimensions, few)
        self._pace = max(LEAST_PACE, trials / ALL_STARTED)

    def on_trial_add(self, controller: Any, trial: Handle) -> None:
        """Register a trial, which counts as running from now on."""
        point = self._cube.point(trial.config)
        index = len(self._curves)
        spared = index % SPARED_EVERY == 0
        self._curves[trial.trial_id] = Curve(index, point, spared=spared)

    def on_trial_result(self, controller: Any, trial: Handle, result: Mapping[str, Any]) -> str:
        """Pause the trial if its slot is worth more to another one."""
        curve = self._curves[trial.trial_id]
        self._add_report(curve, result)
        if result["decided"] is not None:
            paused = result["decided"] == PAUSE and curve.state is State.RUNNING
            curve.state = State.PAUSED if paused else curve.state
            return PAUSE if paused else CONTINUE
        self._since_commitment += 1
        soon = curve.reached < LEAST_GROWTH * curve.resumed_at * UP_TO_ROUNDING
        early = soon or result[self._time_attr] < self._grace_period * UP_TO_ROUNDING
        if curve.state is not State.RUNNING or curve.spared or early:
            return CONTINUE
        curve.state = State.PAUSED
        self._chosen = self._choose(trial.trial_id, self._can_start)
        if self._chosen == trial.trial_id:
            curve.state, self._chosen = State.RUNNING, None
            return CONTINUE
        curve.committed = False
        return PAUSE

    def on_trial_remove(self, controller: Any, trial: Handle) -> None:
        """Note the end of a trial; its curve remains."""
        curve = self._curves[trial.trial_id]
        if curve.state in (State.RUNNING, State.PAUSED):
            curve.state = State.ENDED

    def on_trial_resume(self, trial: Handle) -> None:
        """Note that the trial runs again."""
        curve = self._curves[trial.trial_id]
        curve.state, curve.resumed_at = State.RUNNING, curve.reached

    def choose_paused(
        self, paused: Collection[Handle], can_start: bool, is_idle: bool
    ) -> Handle | None:
        """Return the trial that was chosen when another one paused, or choose one now."""
        handles = {trial.trial_id: trial for trial in paused}
        for trial_id in handles:
            self._curves[trial_id].state = State.PAUSED
        self._can_start = can_start
        chosen, self._chosen = self._chosen, None
        if chosen not in handles and not (chosen == NEW and can_start):
            chosen = self._choose(None, can_start)
        return None if chosen is None else handles.get(chosen)

    def propose(self) -> Mapping[str, Any] | None:
        """Return the configuration that gained most when the last slot was assigned."""
        point, self._proposed = self._proposed, None
        return None if point is None else self._cube.parameters(point)

    def _add_report(self, curve: Curve, result: Mapping[str, Any]) -> None:
        value = self._sign * result[self._metric]
        if self._base is None:
            untrained = result["untrained"]
            self._base = value if untrained is None else self._sign * untrained
        change, largest = value - self._base, abs(self._base)
        curve.progress.append(result[self._time_attr] / self._max_t)
        curve.changes.append(change if change < largest else largest)  # NaN, too
        if curve.reached >= UP_TO_ROUNDING:
            curve.state = State.COMPLETE

    def _choose(self, reporting: str | None, can_start: bool) -> str | None:
        """Return the trial that gets a slot, ``NEW``, or None if none is worth it.

        Args:
            reporting: trial that has the slot, if any; it counts as paused
            can_start: whether a new trial can start
        """
        if can_start and len(self._curves) < self._first:
            return NEW
        forecast = self._forecast()
        if forecast is None:
            return reporting or NEW
        complete = forecast.trials(State.COMPLETE)
        best_end = min((forecast.mean[key] for key in complete), default=math.inf)
        has_end = any(not self._curves[key].spared for key in complete)
        if reporting is not None and (self._curves[reporting].committed or has_end):
            if not self._is_behind(reporting, forecast, best_end):
                return self._commit(reporting, anew=False)
            self._curves[reporting].committed = False
        paused = forecast.trials(State.PAUSED)
        if not can_start or self._is_ahead_of_pace():
            chosen = forecast.lowest(key for key in paused if forecast.below(key, 1.0) < best_end)
            if chosen is not None:
                return self._commit(chosen)
            return self._best_investment(forecast, [], None) if can_start else None
        if paused and not has_end and self._must_commit():
            return self._next_committed(forecast, paused, best_end)
        chosen = self._best_investment(forecast, paused, reporting)
        return self._commit(chosen) if has_end and chosen != NEW else chosen

    def _is_behind(self, key: str, forecast: Forecast, best_end: float) -> bool:
        """Whether a trial is clearly behind the best end or, early, the best prediction."""
        others = (mean for other, mean in forecast.mean.items() if other != key)
        behind = forecast.below(key, BEHIND_PREDICTION) > min(others, default=math.inf)
        may_drop = self._curves[key].reached <= MAY_DROP_UNTIL
        return forecast.below(key, BEHIND_END) > best_end or (behind and may_drop)

    def _is_ahead_of_pace(self) -> bool:
        """Whether more trials have started than what was trained allows."""
        trained = sum(curve.reached for curve in self._curves.values())
        return len(self._curves) >= self._first + self._pace * trained

    def _must_commit(self) -> bool:
        """Whether too few slots are for trials that run to their end."""
        running = [curve for curve in self._curves.values() if curve.state is State.RUNNING]
        committed = sum(curve.committed or curve.spared for curve in running)
        slots = len(running) + 1
        return committed < COMMITTED * slots and self._since_commitment > slots / 2

    def _next_committed(self, forecast: Forecast, paused: Sequence[str], best_end: float) -> str:
        """Commit the trial with the best prediction or the largest gain, in turns."""
        self._commitments += 1
        lowest = forecast.lowest(paused)
        if self._commitments % 2 and lowest and forecast.below(lowest, PROMISING) < best_end:
            return self._commit(lowest)
        return self._commit(paused[int(numpy.argmax(forecast.gains(paused)))])

    def _best_investment(
        self, forecast: Forecast, paused: Sequence[str], reporting: str | None
    ) -> str:
        """Return the paused trial with the largest gain for its cost; ``NEW`` if it gains more."""
        self._proposed, of_new = forecast.best_new(self._cube, self._generator)
        if self._explores():
            self._proposed = self._cube.random(1, self._generator)[0]
        if not paused:
            return NEW
        left = [max(1 - self._curves[key].reached, MIN_LEFT) for key in paused]
        worth = forecast.gains(paused) / numpy.array(left) ** COST_POWER
        worth[[key == reporting for key in paused]] *= STAY
        best = int(numpy.argmax(worth))
        return paused[best] if worth[best] > of_new else NEW

    def _explores(self) -> bool:
        """Whether the next new trial is at a random point."""
        index = len(self._curves)
        return index >= EXPLORED_FROM and index % EXPLORED_EVERY == 0

    def _commit(self, key: str, anew: bool = True) -> str:
        self._curves[key].committed = True
        if anew:
            self._since_commitment = 0
        return key

    def _forecast(self) -> Forecast | None:
        """Fit the model if there is much news, and predict; None while nothing is known."""
        known = self._process.noise * self._scale if self._fitted[0] else 0.0
        found = observations(self._curves.values(), known)
        if found is None:
            return None
        seen, self._scale = found
        count, trials = self._fitted
        if len(seen.values) > GROWTH * count or len(self._curves) >= trials + NEW_TRIALS:
            self._process.fit(seen, ITERATIONS if count else FIRST_ITERATIONS)
            self._fitted = (len(seen.values), len(self._curves))
        forecast = Forecast(self._process, seen, self._curves, missed_by(self._curves.values()))
        for key, prediction in forecast.predictions(self._scale):
            curve = self._curves[key]
            if curve.changes and curve.early is None and curve.reached < EARLY:
                curve.early = prediction
        return forecast
