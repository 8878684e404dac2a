"""What does a study's run say of it to people? In Markdown: what is best, how the others ended."""

from collections.abc import Iterator

from ugro.events.study_state import StudyState
from ugro.formatting import measured, short_value
from ugro.shell import best_command

LONGEST = 10  # rows of a table


def described(at: StudyState, tokens: int) -> str:
    """The study as it stands.

    Args:
        at: with its study
        tokens: that all its trials were trained on
    """
    return "\n\n".join(part for part in (_best(at), _trials(at, tokens), _next(at)) if part)


def _best(at: StudyState) -> str:
    best = at.best()
    if best is None or at.study is None:
        return ""
    if len(at.study.objectives) > 1:
        return _front(at)
    found = f"**{at.study.objectives[0]} {measured(at.values[best][0])}** by trial {best}"
    gain, before = at.gain(), ""
    if gain is not None:
        better = "better" if gain.amount > 0 else "worse"
        share = "" if gain.share is None else f" ({abs(gain.share):.1%})"
        before = (
            f", {measured(abs(gain.amount))}{share} {better} than the baseline, trial {gain.over}"
        )
    return "\n\n".join([f"{found}{before}.", "\n".join(_compared(at, best))])


def _compared(at: StudyState, best: int) -> Iterator[str]:
    """A table of the best trial's parameters beside the baseline's."""
    columns = [best] if at.baseline is None or at.baseline == best else [best, at.baseline]
    names = ["best", "baseline"][: len(columns)]
    yield f"| | {' | '.join(names)} |"
    yield f"|---|{'---|' * len(columns)}"
    for key in at.parameters.get(best, {}):
        given = [at.parameters.get(number, {}).get(key, "") for number in columns]
        values = map(short_value, given)
        yield f"| {key} | {' | '.join(values)} |"


def _front(at: StudyState) -> str:
    """A table of the trials that no other beats in everything."""
    assert at.study is not None
    names = at.study.objectives
    rows = sorted(at.front, key=lambda number: at.values[number])
    lines = [
        f"{len(rows)} trials that no other is as good as in everything:",
        "",
        f"| trial | {' | '.join(names)} |",
        f"|---|{'---|' * len(names)}",
        *(f"| {n} | {' | '.join(map(measured, at.values[n]))} |" for n in rows[:LONGEST]),
    ]
    return "\n".join(lines)


def _trials(at: StudyState, tokens: int) -> str:
    total = at.study.trials if at.study else 0
    ended = ", ".join(f"{count} {how}" for how, count in at.counts.items())
    so_far = f"{at.done} of {total} trials have ended"
    return f"{so_far}{f': {ended}' if ended else ''}. {tokens:,} tokens were trained on."


def _next(at: StudyState) -> str:
    if at.study is None or at.best() is None:
        return ""
    return f"The best one again: `{best_command(at.study.folder)}`"
