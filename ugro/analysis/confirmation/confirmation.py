"""Confirmation of a study: its best trials retrained with other seeds.

The best of many trials is partly the luckiest, so its value in the search is biased (winner's
curse). The seed of the search is therefore not among the seeds of the confirmation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ugro.analysis.confirmation.candidates import BEST, SEED, Candidate, candidates_of, read_log
from ugro.analysis.confirmation.difference import difference
from ugro.analysis.confirmation.verdicts import verdicts_of
from ugro.events.event_log import read
from ugro.paths import BEST as BEST_CONFIGURATION
from ugro.paths import CONFIRM, EVENTS

__all__ = ["Candidate", "Confirmation", "confirmation_of"]


@dataclass(frozen=True)
class Confirmation:
    """Results of the confirmation.

    Attributes:
        seeds: seeds of the confirmation
        candidates: retrained configurations, the best first and the baseline last
        verdicts: conclusions in sentences
        objective: name of the first objective
        direction: ``minimize`` or ``maximize``
        preferred: trial that is clearly better than the study's best trial, or None
    """

    seeds: tuple[int, ...]
    candidates: tuple[Candidate, ...]
    verdicts: tuple[str, ...]
    objective: str = "value"
    direction: str = "minimize"
    preferred: int | None = None


def confirmation_of(folder: Path) -> Confirmation | None:
    """Read the confirmation of a study, finished or not; None without a confirmation."""
    again = read_log(read(folder / CONFIRM / EVENTS))
    if not again.trials:
        return None
    study = read_log(read(folder / EVENTS))
    seeds = tuple(sorted({int(trial.parameters[SEED]) for trial in again.trials.values()}))
    candidates = candidates_of(study, again, seeds)
    verdicts = tuple(verdicts_of(study, again, candidates, seeds))
    preferred = _preferred(candidates, again.maximised)
    if preferred is not None:
        verdicts += (f"{BEST_CONFIGURATION} runs trial {preferred} again.",)
    return Confirmation(
        seeds=seeds,
        candidates=candidates,
        verdicts=verdicts,
        objective=again.objective,
        direction="maximize" if again.maximised else "minimize",
        preferred=preferred,
    )


def _preferred(candidates: Sequence[Candidate], maximised: bool) -> int | None:
    """Return the best mean among complete trials that clearly beat the study's best trial."""
    if not candidates or candidates[0].role != BEST:
        return None
    leader, *others = candidates
    complete = [candidate for candidate in others if math.isfinite(candidate.found)]
    compared = [
        (candidate, difference(leader.values, candidate.values, maximised))
        for candidate in complete
    ]
    clear = [candidate for candidate, found in compared if found is not None and found.is_worse]
    better = max if maximised else min
    return better(clear, key=lambda candidate: candidate.mean).number if clear else None
