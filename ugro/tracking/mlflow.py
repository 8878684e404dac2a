"""Send a study to MLflow: a run for the study and a nested run for each trial.

Each call names its run, because MLflow's fluent interface has one active run per process, which
``MLFLOW_RUN_ID`` in the environment redirects (mlflow#15713). MLflow's store identifies a point of
a curve by name, value, step and time, and ignores duplicates.
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
from ugro.shell import command
from ugro.tracking.mlflow_view import VIEW, VIEW_KEY, view_best_first
from ugro.tracking.updates import Point, RunUpdate, Status, StudyFile

SQLITE = "sqlite:///"
EMBEDDED = f"{SQLITE}multirun/mlflow.db"  # what `make mlflow` opens
EXPERIMENT_TAGS = {
    # Without a kind MLflow shows the pages for chat agents.
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.note.content": (
        "Each run is a study of UGRO; its trials are nested in it. Under Views: the trials of the"
        " latest study, best first."
    ),
}
STUDY = "study"
# The exporter retries; MLflow itself would retry 7 times, for 2 minutes each.
SHORT_RETRIES = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
LOSSES = ("eval_loss", "train_loss")  # also plotted by tokens, to compare trials at equal tokens
MAX_PARAMETER_LENGTH, MAX_TAG_LENGTH = 6000, 5000  # MLflow's limits in characters
MAX_POINTS, MAX_TEXTS = 800, 100  # MLflow's limits per call


class Mlflow:
    """MLflow tracker.

    Args:
        config: tracking URI, artifact location and experiment name
    """

    name = "mlflow"
    open_runs: Collection[int] = ()  # each call is written when it returns

    def __init__(self, config: MlflowConfig) -> None:
        self.where = public_uri(config.uri or "")
        self.view_hint = self.where if _is_server(config) else _command(self.where)
        self.runs: dict[str, str] = {}
        self._config = config
        self._study = ""
        self._is_new = False  # whether the study's run was just created: its trials have no runs
        self._experiment = ""
        self._client: Any = None

    def open(self, study: str) -> bool:
        """Connect, find or create the experiment, and check that the study's run still exists."""
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        if self._config.uri and self._config.uri.startswith(SQLITE):
            _prepare(Path(self._config.uri.removeprefix(SQLITE)))
        self._study, self._is_new = study, False
        self._client = MlflowClient(tracking_uri=self._config.uri)
        found = self._client.get_experiment_by_name(self._config.experiment)
        # For a deleted experiment MLflow raises a helpful error.
        if found is None or found.lifecycle_stage == "deleted":
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

    def send(self, updates: Sequence[RunUpdate]) -> None:
        """Write the updates with a few calls per run."""
        from mlflow.exceptions import MlflowException

        for update in updates:
            run = self._run_id(update)
            try:
                self._write(run, update)
            except MlflowException:
                if not self._is_deleted(run):
                    raise

    def keep(self, files: Sequence[StudyFile]) -> None:
        """Upload files of the study."""
        run = self.runs.get(STUDY) or self._find_run(STUDY)
        if run is not None and not self._is_deleted(run):
            for file in files:
                self._client.log_artifact(run, str(file.path), file.folder or None)

    def close(self) -> None:
        """Do nothing: each call is written when it returns."""

    def _write(self, run: str, update: RunUpdate) -> None:
        from mlflow.entities import Metric, Param, RunTag

        points = [
            Metric(name, point.value, _ms(point.time), step)
            for point in update.points
            for name, step in _curves(point)
        ]
        parameters = [
            Param(k, _truncate(v, MAX_PARAMETER_LENGTH)) for k, v in update.parameters.items()
        ]
        tags = [
            RunTag(key, _truncate(value, MAX_TAG_LENGTH)) for key, value in _tags(update).items()
        ]
        while points or parameters or tags:
            self._client.log_batch(
                run, points[:MAX_POINTS], parameters[:MAX_TEXTS], tags[:MAX_TEXTS]
            )
            points, parameters = points[MAX_POINTS:], parameters[MAX_TEXTS:]
            tags = tags[MAX_TEXTS:]
        if update.table is not None:
            view = view_best_first(self._study, update.table)
            self._client.set_experiment_tag(self._experiment, VIEW, view)
        for path in update.files:
            if path.exists():
                self._client.log_artifact(run, str(path))
        if update.status is Status.running:
            self._client.update_run(run, "RUNNING")
        elif update.status is not None:
            self._client.set_terminated(run, update.status.name.upper(), _ms(update.ended or 0.0))

    def _run_id(self, update: RunUpdate) -> str:
        """Return the run's id, creating the run if it does not exist."""
        name = STUDY if update.trial is None else str(update.trial)
        if name not in self.runs:
            self.runs[name] = self._find_run(name) or self._create_run(name, update)
        return self.runs[name]

    def _find_run(self, name: str) -> str | None:
        """Return the id of a run that an earlier process or an unanswered call created."""
        if self._is_new and name != STUDY:
            return None
        query = f"tags.study_id = '{self._study}' and tags.trial = '{name}'"
        found = self._client.search_runs([self._experiment], query, max_results=1)
        return str(found[0].info.run_id) if found else None

    def _create_run(self, name: str, update: RunUpdate) -> str:
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
        made = self._client.create_run(self._experiment, _ms(update.time), tags, update.name)
        return str(made.info.run_id)

    def _is_deleted(self, run: str) -> bool:
        """Whether a user has deleted the run; it is not created again."""
        return bool(self._client.get_run(run).info.lifecycle_stage == "deleted")

    def _artifacts(self) -> str | None:
        given = self._config.artifacts
        if given is None or urlsplit(given).scheme:
            return given
        return None if _is_server(self._config) else Path(given).absolute().as_uri()


