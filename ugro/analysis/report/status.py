"""The status of a study: whether it is finished, and how its trials ended."""

from dataclasses import dataclass

from ugro.analysis.findings.findings import Findings
from ugro.analysis.report.trial_list import ending_in_words
from ugro.analysis.tables import RUNNING
from ugro.events.outcome import Outcome
from ugro.formatting import counted

DONE = "all trials are done"


@dataclass(frozen=True)
class StudyStatus:
    """The status that stands above the report.

    Attributes:
        warning: that the numbers are not final; empty where the study is finished
        counts: numbers of trials by outcome, in words
    """

    warning: str
    counts: str


def study_status(findings: Findings) -> StudyStatus:
    """Summarise the status of a study."""
    counts = [f"{count:,} {ending_in_words(how)}" for how, count in findings.counts.items()]
    return StudyStatus(_warning(findings), ", ".join(counts) or "no trial yet")


def _warning(findings: Findings) -> str:
    counts = findings.counts
    every, open_ones = sum(counts.values()), counts.get(RUNNING, 0)
    waiting = sum(counts.get(how.value, 0) for how in (Outcome.INTERRUPTED, Outcome.PAUSED))
    ended = every - open_ones - waiting
    of = f" of {findings.total:,}" if findings.total else ""
    so_far = f"{ended:,}{of} trials have ended"
    if findings.finished_because is None:
        if open_ones:
            return (
                f"This study was running when this page was written (or its driver was killed): "
                f"{so_far}, {open_ones:,} running. Everything below is as it stood then."
            )
        if findings.total and ended < findings.total:
            return f"This study is not finished: {so_far}. Everything below is as it stood then."
        return ""
    if findings.finished_because == DONE or not findings.total or ended >= findings.total:
        return ""
    again = f"; {counted(waiting, 'trial')} wait to go on" if waiting else ""
    return (
        f"This study ended early ({findings.finished_because}): {so_far}{again}. "
        "The same command goes on with it."
    )
