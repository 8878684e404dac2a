"""Priors from the recorded tables: where the best tenth of their configurations lie."""

import math
import re
from collections import Counter
from functools import cache
from typing import Any

import numpy
import pandas
from optuna.distributions import CategoricalDistribution

from ugro.shell import override

from .plans import space
from .problems import TABLES

BEST = 0.1  # share of the configurations of each table
LEAST_WIDTH = 0.15  # standard deviation at least, as a share of the range
UNKNOWN = ("lora.dropout", "training.warmup_ratio", "training.weight_decay")


@cache
def without(table: str) -> str:
    """Return the override of ``hydra.sweeper.prior`` that all tables but one give."""
    best = pandas.concat(_best(name) for name in TABLES if name != table)
    beliefs = {key: _belief(key, best[key]) for key in space() if key not in UNKNOWN}
    return override("++hydra.sweeper.prior", beliefs)


def _escaped(choice: str) -> str:
    """Return a choice as a key of a dictionary in an override, which cannot be quoted."""
    return re.sub(r"([\[\],])", r"\\\1", choice)


def _best(table: str) -> pandas.DataFrame:
    whole = TABLES[table].whole
    last = max(int(name.removeprefix("loss_")) for name in whole if name.startswith("loss_"))
    return whole.nsmallest(round(BEST * len(whole)), f"loss_{last}")


def _belief(key: str, good: pandas.Series) -> dict[str, Any]:
    over: Any = space()[key]
    if isinstance(over, CategoricalDistribution) and isinstance(over.choices[0], str):
        counts = Counter(good)
        return {"weights": {_escaped(choice): 1 + counts[choice] for choice in over.choices}}
    low, high = _bounds(over)
    logs = numpy.log(good.astype(float))
    width = max(float(logs.std()), LEAST_WIDTH * math.log(high / low))
    return {"near": round(math.exp(logs.mean()), 7), "factor": round(math.exp(width), 3)}


def _bounds(over: Any) -> tuple[float, float]:
    if isinstance(over, CategoricalDistribution):
        return min(over.choices), max(over.choices)
    return over.low, over.high
