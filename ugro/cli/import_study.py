"""Import another program's trials as a study: ``ugro import storage=URL as=NAME``."""

import shlex
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ugro.cli.arguments import parse
from ugro.cli.commands import COMMANDS
from ugro.cli.study_folders import STUDIES
from ugro.cli.study_lookup import check_exists, find_study
from ugro.config.validation.validation import STUDY_NAME
from ugro.errors import UserError, fault
from ugro.space.composition import parsed
from ugro.study.importing.foreign_study import ForeignStudy
from ugro.study.importing.optuna_studies import foreign_study, snapshot
from ugro.study.importing.study_folder import write_study
from ugro.study.importing.wandb_files import runs_of
from ugro.study.importing.wandb_runs import study_of
from ugro.study.storage import redacted_url
from ugro.study.trial_record import recorded_outcome

OF_OPTUNA, OF_WANDB = ("study.name",), ("direction",)
MAX_LISTED = 10  # names in a line


@dataclass(frozen=True)
class Meant:
    """What the arguments say about names.

    Attributes:
        keys: new names of parameters
        objectives: new names of objectives by name; equal ones where none is given
        directions: of the objectives
    """

    keys: Mapping[str, str]
    objectives: Mapping[str, str]
    directions: Sequence[str]


def main(arguments: Sequence[str]) -> None:
    """Write a new study of another program's trials to ``multirun/``.

    Args:
        arguments: ``storage=URL study.name=NAME`` of Optuna, or ``wandb=PATH objective=NAME
            direction=minimize``; ``keys={NAME: KEY}``; ``as=NAME``

    Raises:
        UserError: there is no such study or file, or the new study exists.
    """
    given = parse("import", arguments)
    if ("storage" in given) == ("wandb" in given):
        raise UserError("storage or wandb: one of them says where the trials are")
    other = OF_WANDB if "storage" in given else OF_OPTUNA
    for key in other:
        if key in given:
            where = "wandb=PATH" if key in OF_WANDB else "storage=URL"
            raise UserError(fault(key, given[key], f"nothing; it belongs to {where}"))
    meant = _meant(given)
    name, foreign = (_of_optuna if "storage" in given else _of_wandb)(given, meant)
    name = given.get("as") or name
    if not STUDY_NAME.fullmatch(name):
        allowed = "a name for the new study: as=NAME, of letters, digits and . _ - + = @"
        raise UserError(fault("as", name, allowed))
    write_study(foreign, name, STUDIES / name)
    for line in _said(foreign, name):
        print(line)


def _meant(given: Mapping[str, str]) -> Meant:
    keys = _mapping("keys", given)
    objectives = _names("objective", given)
    directions = list(_names("direction", given))
    choices = next(key.choices for key in COMMANDS["import"].keys if key.name == "direction")
    for one in directions:
        if one not in choices:
            raise UserError(fault("direction", one, ", ".join(choices)))
    return Meant(keys, objectives, directions)


def _mapping(key: str, given: Mapping[str, str]) -> dict[str, str]:
    value = parsed(given[key]) if key in given else {}
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise UserError(fault(key, given[key], "{NAME: KEY, ...}"))
    return {str(name): one for name, one in value.items()}


def _names(key: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return the names of a list as a mapping to themselves; a mapping as it is."""
    value: Any = parsed(given[key]) if key in given else []
    if isinstance(value, dict):
        return _mapping(key, given)
    names = value if isinstance(value, list) else [value]
    if len(set(map(str, names))) < len(names) and key == "objective":
        raise UserError(fault(key, given[key], "different names"))
    return {str(name): str(name) for name in names}


def _of_optuna(given: Mapping[str, str], meant: Meant) -> tuple[str, ForeignStudy]:
    check_exists(given["storage"])
    with tempfile.TemporaryDirectory(prefix="ugro-import-") as folder:
        copy = snapshot(given["storage"], Path(folder))
        location = find_study({**given, "storage": copy})
        study = location.study()
        origin = f"study {location.name} of {redacted_url(given['storage'])}"
        return location.name, foreign_study(
            study, origin, meant.keys, list(meant.objectives.values())
        )


def _of_wandb(given: Mapping[str, str], meant: Meant) -> tuple[str, ForeignStudy]:
    path = Path(given["wandb"])
    runs = runs_of(path)
    return path.stem, study_of(
        runs, f"W&B runs of {path}", meant.objectives, meant.directions, meant.keys
    )


def _said(foreign: ForeignStudy, name: str) -> list[str]:
    """Say what was imported, left out and kept under its own name, and what is next."""
    outcomes = Counter(recorded_outcome(trial) for trial in foreign.trials.values())
    ended = ", ".join(f"{count} {how.in_words}" for how, count in outcomes.items() if how)
    lines = [
        f"Imported {len(foreign.trials)} trials, {foreign.origin}: {ended or 'none has ended'}"
    ]
    if foreign.left_out:
        left_out = ", ".join(f"{count} {why}" for why, count in foreign.left_out.items())
        lines.append(f"Left out: {left_out}")
    if unknown := foreign.unknown:
        shown = ", ".join(unknown[:MAX_LISTED]) + (", ..." if len(unknown) > MAX_LISTED else "")
        lines.append(
            f"{len(unknown)} of {len(foreign.parameters)} parameters have no key of UGRO and keep "
            f"their names: {shown}; with a key: keys={{{unknown[0]}: KEY}}"
        )
    warm_start = shlex.quote(f"study.warm_start=[{name}]")
    return [
        *lines,
        f"Analyze it: ugro analyze study.name={name}",
        f"Begin a sweep with its best trials: {warm_start}",
    ]
