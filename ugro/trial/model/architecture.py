"""Read the architecture of a base model: its ``config.json``, without weights."""

from pathlib import Path
from typing import Any

from transformers import AutoConfig, PreTrainedConfig

from ugro.config import ModelConfig
from ugro.errors import UserError
from ugro.trial.model.base_models import no_such_model
from ugro.trial.model.gguf_files import gguf_folder

# Copies of published config.json files, ORG--NAME.json, for estimates on machines without the hub.
COPIES = Path(__file__).parent / "architectures"


def architecture(model: ModelConfig, **options: Any) -> PreTrainedConfig:
    """Read the architecture from a folder, the hub's cache, or the hub.

    Args:
        model: which model; not a random one
        options: of ``AutoConfig.from_pretrained``

    Raises:
        UserError: the model does not exist or is not accessible.
    """
    path = str(gguf_folder(model)) if model.gguf_file else str(model.path)
    if model.gguf_file:
        options |= {"gguf_file": model.gguf_file}
    else:
        options |= {"revision": model.revision, "trust_remote_code": model.trust_remote_code}
    try:
        return AutoConfig.from_pretrained(path, **options)
    except (OSError, ValueError) as error:
        raise UserError(no_such_model(path, error)) from error


def copy_in_use(model: ModelConfig) -> Path | None:
    """Return the repository's copy of the architecture if the hub's file is not on this machine.

    The hub is not asked: a model may be gated, and without a network it takes 23 s to give up.
    """
    copy = COPIES / f"{str(model.path).replace('/', '--')}.json"
    if not copy.exists() or model.revision is not None:
        return None
    try:
        AutoConfig.from_pretrained(str(model.path), local_files_only=True)
    except (OSError, ValueError):
        return copy
    return None
