"""Send a study to Weights & Biases: a group with a run for each trial.

A run's id derives from the study's, so a resumed trial reopens its run. W&B takes the points of a
curve in the order of their steps and ignores those it already has.
"""

from collections.abc import Collection, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from ugro.config import WandbConfig, WandbMode
from ugro.retries import one_line
from ugro.tracking.updates import Point, RunUpdate, Status, StudyFile

STUDY = "study"
TOKENS = "tokens_seen"
# W&B marks a run without a code as failed.
EXIT_CODES = {Status.finished: 0, Status.killed: 0, Status.failed: 1}
# W&B would record this process, which is not the one that trains.
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
    """Weights & Biases tracker.

    Args:
        config: project, team and mode
        folder: parent of W&B's own folder ``wandb/``
    """

    name = "wandb"

    def __init__(self, config: WandbConfig, folder: Path) -> None:
        team = f"{config.entity}/" if config.entity else ""
        self.where = f"{team}{config.project} {config.mode.name}"
        self.view_hint = f"wandb sync {folder}/wandb/offline-run-*"
        if config.mode is not WandbMode.offline:
            self.view_hint = f"https://wandb.ai/{team or 'home#'}{config.project}"
        self.runs: dict[str, str] = {}
        self._config = config
        self._folder = folder
        self._study = self._group = ""
        self._study_config: dict[str, str] = {}
        self._open: dict[int, Any] = {}

    @property
    def open_runs(self) -> Collection[int]:
        """Trials whose run W&B may not have written completely."""
        return self._open.keys()

    def open(self, study: str) -> bool:
        """Create the folder; W&B keeps unsent data in its files, so there is nothing to check."""
        self._study = study
        self._folder.mkdir(parents=True, exist_ok=True)
        return True

    def send(self, updates: Sequence[RunUpdate]) -> None:
        """Log the updates; a run is closed when its trial ends."""
        for update in updates:
            if update.trial is None:
                self._group = update.name
                self._study_config |= {**update.parameters, **update.tags}
            else:
                self._write(update.trial, update)

    def keep(self, files: Sequence[StudyFile]) -> None:
        """Upload files in a run of the study itself."""
        run = self._init(STUDY, self._group, STUDY)
        run.config.update(self._study_config, allow_val_change=True)
        top = self._folder.parent
        for file in files:
            base = top if file.folder else file.path.parent
            run.save(file.path, base_path=base, policy="now")
        run.finish()

    def close(self) -> None:
        """Close runs that a dead driver left open, and wait until everything is written."""
        for run in self._open.values():
            run.finish(exit_code=1)
        self._open.clear()
        if self.runs:
            import wandb

            wandb.teardown()  # finish() does not wait for the file

    def _write(self, trial: int, update: RunUpdate) -> None:
        if trial not in self._open:
            self._open[trial] = self._init(str(trial), update.name, "trial")
            self._open[trial].define_metric("*", step_metric=TOKENS)
        run = self._open[trial]
        run.config.update({**update.parameters, **update.tags}, allow_val_change=True)
        curves = [point for point in update.points if point.tokens is not None]
        for step, points in groupby(curves, key=_step):
            # Committed at once: a pending row would hide the results below.
            run.log({point.name: point.value for point in points}, step=step, commit=True)
        run.summary.update({p.name: p.value for p in update.points if p.tokens is None})
        if update.status in EXIT_CODES:
            run.tags = (update.tags["state"],)
            run.finish(exit_code=EXIT_CODES[update.status])
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


def connection_error() -> str | None:
    """Return why Weights & Biases would reject a run, in one line; None if it accepts."""
    import wandb

    try:
        if not wandb.login(prompt=False, verify=True, timeout=10):
            return "nobody is logged in"
    except (wandb.errors.Error, OSError, ValueError) as error:
        return one_line(error)
    return None


def _step(point: Point) -> int:
    return point.step
