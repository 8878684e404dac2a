"""What is written in a picture? Names with units, short choices, findings in a sentence."""

import re
import textwrap
from collections.abc import Sequence
from itertools import takewhile

from ugro.analysis.pictures import ticks
from ugro.analysis.pictures.subject import Kind, Subject
from ugro.formatting import counted, number, share

_NAMES = {  # of what trials measure, and its unit
    "eval_loss": ("evaluation loss", "nats per token"),
    "eval_perplexity": ("evaluation perplexity", ""),
    "base_eval_loss": ("loss of the base model", "nats per token"),
    "train_loss": ("training loss", "nats per token"),
    "composite_score": ("composite score", ""),
    "latency_ms": ("latency of a generation", "ms"),
    "peak_memory_mb": ("peak memory", "MB"),
    "train_seconds": ("training time", "s"),
    "train_tokens_per_second": ("training speed", "tokens/s"),
    "tokens_seen": ("tokens trained on", ""),
    "trainable_parameters": ("trainable parameters", ""),
}
SHADED = f"{Kind.COMPLETE.value} (the darker, the better)"


def plain(text: str) -> str:
    """A name that matplotlib does not take for a formula or a line break."""
    printable = "".join(one if one.isprintable() else " " for one in text)
    return printable.replace("$", r"\$")


def name(metric: str) -> str:
    """What a metric is called in a sentence."""
    return _NAMES[metric][0] if metric in _NAMES else plain(metric)


def unit(metric: str) -> str:
    """In which a metric is counted; empty where it has none."""
    return _NAMES[metric][1] if metric in _NAMES else ""


def label(metric: str) -> str:
    """What an axis is called that shows a metric, with its unit."""
    return f"{name(metric)} ({unit(metric)})" if unit(metric) else name(metric)


def amount(many: float) -> str:
    """``83k``, ``1.5M``: a large number in a sentence."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if many >= size:
            scaled = many / size
            return f"{scaled:.0f}{letter}" if scaled >= 99.5 else f"{scaled:.3g}{letter}"
    return f"{many:.0f}"


def headline(subject: Subject) -> str:
    """What came out of a study, in a sentence."""
    trials, best = len(subject.trials), subject.best
    if best is None:
        return f"{counted(trials, 'trial')}, none of them complete"
    found = value(subject, best)
    if trials == 1:
        return f"One trial: {found}"
    return f"Best of {counted(trials, 'trial')}: {found}{against_baseline(subject)}"


def value(subject: Subject, trial: int) -> str:
    """What a complete trial has come to."""
    return f"{name(subject.objective)} {number(subject.value(trial))}"


def against_baseline(subject: Subject) -> str:
    """``, 7% below the baseline``; empty where there is none to compare with."""
    if subject.best is None or subject.baseline is None:
        return ""
    own, found = subject.value(subject.baseline), subject.value(subject.best)
    if found == own:
        return ", no better than the baseline"
    by = share(abs(found - own) / abs(own)) if own else number(abs(found - own))
    return f", {by} {'below' if found < own else 'above'} the baseline"


def kinds(subject: Subject) -> str:
    """``7 complete, 53 stopped early``: those of which there are any."""
    counts = [(len(subject.of(kind)), kind.value) for kind in Kind]
    return ", ".join(f"{many:,} {word}" for many, word in counts if many)


def choices(values: Sequence[object], letters: int = 14, lines: int = 2) -> list[str]:
    """The choices of a key, short enough for an axis and each a different one.

    Of a list of modules (``[q_proj,v_proj]``) what they have in common is left out.

    Args:
        values: the choices
        letters, lines: that a label may have; the middle of what is longer is left out
    """
    short = [_fitted(text, letters, lines) for text in _told(values)]
    return [
        f"{text} ({short[: at + 1].count(text)})" if short.count(text) > 1 else text
        for at, text in enumerate(short)
    ]


def fit(values: Sequence[object], letters: int, lines: int) -> bool:
    """Whether nothing of the choices would be left out or cut apart."""
    return all(text == _fitted(text, letters, lines).replace("\n", " ") for text in _told(values))


def _told(values: Sequence[object]) -> list[str]:
    """The choices in full, less the head that all modules' names have: ``model.layers.``."""
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
        return plain(text)
    parts = [part.strip(" '\"") for part in listed[1].split(",")]
    tails = {part.rpartition("_")[2] for part in parts}
    if len(tails) == 1 and all("_" in part for part in parts):
        parts = [part.rpartition("_")[0] for part in parts]
    return plain(", ".join(parts))


def _fitted(text: str, letters: int, lines: int) -> str:
    wrapped = textwrap.wrap(text, letters, break_on_hyphens=False)
    if len(wrapped) <= lines:
        return "\n".join(wrapped)
    room = letters * lines - 1
    cut = f"{text[: room // 2]}…{text[-(room - room // 2) :]}"
    return "\n".join(cut[at : at + letters].strip() for at in range(0, len(cut), letters))


def stopped(subject: Subject) -> str:
    """Where the marks of stopped trials are; empty where there are none."""
    if not len(subject.of(Kind.STOPPED)["reached"].dropna()):
        return ""
    return "Stopped trials are where they had come to when they were stopped."


def best_at(subject: Subject, *keys: str) -> str:
    """Where the best trial has some keys; the keys alone where there is no best."""
    if subject.best is None:
        return ", ".join(map(plain, keys))
    own = subject.tables.trials.loc[subject.best]
    log = {key: bool(getattr(subject.tables.searched[key], "log", False)) for key in keys}
    had = [f"{plain(key)} = {_choice(own[key], log[key])}" for key in keys if own[key] == own[key]]
    return f"Best at {', '.join(had)}" if had else ", ".join(map(plain, keys))


def unit_of_time(seconds: float) -> tuple[float, str]:
    """The unit in which a span is told on an axis: how many seconds it has, and its name."""
    for size, called in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 3 * size:
            return size, called
    return 1.0, "seconds"
