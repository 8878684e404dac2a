"""How does a study come to Weights & Biases? As a group, with a run for each trial.

A run's id is made from its study's, so that one that goes on is reopened. W&B takes the points of a
curve in the order of their steps and leaves out what it has.
"""

from collections.abc import Collection, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from ugro.config import WandbConfig, WandbMode
from ugro.retries import one_line
from ugro.tracking.updates import Change, Point, Status, StudyFile

STUDY = "study"
TOKENS = "tokens_seen"
EXIT_CODES = {Status.finished: 0, Status.killed: 0, Status.failed: 1}  # else W&B says failed
# W&B would look for what it shows of a program; this is not the one that trains.
QUIET = {
    "console": "off",
    "silent": True,
    "disable_git": True,
    "disable_code": True,
    "x_disable_stats": True,
    "x_disable_machine_info": True,
    "x_save_requirements": False,
}


class Wandb:
    """Weights & Biases.

    Args:
        config: project, team and mode
        folder: where it writes its own files, in ``wandb/``
    """

    name = "wandb"

    def __init__(self, config: WandbConfig, folder: Path) -> None:
        team = f"{config.entity}/" if config.entity else ""
        self.where = f"{team}{config.project} {config.mode.name}"
        self.look = f"wandb sync {folder}/wandb/offline-run-*"
        if config.mode is not WandbMode.offline:
            self.look = f"https://wandb.ai/{team or 'home#'}{config.project}"
        self.runs: dict[str, str] = {}
        self._config = config
        self._folder = folder
        self._study = self._group = ""
        self._about: dict[str, str] = {}
        self._open: dict[int, Any] = {}

    @property
    def open_runs(self) -> Collection[int]:
        """Trials of which W&B may not have written all to its file."""
        return self._open.keys()

    def open(self, study: str) -> bool:
        """W&B keeps in its files what it cannot send: there is nothing to find out."""
        self._study = study
        self._folder.mkdir(parents=True, exist_ok=True)
        return True

    def send(self, changes: Sequence[Change]) -> None:
        """Hand the changes over; a run is closed with its trial."""
        for change in changes:
            if change.trial is None:
                self._group = change.name
                self._about |= {**change.parameters, **change.tags}
            else:
                self._write(change.trial, change)

    def keep(self, files: Sequence[StudyFile]) -> None:
        """In a run of the study's own."""
        run = self._init(STUDY, self._group, STUDY)
        run.config.update(self._about, allow_val_change=True)
        top = self._folder.parent
        for one in files:
            run.save(one.path, base_path=one.path.parent if not one.folder else top, policy="now")
        run.finish()

    def close(self) -> None:
        """Close what is still open, as its driver has died, and wait until all is written."""
        for run in self._open.values():
            run.finish(exit_code=1)
        self._open.clear()
        if self.runs:
            import wandb

            wandb.teardown()  # a run's end does not wait for its file

    def _write(self, trial: int, change: Change) -> None:
        if trial not in self._open:
            self._open[trial] = self._init(str(trial), change.name, "trial")
            self._open[trial].define_metric("*", step_metric=TOKENS)
        run = self._open[trial]
        run.config.update({**change.parameters, **change.tags}, allow_val_change=True)
        curves = [one for one in change.points if one.tokens is not None]
        for step, points in groupby(curves, key=_step):
            # At once: a row that waits for the next one would hide the results below.
            run.log({one.name: one.value for one in points}, step=step, commit=True)
        run.summary.update({one.name: one.value for one in change.points if one.tokens is None})
        if change.status in EXIT_CODES:
            run.tags = (change.tags["state"],)
            run.finish(exit_code=EXIT_CODES[change.status])
            del self._open[trial]

    def _init(self, name: str, shown: str, kind: str) -> Any:
        import wandb

        mode: Any = self._config.mode.name
        self.runs[name] = f"{self._study}-{name}"
        return wandb.init(
            project=self._config.project,
            entity=self._config.entity,
            mode=mode,
            dir=self._folder,
            id=self.runs[name],
            name=shown,
            group=self._group,
            job_type=kind,
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(**QUIET),
        )


def refusal() -> str | None:
    """Why Weights & Biases would not take a run, in a line; None: it knows who we are."""
    import wandb

    try:
        if not wandb.login(prompt=False, verify=True, timeout=10):
            return "nobody is logged in"
    except (wandb.errors.Error, OSError, ValueError) as error:
        return one_line(error)
    return None


def _step(point: Point) -> int:
    return point.step
