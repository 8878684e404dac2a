"""Read the generated answers of trials, and compare the scores of two trials by example."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from ugro.analysis.intervals import normal_interval
from ugro.metrics.ratio_estimate import largest_difference, ratio_estimate
from ugro.paths import GENERATIONS, trial_folder


@dataclass(frozen=True)
class Generation:
    """Answers to the prompt of an example.

    Attributes:
        document: index of the document that the example is from
        prompt: text that the models were given
        reference: target of the example
        base: answer of the base model; None if unknown
        text: answer of the trial's best checkpoint
        base_scores: values of the base model's answer by metric
        scores: values of the trial's answer by metric
    """

    document: int
    prompt: str
    reference: str
    base: str | None
    text: str
    base_scores: Mapping[str, float]
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Paired:
    """Difference of two trials in a metric, paired by example.

    Attributes:
        examples: number of examples that both answered
        difference: mean of the first's values minus the second's
        stderr: standard error of that mean over documents
        bound: largest absolute difference that is possible
    """

    examples: int
    difference: float
    stderr: float
    bound: float = math.inf

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the difference."""
        return normal_interval(self.difference, self.stderr, self.bound)


def generations_of(folder: Path | None, trial: int | None) -> dict[int, Generation]:
    """Return a trial's answers by the number of their example; empty if it has none.

    Args:
        folder: folder of the study
        trial: number of the trial
    """
    if folder is None or trial is None:
        return {}
    path = trial_folder(folder, trial) / GENERATIONS
    if not path.is_file():
        return {}
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {line["example"]: _generation(line) for line in lines}


def _generation(line: Mapping[str, Any]) -> Generation:
    return Generation(
        line["document"],
        line["prompt"],
        line["reference"],
        line["base"],
        line["generation"],
        line["base_scores"],
        line["scores"],
    )


def paired(folder: Path | None, first: int, second: int, metric: str) -> Paired | None:
    """Compare two trials by the examples that both answered; None if of one document."""
    own, others = generations_of(folder, first), generations_of(folder, second)
    both = [
        example
        for example in own.keys() & others.keys()
        if own[example].reference == others[example].reference  # else another record
        if metric in own[example].scores and metric in others[example].scores
    ]
    if not both:
        return None
    values = [(own[one].scores[metric], others[one].scores[metric]) for one in both]
    differences = [first_value - second_value for first_value, second_value in values]
    documents = [own[one].document for one in both]
    difference, stderr = ratio_estimate(differences, [1.0] * len(both), documents)
    if math.isnan(stderr):
        return None
    return Paired(len(both), difference, stderr, largest_difference(chain.from_iterable(values)))
