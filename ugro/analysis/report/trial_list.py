"""The trials as columns, for the page's table and for the hover texts of its figures."""

import math
from collections.abc import Iterator
from typing import Any

import pandas

from ugro.analysis.tables import FIXED, RUNNING, Tables
from ugro.events.outcome import Outcome

DIGITS = 6
MOST_METRICS = 12
SECONDS, LAST = "seconds in slots", "last value"


def trial_list(tables: Tables, best: int | None) -> dict[str, Any]:
    """Collect the columns, the names of those in hover texts, and the best trial.

    A column has ``name``, ``values`` (one per trial, null where there is none) and ``measured``,
    false for settings; a column of text has ``words``, into which its values are indices.
    """
    trials = tables.trials
    every = {
        "trial": trials.index.to_series(),
        "ending": trials["ending"].map(ending_in_words),
        **{name: trials[name] for name in tables.objectives},
        **{key: trials[key] for key in tables.searched},
        LAST: trials["last_value"],
        SECONDS: tables.slot_seconds.reindex(trials.index),
        **{name: trials[name] for name in _metrics(tables)},
        "source": trials["source"],
    }
    settings = {"trial", *tables.searched}
    return {
        "columns": [
            {**_column(name, values), "measured": name not in settings}
            for name, values in every.items()
        ],
        "described": ["ending", *tables.objectives, *tables.searched],
        "best": {"number": best, "maximised": tables.directions[0] == "maximize"},
    }


def ending_in_words(ending: str) -> str:
    """Name an outcome, or running."""
    return ending if ending == RUNNING else Outcome(ending).in_words


def _metrics(tables: Tables) -> Iterator[str]:
    """The other metrics that differ between trials."""
    known = {*FIXED, *tables.objectives, *tables.searched}
    known |= {f"measured {name}" for name in tables.objectives}
    found = [name for name in tables.trials if name not in known]
    yield from [name for name in found if _differ(tables.trials[name])][:MOST_METRICS]


def _differ(values: pandas.Series) -> bool:
    return bool(values.dropna().nunique() > 1)


def _column(name: str, values: pandas.Series) -> dict[str, Any]:
    plain = [_plain(value) for value in values]
    if not any(isinstance(value, str) for value in plain):
        return {"name": name, "values": plain}
    texts = [None if value is None else str(value) for value in plain]
    words = list(dict.fromkeys(text for text in texts if text is not None))
    place = {word: at for at, word in enumerate(words)}
    codes = [None if text is None else place[text] for text in texts]
    return {"name": name, "words": words, "values": codes}


def _plain(value: Any) -> int | float | str | None:
    """Convert to a JSON number or text."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        short = float(f"{value:.{DIGITS}g}")
        return int(short) if short.is_integer() and abs(short) < 1e15 else short
    return value if value is None or isinstance(value, int) else str(value)
