"""Reports and learning curves for tests."""

from collections.abc import Mapping, Sequence

from ugro.events.trial_report import Report
from ugro.schedulers.base import Handle, PausingScheduler, TrialScheduler

LENGTH = 1600  # tokens of a full trial
UNTRAINED = 25.0  # loss before the first step


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
        "untrained": UNTRAINED,
        "decided": None,
    }


def play(
    scheduler: TrialScheduler, curves: Mapping[str, Sequence[float]], every: int = 100
) -> dict[str, int]:
    """Let trials report in turn, with a slot each, and return the number of reports of each."""
    trials = {name: Handle(name, {"x": at / 20}) for at, name in enumerate(curves)}
    for trial in trials.values():
        scheduler.on_trial_add(Controller(), trial)
    given = dict.fromkeys(curves, 0)
    running, paused = set(curves), set[str]()
    while running:
        for name, losses in curves.items():
            if name not in running:
                continue
            if given[name] == len(losses):
                running.remove(name)
                continue
            given[name] += 1
            curve_result = result(given[name] * every, losses[given[name] - 1])
            match scheduler.on_trial_result(Controller(), trials[name], curve_result):
                case "STOP":
                    running.remove(name)
                    scheduler.on_trial_remove(Controller(), trials[name])
                case "PAUSE":
                    running.remove(name)
                    paused.add(name)
        resumed = _resumed(scheduler, paused, is_idle=not running)
        running |= resumed
        paused -= resumed
    return given


def _resumed(scheduler: TrialScheduler, paused: set[str], is_idle: bool) -> set[str]:
    """Fill free slots with paused trials as far as the scheduler wants."""
    resumed = set[str]()
    while isinstance(scheduler, PausingScheduler) and paused - resumed:
        left = [Handle(name) for name in sorted(paused - resumed)]
        chosen = scheduler.choose_paused(left, False, is_idle and not resumed)
        if chosen is None:
            break
        scheduler.on_trial_resume(chosen)
        resumed.add(chosen.trial_id)
    return resumed


class Controller:
    """Controller as Ray's median rule requires it."""

    def get_live_trials(self) -> list[Handle]:
        return []
