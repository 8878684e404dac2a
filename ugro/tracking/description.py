"""Describe a study in Markdown: the best trial, the outcomes and the next command."""

from collections.abc import Iterator

from ugro.events.study_state import StudyState
from ugro.formatting import measured, short_value
from ugro.shell import best_command

MAX_ROWS = 10


def describe(state: StudyState, tokens: int) -> str:
    """Return the description of a study.

    Args:
        state: of the study
        tokens: trained on by all trials
    """
    sections = (_best(state), _trials(state, tokens), _next(state))
    return "\n\n".join(part for part in sections if part)


def _best(state: StudyState) -> str:
    best = state.best()
    if best is None or state.study is None:
        return ""
    if len(state.study.objectives) > 1:
        return _front(state)
    value = f"**{state.study.objectives[0]} {measured(state.values[best][0])}** by trial {best}"
    gain, comparison = state.gain(), ""
    if gain is not None:
        direction = "better" if gain.amount > 0 else "worse"
        share = "" if gain.share is None else f" ({abs(gain.share):.1%})"
        amount = measured(abs(gain.amount))
        comparison = f", {amount}{share} {direction} than the baseline, trial {gain.over}"
    return "\n\n".join([f"{value}{comparison}.", "\n".join(_compare(state, best))])


def _compare(state: StudyState, best: int) -> Iterator[str]:
    """Yield a table with the parameters of the best trial and of the baseline."""
    columns = [best] if state.baseline is None or state.baseline == best else [best, state.baseline]
    names = ["best", "baseline"][: len(columns)]
    yield f"| | {' | '.join(names)} |"
    yield f"|---|{'---|' * len(columns)}"
    for key in state.parameters.get(best, {}):
        given = [state.parameters.get(number, {}).get(key, "") for number in columns]
        values = map(short_value, given)
        yield f"| {key} | {' | '.join(values)} |"


def _front(state: StudyState) -> str:
    """Return a table of the Pareto front."""
    assert state.study is not None
    names = state.study.objectives
    rows = sorted(state.front, key=lambda number: state.values[number])
    lines = [
        f"{len(rows)} trials on the Pareto front:",
        "",
        f"| trial | {' | '.join(names)} |",
        f"|---|{'---|' * len(names)}",
        *(f"| {n} | {' | '.join(map(measured, state.values[n]))} |" for n in rows[:MAX_ROWS]),
    ]
    return "\n".join(lines)


def _trials(state: StudyState, tokens: int) -> str:
    total = state.study.trials if state.study else 0
    ended = ", ".join(f"{count} {label}" for label, count in state.counts.items())
    so_far = f"{state.done} of {total} trials have ended"
    return f"{so_far}{f': {ended}' if ended else ''}. {tokens:,} tokens were trained on."


def _next(state: StudyState) -> str:
    if state.study is None or state.best() is None:
        return ""
    return f"Reproduce the best trial: `{best_command(state.study.folder)}`"
