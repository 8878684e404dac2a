"""Texts of figures: names with units, short choices, findings in a sentence."""

import re
import textwrap
from collections.abc import Sequence
from itertools import takewhile

from ugro.analysis.figures.drawing import ticks
from ugro.analysis.figures.study_view import Kind, StudyView
from ugro.events.gain import gain_over
from ugro.formatting import counted, number, share

_NAMES = {  # of metrics, with their units
    "eval_loss": ("evaluation loss", "nats"),
    "eval_perplexity": ("evaluation perplexity", ""),
    "base_eval_loss": ("loss of the base model", "nats"),
    "train_loss": ("training loss", "nats"),
    "composite_score": ("composite score", ""),
    "latency_ms": ("latency of a generation", "ms"),
    "peak_memory_mb": ("peak memory", "MB"),
    "train_seconds": ("training time", "s"),
    "train_tokens_per_second": ("training speed", "tokens/s"),
    "tokens_seen": ("tokens trained on", ""),
    "trainable_parameters": ("trainable parameters", ""),
}


def printable(text: str) -> str:
    """Replace control characters, such as line breaks, with spaces."""
    return "".join(one if one.isprintable() else " " for one in text)


def name(metric: str) -> str:
    """Name a metric in a sentence."""
    return _NAMES[metric][0] if metric in _NAMES else printable(metric)


def unit(metric: str) -> str:
    """The unit of a metric; empty where it has none."""
    return _NAMES[metric][1] if metric in _NAMES else ""


def label(metric: str) -> str:
    """Name a metric with its unit, for an axis."""
    return f"{name(metric)} ({unit(metric)})" if unit(metric) else name(metric)


def amount(many: float) -> str:
    """Format a large number: ``83k``, ``1.5M``."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if many >= size:
            scaled = many / size
            return f"{scaled:.0f}{letter}" if scaled >= 99.5 else f"{scaled:.3g}{letter}"
    return f"{many:.0f}"


def headline(view: StudyView) -> str:
    """Summarise a study's result in a sentence."""
    trials, best = len(view.trials), view.best
    if best is None:
        return f"{counted(trials, 'trial')}, none of them complete"
    found = value(view, best)
    if trials == 1:
        return f"One trial: {found}"
    return f"Best of {counted(trials, 'trial')}: {found}{against_baseline(view)}"


def value(view: StudyView, trial: int) -> str:
    """Format the first objective of a complete trial."""
    return f"{name(view.objective)} {number(view.value(trial))}"


def against_baseline(view: StudyView) -> str:
    """Compare the best with the baseline: ``, 7% below the baseline``; empty without one."""
    if view.best is None or view.baseline is None:
        return ""
    own, found = view.value(view.baseline), view.value(view.best)
    gain = gain_over(own, found, view.minimised)
    if not gain.absolute:
        return ", no better than the baseline"
    by = number(abs(gain.absolute)) if gain.relative is None else share(abs(gain.relative))
    return f", {by} {'below' if found < own else 'above'} the baseline"


def kinds(view: StudyView) -> str:
    """Count trials by kind: ``7 complete, 53 stopped or paused``."""
    counts = [(len(view.of(kind)), kind.value) for kind in Kind]
    return ", ".join(f"{many:,} {word}" for many, word in counts if many)


def choices(values: Sequence[object], letters: int = 14, lines: int = 2) -> list[str]:
    """Shorten the choices of a key for an axis, each different.

    What all entries of lists of modules (``[q_proj,v_proj]``) have in common is left out.

    Args:
        values: the choices
        letters: per line
        lines: per label; the middle of longer ones is left out
    """
    short = [_fitted(text, letters, lines) for text in _full(values)]
    return [
        f"{text} ({short[: at + 1].count(text)})" if short.count(text) > 1 else text
        for at, text in enumerate(short)
    ]


def _full(values: Sequence[object]) -> list[str]:
    """The choices in full, less a prefix that all modules share: ``model.layers.``."""
    texts = [_choice(value) for value in values]
    if any(text == value for text, value in zip(texts, values, strict=True)):
        return texts  # some are no lists
    names = [name.split(".")[:-1] for text in texts for name in text.split(", ")]
    common = takewhile(lambda parts: len(set(parts)) == 1, zip(*names, strict=False))
    head = "".join(f"{parts[0]}." for parts in common)
    return [text.replace(head, "") for text in texts] if head else texts


def _choice(value: object, log: bool = False) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return ticks.short(float(f"{value:.3g}"), log)
    text = str(value)
    listed = re.fullmatch(r"[\[(](.*)[\])]", text.strip())
    if listed is None:
        return printable(text)
    parts = [part.strip(" '\"") for part in listed[1].split(",")]
    tails = {part.rpartition("_")[2] for part in parts}
    if len(tails) == 1 and all("_" in part for part in parts):
        parts = [part.rpartition("_")[0] for part in parts]
    return printable(", ".join(parts))


def _fitted(text: str, letters: int, lines: int) -> str:
    wrapped = textwrap.wrap(text, letters, break_on_hyphens=False)
    if len(wrapped) <= lines:
        return "\n".join(wrapped)
    room = letters * lines - 1
    cut = f"{text[: room // 2]}…{text[-(room - room // 2) :]}"
    return "\n".join(cut[at : at + letters].strip() for at in range(0, len(cut), letters))


def stopped(view: StudyView) -> str:
    """Explain the marks of stopped trials; empty without any."""
    if not len(view.of(Kind.STOPPED)["reached"].dropna()):
        return ""
    return "Stopped trials are shown at their last value."


def best_at(view: StudyView, *keys: str) -> str:
    """State the best trial's values of some keys; the keys alone where there is no best."""
    if view.best is None:
        return ", ".join(map(printable, keys))
    own = view.tables.trials.loc[view.best]
    log = {key: bool(getattr(view.tables.searched[key], "log", False)) for key in keys}
    had = [
        f"{printable(key)} = {_choice(own[key], log[key])}" for key in keys if own[key] == own[key]
    ]
    return f"Best at {', '.join(had)}" if had else ", ".join(map(printable, keys))


def most_important(view: StudyView) -> str:
    """State the most important key; empty where the data support none."""
    if view.importance is None:
        return ""
    first = view.importance.of[0]
    of_all = f"{share(first.share)} of the importance by {view.importance.method}"
    return f"{printable(first.key)} mattered most: {of_all}"


def unit_of_time(seconds: float) -> tuple[float, str]:
    """Choose the unit of a time axis: its seconds and its name."""
    for size, called in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 3 * size:
            return size, called
    return 1.0, "seconds"
