"""A finished trial, its configuration and its adapter, for commands that use its model."""

import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from ugro.cli.rerun import configuration_of, provenance_of
from ugro.cli.study_lookup import StudyLocation
from ugro.config import Config
from ugro.errors import UserError, fault
from ugro.paths import ADAPTER, trial_folder

COMMIT = "base_model_commit"  # in a trial's provenance


@dataclass(frozen=True)
class TrainedTrial:
    """A trial that has an adapter.

    Attributes:
        trial: its record
        folder: its folder, with ``adapter/``
        config: its configuration, with the base model at the commit that it ran with
        provenance: of what it was made
    """

    trial: FrozenTrial
    folder: Path
    config: Config
    provenance: dict[str, str]

    @property
    def model(self) -> tuple[Config, Path, bool, tuple[str, ...]]:
        """Configuration, folder, whether it was trained on conversations, and labels."""
        return self.config, self.folder, self.conversations, self.labels

    @property
    def conversations(self) -> bool:
        """Whether it was trained on conversations, as it wrote down itself."""
        return bool(self._data.get("conversations"))

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of a classifier, in the order of its outputs; none of a language model."""
        return tuple(self._data.get("labels", ()))

    @property
    def _data(self) -> dict[str, Any]:
        """The summary of its data."""
        return dict(json.loads(self.provenance.get("data", "{}")))


def trained_trial(where: StudyLocation, given: str | None) -> TrainedTrial:
    """Return the trial of a command's ``trial`` key, by default the study's best.

    Raises:
        UserError: there is no such trial, it has no adapter, or its configuration is of another
            version.
    """
    if given is None:
        best = where.study().best()
        if best is None:
            raise UserError(fault("trial", None, f"a trial; none of {where.name} is complete"))
        return of_record(where, best)
    return of_record(where, where.trial(given))


def of_record(where: StudyLocation, trial: FrozenTrial) -> TrainedTrial:
    """Return a trial with its configuration.

    Raises:
        UserError: it has no adapter, or its configuration is of another version.
    """
    folder = trial_folder(where.folder, trial.number)
    if not (folder / ADAPTER).is_dir():
        allowed = f"a trial that has an adapter, {folder / ADAPTER}; a failed one has none"
        raise UserError(fault("trial", trial.number, allowed))
    config, provenance = configuration_of(folder), provenance_of(folder)
    commit = provenance.get(COMMIT, config.model.revision)
    pinned = replace(config, model=replace(config.model, revision=commit))
    return TrainedTrial(trial, folder, pinned, provenance)


def silence_libraries() -> None:
    """Silence the advice, progress bars and warnings of libraries that load a model."""
    from ugro.trial.setup import silence_transformers

    silence_transformers()
    logging.captureWarnings(True)
