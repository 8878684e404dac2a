"""What is said first? The answers to six questions, each with a number to be seen from afar."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ugro.analysis.confirmation.certainty import Certainty
from ugro.analysis.confirmation.confirmation import Confirmation
from ugro.analysis.confirmation.verdicts import with_spread
from ugro.analysis.findings import answers
from ugro.analysis.findings.cost import Cost
from ugro.analysis.findings.findings import Findings
from ugro.events.gain import gain_over
from ugro.formatting import counted, duration, large, number, share


@dataclass(frozen=True)
class Figure:
    """A number, and what it is."""

    large: str
    caption: str


@dataclass(frozen=True)
class Card:
    """One question on the first screen.

    Attributes:
        figures: the numbers that answer it, the most telling first
        said: sentences
    """

    question: str
    figures: tuple[Figure, ...]
    said: tuple[str, ...]


@dataclass(frozen=True)
class FirstScreen:
    """All of it."""

    best: Card
    sure: Card
    gain: Card
    mattered: Card
    cost: Card
    next: Card


def first_screen(findings: Findings, confirmation: Confirmation | None) -> FirstScreen:
    """Put it together from the findings."""
    said = {answer.question: answer.said for answer in findings.answers}

    def card(question: str, figures: Iterator[Figure]) -> Card:
        return Card(question, tuple(figures), said[question])

    return FirstScreen(
        best=card(answers.BEST, _best(findings)),
        sure=card(answers.SURE, _sure(findings.certainty, confirmation)),
        gain=card(answers.GAIN, _gain(findings)),
        mattered=card(answers.MATTERED, iter(())),
        cost=card(answers.COST, _cost(findings.cost)),
        next=card(answers.NEXT, iter(())),
    )


def _best(findings: Findings) -> Iterator[Figure]:
    if findings.best is None:
        return
    for name, value in zip(findings.objectives, findings.best.values, strict=True):
        yield Figure(number(value), name)


def _sure(certainty: Certainty, confirmation: Confirmation | None) -> Iterator[Figure]:
    if confirmation is not None and confirmation.candidates:
        best = confirmation.candidates[0]
        seeds = sum(map(math.isfinite, best.values))
        if seeds:
            yield Figure(with_spread(best), f"{best.named}, with {counted(seeds, 'other seed')}")
            return
    if certainty.within_noise is not None:
        what = "other trial" if certainty.within_noise == 1 else "other trials"
        yield Figure(f"{certainty.within_noise:,}", f"{what} may be as good")
    if certainty.gap is not None:
        yield Figure(number(certainty.gap), f"ahead of the second, trial {certainty.second}")


def _gain(findings: Findings) -> Iterator[Figure]:
    if (test := findings.test) is not None:
        base, loss = test.base_model.loss, test.base_model.loss - test.gain
        yield from _over_base(base, loss, ", on the test part")
    if findings.baseline is not None:
        for gain in findings.baseline.gains:
            told = share(abs(gain.relative)) if gain.relative else number(abs(gain.absolute))
            of = f" in {gain.objective}" if len(findings.objectives) > 1 else ""
            if gain.absolute > 0:
                yield Figure(told, f"better than the baseline{of}")
            else:
                yield Figure("0", f"gained over the baseline{of}")
    best = findings.best
    if findings.test or best is None or not best.untrained:
        return
    if findings.objectives[0] != "eval_loss":
        return
    yield from _over_base(best.untrained, best.values[0])


def _over_base(base: float, loss: float, where: str = "") -> Iterator[Figure]:
    gain = gain_over(base, loss)
    if gain.relative is not None:
        word = "better" if gain.relative >= 0 else "worse"
        yield Figure(share(abs(gain.relative)), f"{word} than the untrained base model{where}")


def _cost(cost: Cost) -> Iterator[Figure]:
    if not cost.trials:
        return
    yield Figure(f"{cost.trials:,}", "trial" if cost.trials == 1 else "trials")
    if cost.tokens:
        yield Figure(large(cost.tokens), "tokens")
    if cost.slot_seconds:
        yield Figure(duration(cost.slot_seconds), "in slots")
    if cost.wall_seconds:
        yield Figure(duration(cost.wall_seconds), "on the clock")
    if cost.utilisation is not None:
        slots = "the slot" if cost.slots == 1 else f"{cost.slots} slots"
        yield Figure(share(cost.utilisation), f"of the time {slots} {_were(cost.slots)} busy")
    if cost.saved:
        yield Figure(share(cost.saved), "saved by early stopping")
    if cost.failed:
        yield Figure(f"{cost.failed:,}", "failed")
    if cost.retried:
        yield Figure(f"{cost.retried:,}", "run again")


def _were(slots: int | None) -> str:
    return "was" if slots == 1 else "were"
