"""The first screen of the report: answers to six questions, each with its key numbers."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ugro.analysis.confirmation.confirmation import Confirmation
from ugro.analysis.confirmation.verdicts import with_spread
from ugro.analysis.findings import answers
from ugro.analysis.findings.cost import Cost
from ugro.analysis.findings.findings import Findings
from ugro.events.gain import gain_over
from ugro.formatting import counted, duration, gap, large, number, share


@dataclass(frozen=True)
class KeyNumber:
    """A number with its caption."""

    large: str
    caption: str


@dataclass(frozen=True)
class Card:
    """One question on the first screen.

    Attributes:
        numbers: the numbers that answer it, the most important first
        said: sentences
    """

    question: str
    numbers: tuple[KeyNumber, ...]
    said: tuple[str, ...]


@dataclass(frozen=True)
class FirstScreen:
    """The six cards."""

    best: Card
    sure: Card
    gain: Card
    mattered: Card
    cost: Card
    next: Card


def first_screen(findings: Findings, confirmation: Confirmation | None) -> FirstScreen:
    """Build the first screen from the findings."""
    said = {answer.question: answer.said for answer in findings.answers}

    def card(question: str, numbers: Iterator[KeyNumber]) -> Card:
        return Card(question, tuple(numbers), said[question])

    return FirstScreen(
        best=card(answers.BEST, _best(findings)),
        sure=card(answers.SURE, _sure(findings, confirmation)),
        gain=card(answers.GAIN, _gain(findings)),
        mattered=card(answers.MATTERED, iter(())),
        cost=card(answers.COST, _cost(findings.cost)),
        next=card(answers.NEXT, iter(())),
    )


def _best(findings: Findings) -> Iterator[KeyNumber]:
    if findings.best is None:
        return
    for name, value in zip(findings.objectives, findings.best.values, strict=True):
        yield KeyNumber(number(value), name)


def _sure(findings: Findings, confirmation: Confirmation | None) -> Iterator[KeyNumber]:
    if confirmation is not None and confirmation.candidates:
        best = confirmation.candidates[0]
        seeds = sum(map(math.isfinite, best.values))
        if seeds:
            yield KeyNumber(with_spread(best), f"{best.named}, with {counted(seeds, 'other seed')}")
            return
    certainty = findings.certainty
    if certainty.within_noise is not None:
        what = "other trial" if certainty.within_noise == 1 else "other trials"
        yield KeyNumber(f"{certainty.within_noise:,}", f"{what} may be as good")
    if certainty.gap is not None and findings.best is not None:
        ahead = gap(certainty.gap, findings.best.values[0])
        yield KeyNumber(ahead, f"ahead of the second, trial {certainty.second}")


def _gain(findings: Findings) -> Iterator[KeyNumber]:
    if (test := findings.test) is not None:
        ranked_by = findings.objectives[0].removeprefix("eval_")  # of the task
        ranked = [score for score in test.metrics if score.name == ranked_by]
        for score in ranked:
            sign = "+" if score.best >= score.base_model else ""
            change = f"{sign}{number(score.best - score.base_model)}"
            what = f"{score.name} over the untrained base model, on the test part"
            yield KeyNumber(change, what)
        base, loss = test.base_model.loss, test.base_model.loss - test.gain
        if not ranked:
            yield from _over_base(base, loss, ", on the test part")
    if findings.baseline is not None:
        for gain in findings.baseline.gains:
            text = share(abs(gain.relative)) if gain.relative else number(abs(gain.absolute))
            of = f" in {gain.objective}" if len(findings.objectives) > 1 else ""
            if gain.absolute > 0:
                yield KeyNumber(text, f"better than the baseline{of}")
            else:
                yield KeyNumber("0", f"gained over the baseline{of}")
    best = findings.best
    if findings.test or best is None or not best.untrained:
        return
    if findings.objectives[0] != "eval_loss":
        return
    yield from _over_base(best.untrained, best.values[0])


def _over_base(base: float, loss: float, where: str = "") -> Iterator[KeyNumber]:
    gain = gain_over(base, loss)
    if gain.relative is not None:
        word = "better" if gain.relative >= 0 else "worse"
        yield KeyNumber(share(abs(gain.relative)), f"{word} than the untrained base model{where}")


def _cost(cost: Cost) -> Iterator[KeyNumber]:
    if not cost.trials:
        return
    yield KeyNumber(f"{cost.trials:,}", "trial" if cost.trials == 1 else "trials")
    if cost.tokens:
        yield KeyNumber(large(cost.tokens), "tokens")
    if cost.slot_seconds:
        yield KeyNumber(duration(cost.slot_seconds), "in slots")
    if cost.wall_seconds:
        yield KeyNumber(duration(cost.wall_seconds), "on the clock")
    if cost.utilisation is not None:
        slots = "the slot" if cost.slots == 1 else f"{cost.slots} slots"
        yield KeyNumber(share(cost.utilisation), f"of the time {slots} {_were(cost.slots)} busy")
    if cost.saved:
        yield KeyNumber(share(cost.saved), "saved by early stopping")
    if cost.failed:
        yield KeyNumber(f"{cost.failed:,}", "failed")
    if cost.retried:
        yield KeyNumber(f"{cost.retried:,}", "run again")


def _were(slots: int | None) -> str:
    return "was" if slots == 1 else "were"
