"""Advice on what to try next, each with its evidence and a command."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from ugro.analysis.comparable import ranked
from ugro.analysis.confirmation.confirmation import Confirmation
from ugro.analysis.findings.cost import early_rank_agreement
from ugro.analysis.findings.next_command import (
    follow_up_command,
    resume_command,
    single_trial_command,
)
from ugro.analysis.findings.space_advice import Change, changes_of
from ugro.analysis.importance.importance import Importances
from ugro.analysis.tables import OPEN, RUNNING, Tables
from ugro.events.early_ranks import EARLY_SHARE
from ugro.events.outcome import Outcome
from ugro.formatting import counted, number, share
from ugro.shell import override
from ugro.space.search_space import count as values_of
from ugro.study.study import Study

LATE, LONG_AGO = 0.75, 0.25  # share of trials before the best; above: recent, below: long ago
MIN_TRIALS, MANY = 8, 20  # minimum numbers of trials for these two statements
FREQUENT = 0.2  # share of trials with the same bad outcome that is unlikely to be chance
MIN_CORRELATION = 0.8  # rank correlation of early and final values
CONFIRM = "study.confirm=3"

# Remedies by frequent outcome.
REMEDIES = {
    Outcome.DIVERGED.value: "lower the learning rates that are searched",
    Outcome.OUT_OF_MEMORY.value: "search smaller training.batch_size or lora.r, or set "
    "training.gradient_checkpointing=true",
    Outcome.TIMED_OUT.value: "raise stoppers.max_seconds",
    Outcome.BUDGET.value: "raise stoppers.max_tokens",
    Outcome.INFEASIBLE.value: "loosen the constraints on results, or search where they hold",
    Outcome.STUDY_LIMIT.value: "raise the study's limits",
}


@dataclass(frozen=True)
class Advice:
    """A suggestion.

    Attributes:
        why: evidence from the data, a sentence
        overrides: suggested overrides; empty if the advice is not about configuration
        command: command to run; empty if the study's original command is unknown
    """

    why: str
    overrides: tuple[str, ...] = ()
    command: str = ""


def advice_of(
    study: Study,
    tables: Tables,
    importances: Sequence[Importances],
    confirmation: Confirmation | None,
) -> tuple[Advice, ...]:
    """Return advice on what to try next, the most useful first.

    Args:
        study: record of the study
        tables: tables of the study
        importances: importance of the keys, by method
        confirmation: confirmation of the best trials, if any
    """
    return (
        *_unfinished(tables),
        *_endings(study, tables),
        *_confirm(study, tables, confirmation),
        *_space(study, tables, importances),
        *_more(tables),
        *_stop_early(tables),
    )


def _unfinished(tables: Tables) -> Iterator[Advice]:
    unfinished = tables.trials["ending"].isin((RUNNING, Outcome.INTERRUPTED.value)).sum()
    done = len(tables.trials) - unfinished
    if tables.total is None or done >= tables.total or tables.finished_because is None:
        return
    why = f"{done:,} of {counted(tables.total, 'trial')} are done: the same command resumes."
    yield Advice(why, (), resume_command(tables))


def _endings(study: Study, tables: Tables) -> Iterator[Advice]:
    """Advise on failed trials and on frequent outcomes other than completion."""
    counts = Counter(tables.trials["ending"])
    failed = study.failed()
    if failed and counts[Outcome.FAILED.value] >= FREQUENT * len(tables.trials):
        yield _failed(tables, failed)
    for ending, remedy in REMEDIES.items():
        if counts[ending] and counts[ending] >= FREQUENT * len(tables.trials):
            reason = Outcome(ending).in_words
            yield Advice(
                f"{counts[ending]:,} of {len(tables.trials):,} trials: {reason}; {remedy}."
            )
    stopped = counts[Outcome.RUNG.value]
    if stopped and not len(tables.complete) and tables.finished_because is not None:
        why = (
            f"{counted(stopped, 'trial')} were stopped early and none came to its end: stop later."
        )
        change = ("scheduler.grace_period=0.5",)
        yield Advice(why, change, resume_command(tables, *change))


def _failed(tables: Tables, failed: Sequence[FrozenTrial]) -> Advice:
    errors = Counter(str(trial.user_attrs.get("error", "")).partition("\n")[0] for trial in failed)
    error, times = errors.most_common(1)[0]
    reason = f" ({times:,} times {error[:200]})" if error else ""
    why = f"{counted(len(failed), 'trial')} failed{reason}: run a single trial to see why."
    parameters = [override(key, value) for key, value in failed[0].params.items()]
    return Advice(why, tuple(parameters), single_trial_command(tables, parameters))


def _confirm(study: Study, tables: Tables, confirmation: Confirmation | None) -> Iterator[Advice]:
    if confirmation is None:
        if len(tables.complete) > 1 and len(tables.objectives) == 1:
            why = "A single seed does not show whether the best is really the best: retrain it."
            ours = (CONFIRM,) if tables.is_ours else ()
            yield Advice(why, ours, resume_command(tables, *ours))
    elif (preferred := confirmation.preferred) is not None:
        trial = next(trial for trial in study.ranked() if trial.number == preferred)
        parameters = tuple(override(key, value) for key, value in trial.params.items())
        why = f"With other seeds trial {preferred} is clearly better than the best: use that one."
        yield Advice(why, parameters, single_trial_command(tables, parameters))


def _space(study: Study, tables: Tables, importances: Sequence[Importances]) -> Iterator[Advice]:
    by_number = {trial.number: trial for trial in study.trials()}
    changes = changes_of([by_number[number] for number in ranked(tables).values.index], importances)
    for change in changes:
        yield Advice(change.why, change.overrides, follow_up_command(tables, *change.overrides))
    if len(changes) > 1:
        yield _together(tables, changes)


def _together(tables: Tables, changes: Sequence[Change]) -> Advice:
    overrides = tuple(override for change in changes for override in change.overrides)
    why = "All of these changes of the space in one study, which begins with the best of this one."
    return Advice(why, overrides, follow_up_command(tables, *overrides))


def _more(tables: Tables) -> Iterator[Advice]:
    """Advise more trials if the best is recent, and none if it is long ago."""
    done = tables.trials[~tables.trials["ending"].isin(OPEN)]
    complete = tables.complete
    if len(done) < MIN_TRIALS or complete.empty or _is_exhausted(tables, len(done)):
        return
    order = done.sort_values("ended", kind="stable").index
    best = complete.index[0]
    at = int(order.get_loc(best)) + 1
    since = len(order) - at
    if at > LATE * len(order):
        more = max(len(order), tables.total or 0) * 3 // 2
        change = (f"hydra.sweeper.n_trials={more}",)
        why = (
            f"The best came late, as number {at:,} of {len(order):,} to end: "
            "more trials may find a better one."
        )
        yield Advice(why, change, resume_command(tables, *change))
    elif len(order) >= MANY and at <= LONG_AGO * len(order):
        why = (
            f"The last {since:,} trials found nothing better than trial {best}: more of the same "
            "are not likely to gain much."
        )
        yield Advice(why)


def _is_exhausted(tables: Tables, done: int) -> bool:
    """Return whether all points of a finite search space have run."""
    held = 1
    for over in tables.searched.values():
        values = values_of(over)
        if values is None:
            return False
        held *= values
    return done >= held


def _stop_early(tables: Tables) -> Iterator[Advice]:
    """Advise early stopping if early ranks agree with final ranks."""
    compared = (Outcome.RUNG.value, Outcome.PAUSED.value)
    if not tables.is_ours or tables.trials["ending"].isin(compared).any():
        return
    correlation = early_rank_agreement(tables)
    if correlation is not None and correlation >= MIN_CORRELATION:
        why = (
            f"After a quarter of their tokens the trials ranked much as at their end (rank "
            f"correlation {number(correlation)}): early stopping would have saved up to "
            f"{share(1 - EARLY_SHARE)} of a bad trial."
        )
        yield Advice(why, ("scheduler=asha",), follow_up_command(tables, "scheduler=asha"))
