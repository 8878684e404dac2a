"""How does the study stand: is it finished, and if not, what does that mean for its report?"""

from dataclasses import dataclass

from ugro.analysis.findings.findings import Findings
from ugro.analysis.report.trial_list import ending_in_words
from ugro.analysis.tables import RUNNING
from ugro.events.outcome import Outcome
from ugro.formatting import counted

DONE = "all trials are done"


@dataclass(frozen=True)
class StudyStatus:
    """What a reader must know before the numbers.

    Attributes:
        warning: what is not final; empty where the study is finished
        counts: trials by how they ended, in words
    """

    warning: str
    counts: str


def standing(findings: Findings) -> StudyStatus:
    """Of a study, by its findings."""
    counts = [f"{count:,} {ending_in_words(how)}" for how, count in findings.counts.items()]
    return StudyStatus(_warning(findings), ", ".join(counts) or "no trial yet")


def _warning(findings: Findings) -> str:
    every = sum(findings.counts.values())
    open_ones = findings.counts.get(RUNNING, 0)
    waiting = findings.counts.get(Outcome.INTERRUPTED.value, 0)
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