def public_uri(uri: str) -> str:
    """Return the URI without a login, with an absolute path."""
    if uri.startswith(SQLITE):
        return f"{SQLITE}{Path(uri.removeprefix(SQLITE)).absolute()}"
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def trials_page(config: MlflowConfig) -> str:
    """Return the path of MLflow's page that shows the latest study's trials, best first.

    MLflow's first page is an overview of chat agents. Without a study yet, the path is empty.

    Args:
        config: a store that can be read
    """
    from mlflow import MlflowClient

    found = MlflowClient(tracking_uri=config.uri).get_experiment_by_name(config.experiment)
    if found is None:
        return ""
    runs = f"#/experiments/{found.experiment_id}/runs"
    return f"{runs}?viewStateShareKey={VIEW_KEY}" if VIEW in found.tags else runs


def connection_error(config: MlflowConfig) -> str | None:
    """Return why MLflow would reject a study, in one line; None if it accepts. Creates nothing."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    os.environ.update(SHORT_RETRIES)
    try:
        client = MlflowClient(tracking_uri=config.uri)
        found = client.get_experiment_by_name(config.experiment)
    except MlflowException as error:
        return one_line(error)
    if found is not None and found.lifecycle_stage == "deleted":
        return f"its experiment {config.experiment!r} is deleted: restore it or name another"
    return None


def _is_server(config: MlflowConfig) -> bool:
    """Whether the tracking URI is a server, for which local folders are meaningless."""
    return urlsplit(config.uri or "").scheme.startswith("http")


def _command(where: str) -> str:
    """Return the command that opens a database."""
    own = where == public_uri(EMBEDDED)
    return command("mlflow") if own else f"mlflow server --backend-store-uri {shlex.quote(where)}"


def _curves(point: Point) -> list[tuple[str, int]]:
    """Return MLflow's metric names and steps for a point; results have no prefix, so they sort
    last.
    """
    if point.tokens is None:
        return [(point.name, point.step)]
    by_tokens = (f"by_tokens/{point.name}", point.tokens)
    return [(f"by_step/{point.name}", point.step), *([by_tokens] if point.name in LOSSES else [])]


def _prepare(database: Path) -> None:
    """Create the database in WAL mode, so that readers do not block the writer."""
    database.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(database, timeout=20)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def _tags(update: RunUpdate) -> dict[str, str]:
    """Return the tags, with those that MLflow's pages show."""
    tags = dict(update.tags)
    if commit := tags.get("git_commit"):
        tags["mlflow.source.git.commit"] = commit
    if update.description:
        tags["mlflow.note.content"] = update.description
    return tags


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _truncate(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
