"""Reports and learning curves for tests."""

from collections.abc import Mapping, Sequence

from ugro.events.trial_report import Report
from ugro.schedulers.base import STOP, Handle, TrialScheduler

LENGTH = 1600  # tokens of a full trial


def report(
    tokens: int, loss: float, seconds: float | None = None, total: int = LENGTH, **metrics: float
) -> Report:
    """Report after this number of tokens; a step has 100."""
    return Report(
        step=tokens // 100,
        total_steps=total // 100,
        tokens_seen=tokens,
        total_tokens=total,
        seconds=tokens / 100 if seconds is None else seconds,
        metrics={"eval_loss": loss, **metrics},
        time=0.0,
    )


def result(
    tokens: float, loss: float, elapsed: float | None = None, *more: float
) -> dict[str, object]:
    """Result as a trial scheduler receives it."""
    return {
        "tokens_seen": tokens,
        "progress": loss,
        "values": (loss, *more),
        "elapsed_seconds": tokens if elapsed is None else elapsed,
    }


def play(
    scheduler: TrialScheduler, curves: Mapping[str, Sequence[float]], every: int = 100
) -> dict[str, int]:
    """Let trials report in turn and return the number of reports of each."""
    trials = {name: Handle(name) for name in curves}
    for trial in trials.values():
        scheduler.on_trial_add(Controller(), trial)
    given = dict.fromkeys(curves, 0)
    running = set(curves)
    for turn in range(max(map(len, curves.values()))):
        for name, losses in curves.items():
            if name not in running or turn >= len(losses):
                continue
            given[name] += 1
            curve_result = result((turn + 1) * every, losses[turn])
            if scheduler.on_trial_result(Controller(), trials[name], curve_result) == STOP:
                running.remove(name)
                scheduler.on_trial_remove(Controller(), trials[name])
    return given


class Controller:
    """Controller as Ray's median rule requires it."""

    def get_live_trials(self) -> list[Handle]:
        return []
