"""Answers to six common questions about a study, in sentences."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ugro.analysis.confirmation.certainty import Certainty
from ugro.analysis.findings.advice import Advice
from ugro.analysis.findings.best import Baseline, Best, Gain
from ugro.analysis.findings.cost import Cost
from ugro.analysis.findings.held_out import MetricScore, TestPart
from ugro.analysis.importance.importance import Importance, Importances
from ugro.analysis.tables import RUNNING, Tables
from ugro.events.outcome import Outcome
from ugro.formatting import counted, duration, large, listed, number, share
from ugro.shell import command

FEW = 3  # maximum keys, trials or causes per sentence

BEST = "What is best?"
SURE = "How sure is that?"
GAIN = "How much better is it?"
MATTERED = "What mattered?"
COST = "What did it cost?"
NEXT = "What to try next?"


@dataclass(frozen=True)
class Answer:
    """A question and its answer in sentences."""

    question: str
    said: tuple[str, ...]


def answers_of(
    tables: Tables,
    best: Best | None,
    front: Sequence[Best],
    baseline: Baseline | None,
    test: TestPart | None,
    certainty: Certainty,
    importances: Sequence[Importances],
    cost: Cost,
    advice: Sequence[Advice],
) -> tuple[Answer, ...]:
    """Answer all six questions, in a fixed order."""
    return tuple(
        Answer(question, tuple(said))
        for question, said in (
            (BEST, _best(tables, best, front)),
            (SURE, certainty.said or ("There is no result yet.",)),
            (GAIN, [*describe_test(test), *_gain(best, baseline)]),
            (MATTERED, _mattered(importances)),
            (COST, _cost(tables, cost)),
            (NEXT, [suggestion.why for suggestion in advice] or ["Nothing in particular."]),
        )
    )


def _best(tables: Tables, best: Best | None, front: Sequence[Best]) -> Iterator[str]:
    if best is None:
        yield _why_none(tables)
        return
    yield f"Trial {best.number}: {_values(tables, best)}."
    if len(tables.objectives) > 1:
        yield (
            f"It is the best in {tables.objectives[0]} alone: "
            f"{counted(len(front), 'trial')} {'is' if len(front) == 1 else 'are'} beaten by no "
            f"other in every objective."
        )
    if best.parameters:
        yield f"As overrides: {best.overrides}"


def _values(tables: Tables, best: Best) -> str:
    pairs = zip(tables.objectives, best.values, strict=True)
    return ", ".join(f"{name} {number(value)}" for name, value in pairs)


def _why_none(tables: Tables) -> str:
    counts = Counter(tables.trials["ending"])
    if not counts:
        return "No trial was started yet."
    counted_endings = listed(
        [f"{count:,} {_words(ending)}" for ending, count in counts.most_common()]
    )
    return f"No trial is complete, so none is the best: {counted_endings}."


def _words(ending: str) -> str:
    return ending if ending == RUNNING else Outcome(ending).in_words


def describe_test(test: TestPart | None) -> Iterator[str]:
    """Describe the evaluation on the test part, which the search did not optimise."""
    if test is None:
        return
    where = f"On the test part ({counted(test.documents, 'document')}, used for no choice): "
    for score in test.metrics:
        yield (
            f"{where}{score.name} {number(score.best)}; untrained base model "
            f"{number(score.base_model)}, a gain of {number(score.gain)}{_between(score)}."
        )
        where = ""
    loss = f"loss {number(test.best.loss)}"
    yield (
        f"{where}{loss if where else loss.capitalize()}; untrained base model "
        f"{number(test.base_model.loss)}, a gain of {number(test.gain)}{_between(test)}."
    )
    is_baseline = test.baseline is not None and test.baseline.number == test.best.number
    if test.baseline is not None and test.gain_over_baseline is not None and not is_baseline:
        yield (
            f"The configuration as it was has a test loss of {number(test.baseline.loss)}, a gain "
            f"of {number(test.gain_over_baseline)}."
        )
    if test.measured > 1:
        yield f"The test part was measured for {test.measured} winners; it is no longer unseen."


def _between(of: TestPart | MetricScore) -> str:
    if of.gain_low is None or of.gain_high is None:
        return ""
    return f" (95% interval {number(of.gain_low)} to {number(of.gain_high)})"


def _gain(best: Best | None, baseline: Baseline | None) -> Iterator[str]:
    if baseline is None:
        yield "No trial ran the configuration as it was, so there is nothing to compare with."
    elif not baseline.gains:
        how = _words(baseline.ending)
        yield f"The configuration as it was, trial {baseline.number}, has no value: {how}."
    else:
        for gain in baseline.gains:
            yield _gained(gain, baseline.number)
    if best is not None and best.untrained is not None:
        yield f"The untrained base model has eval_loss {number(best.untrained)}."


def _gained(gain: Gain, baseline: int) -> str:
    if gain.number == baseline or gain.absolute <= 0:
        return f"In {gain.objective} nothing was better than the configuration as it was."
    relative = f" ({share(gain.relative)})" if gain.relative else ""
    return (
        f"{gain.objective} {number(gain.best)} (trial {gain.number}) is better by "
        f"{number(gain.absolute)}{relative} than the {number(gain.baseline)} of the configuration "
        f"as it was, trial {baseline}."
    )


def _mattered(importances: Sequence[Importances]) -> Iterator[str]:
    if not importances:
        yield f"Not computed: {command('analyze')} computes it."
    for importance in importances:
        if importance.why_not:
            yield f"{importance.method}: not computed. {importance.why_not}"
        else:
            keys = "; ".join(map(_key_share, importance.of[:FEW]))
            yield f"By {importance.method}: {keys} ({importance.basis})."


def _key_share(importance: Importance) -> str:
    interval = f"{share(importance.low)} to {share(importance.high)}"
    return f"{importance.key} {share(importance.share)} ({interval})"


def _cost(tables: Tables, cost: Cost) -> Iterator[str]:
    if not cost.trials:
        yield "Nothing yet."
        return
    spent = [counted(cost.trials, "trial")]
    if cost.tokens is not None:
        spent.append(f"{large(cost.tokens)} tokens")
    if cost.slot_seconds:
        spent.append(f"{duration(cost.slot_seconds)} in slots")
    clock = f" within {duration(cost.wall_seconds)}" if cost.wall_seconds else ""
    yield f"{listed(spent)}{clock}."
    if cost.utilisation is not None and cost.slots:
        slots = "The slot was" if cost.slots == 1 else f"The {cost.slots} slots were"
        yield f"{slots} busy for {share(cost.utilisation)} of the time."
    if cost.saved:
        yield f"Early stopping saved {share(cost.saved)} of the tokens of full-length trials."
        if cost.agreement is not None:
            yield (
                "Ranks of the complete trials at a quarter of their tokens agree with their final "
                f"ranks by {number(cost.agreement)} (1: entirely, 0: not at all)."
            )
    trouble = [
        *([f"{counted(cost.failed, 'trial')} failed"] if cost.failed else []),
        *([f"{counted(cost.retried, 'time')} a trial was run again"] if cost.retried else []),
    ]
    if trouble:
        yield f"{listed(trouble)}."
