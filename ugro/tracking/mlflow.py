"""How does a study come to MLflow? A run for it, a nested run for each trial, on any server.

Each call names its run: the active run of MLflow's fluent interface is one a process, and
``MLFLOW_RUN_ID`` in the environment redirects it (mlflow#15713). MLflow's store knows a point of a
curve by its name, value, step and time, and leaves out what it has.
"""

import getpass
import os
import shlex
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ugro.config import MlflowConfig
from ugro.retries import one_line
from ugro.tracking.mlflow_view import VIEW, best_first
from ugro.tracking.updates import Change, Point, Status, StudyFile

SQLITE = "sqlite:///"
EMBEDDED = f"{SQLITE}multirun/mlflow.db"  # what `make mlflow` opens
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",  # else its pages are those of chat agents
    "mlflow.note.content": (
        "Each run is a study of UGRO; its trials are nested in it. Under Views: the trials of the"
        " latest study, best first."
    ),
}
STUDY = "study"
# A server that does not answer is tried again by us, not in MLflow: 7 times, 2 minutes each.
IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
LOSSES = ("eval_loss", "train_loss")  # trials are compared at equal tokens
LONGEST_PARAMETER, LONGEST_TAG = 6000, 5000  # characters that MLflow takes
MOST_POINTS, MOST_TEXTS = 800, 100  # in one call


class Mlflow:
    """MLflow.

    Args:
        config: where it is, what the experiment is called
    """

    name = "mlflow"
    open_runs: Collection[int] = ()  # each call is written when it returns

    def __init__(self, config: MlflowConfig) -> None:
        self.where = place(config.uri or "")
        self.look = self.where if _is_server(config) else _command(self.where)
        self.runs: dict[str, str] = {}
        self._config = config
        self._study = ""
        self._is_new = False  # the study's run: then there are none of its trials either
        self._experiment = ""
        self._client: Any = None

    def open(self, study: str) -> bool:
        """Make contact, find or make the experiment and see that it still has the study's run."""
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        if self._config.uri and self._config.uri.startswith(SQLITE):
            _prepare(Path(self._config.uri.removeprefix(SQLITE)))
        self._study, self._is_new = study, False
        self._client = MlflowClient(tracking_uri=self._config.uri)
        found = self._client.get_experiment_by_name(self._config.experiment)
        if found is None or found.lifecycle_stage == "deleted":  # then MLflow says what to do
            self._experiment = self._client.create_experiment(
                self._config.experiment, self._artifacts(), EXPERIMENT_TAGS
            )
        else:
            self._experiment = found.experiment_id
        if STUDY not in self.runs:
            return True
        try:
            self._client.get_run(self.runs[STUDY])
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False
        return True

    def send(self, changes: Sequence[Change]) -> None:
        """Write the changes, a few calls a run."""
        from mlflow.exceptions import MlflowException

        for change in changes:
            run = self._run(change)
            try:
                self._write(run, change)
            except MlflowException:
                if not self._is_deleted(run):
                    raise

    def keep(self, files: Sequence[StudyFile]) -> None:
        """Upload files of the study."""
        run = self.runs.get(STUDY) or self._found(STUDY)
        if run is not None and not self._is_deleted(run):
            for one in files:
                self._client.log_artifact(run, str(one.path), one.folder or None)

    def close(self) -> None:
        """Nothing is open."""

    def _write(self, run: str, change: Change) -> None:
        from mlflow.entities import Metric, Param, RunTag

        points = [
            Metric(name, one.value, _ms(one.time), at)
            for one in change.points
            for name, at in _curves(one)
        ]
        parameters = [Param(k, _cut(v, LONGEST_PARAMETER)) for k, v in change.parameters.items()]
        tags = [RunTag(key, _cut(value, LONGEST_TAG)) for key, value in _tags(change).items()]
        while points or parameters or tags:
            self._client.log_batch(
                run, points[:MOST_POINTS], parameters[:MOST_TEXTS], tags[:MOST_TEXTS]
            )
            points, parameters = points[MOST_POINTS:], parameters[MOST_TEXTS:]
            tags = tags[MOST_TEXTS:]
        if change.table is not None:
            view = best_first(self._study, change.table)
            self._client.set_experiment_tag(self._experiment, VIEW, view)
        for path in change.files:
            if path.exists():
                self._client.log_artifact(run, str(path))
        if change.status is Status.running:
            self._client.update_run(run, "RUNNING")
        elif change.status is not None:
            self._client.set_terminated(run, change.status.name.upper(), _ms(change.ended or 0.0))

    def _run(self, change: Change) -> str:
        """The run's id; it is made unless there is one."""
        name = STUDY if change.trial is None else str(change.trial)
        if name not in self.runs:
            self.runs[name] = self._found(name) or self._made(name, change)
        return self.runs[name]

    def _found(self, name: str) -> str | None:
        """The run on MLflow that an earlier process made, or one that did not hear the answer."""
        if self._is_new and name != STUDY:
            return None
        asked = f"tags.study_id = '{self._study}' and tags.trial = '{name}'"
        found = self._client.search_runs([self._experiment], asked, max_results=1)
        return str(found[0].info.run_id) if found else None

    def _made(self, name: str, change: Change) -> str:
        tags = {
            "study_id": self._study,
            "trial": name,
            "mlflow.user": getpass.getuser(),
            "mlflow.source.name": "train.py",
            "mlflow.source.type": "LOCAL",
        }
        if name == STUDY:
            self._is_new = True
        else:
            tags["mlflow.parentRunId"] = self.runs[STUDY]
        made = self._client.create_run(self._experiment, _ms(change.time), tags, change.name)
        return str(made.info.run_id)

    def _is_deleted(self, run: str) -> bool:
        """Whether somebody has deleted it: then they do not want it back."""
        return bool(self._client.get_run(run).info.lifecycle_stage == "deleted")

    def _artifacts(self) -> str | None:
        given = self._config.artifacts
        if given is None or urlsplit(given).scheme:
            return given
        return None if _is_server(self._config) else Path(given).absolute().as_uri()


def place(uri: str) -> str:
    """The same place for everybody, without a login: an absolute path, or a server."""
    if uri.startswith(SQLITE):
        return f"{SQLITE}{Path(uri.removeprefix(SQLITE)).absolute()}"
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def refusal(config: MlflowConfig) -> str | None:
    """Why it would not take a study, in a line; None: it answers. Nothing is made there."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    os.environ.update(IMPATIENT)
    try:
        client = MlflowClient(tracking_uri=config.uri)
        found = client.get_experiment_by_name(config.experiment)
    except MlflowException as error:
        return one_line(error)
    if found is not None and found.lifecycle_stage == "deleted":
        return f"its experiment {config.experiment!r} is deleted: restore it or name another"
    return None


def _is_server(config: MlflowConfig) -> bool:
    """Whether a folder of this machine is of no use to it."""
    return urlsplit(config.uri or "").scheme.startswith("http")


def _command(where: str) -> str:
    """What opens it."""
    own = where == place(EMBEDDED)
    return "make mlflow" if own else f"mlflow server --backend-store-uri {shlex.quote(where)}"


def _curves(point: Point) -> list[tuple[str, int]]:
    """In which of MLflow's curves it is, and where: results have no heading and come last."""
    if point.tokens is None:
        return [(point.name, point.step)]
    by_tokens = (f"by_tokens/{point.name}", point.tokens)
    return [(f"by_step/{point.name}", point.step), *([by_tokens] if point.name in LOSSES else [])]


def _prepare(database: Path) -> None:
    """So that who looks at it holds nobody up."""
    database.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(database, timeout=20)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def _tags(change: Change) -> dict[str, str]:
    """Those that MLflow's own pages show, besides."""
    tags = dict(change.tags)
    if commit := tags.get("git_commit"):
        tags["mlflow.source.git.commit"] = commit
    if change.description:
        tags["mlflow.note.content"] = change.description
    return tags


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
