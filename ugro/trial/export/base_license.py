"""Find the licence of a base model."""

from pathlib import Path

import httpx2  # of huggingface_hub
import yaml
from gguf import GGUFReader
from huggingface_hub import HfApi, ModelCard

from ugro.config import ModelConfig
from ugro.trial.model.gguf_files import gguf_folder

FIELD = "general.license"  # of a GGUF file
HUB_SECONDS = 5.0


def license_of(config: ModelConfig) -> str | None:
    """Return the licence, as its GGUF file, its model card or the hub names it; None if unknown."""
    if config.random_llama is not None:
        return None
    if config.gguf_file is not None:
        field = GGUFReader(gguf_folder(config) / config.gguf_file).get_field(FIELD)
        return None if field is None else str(field.contents())
    path = Path(str(config.path))
    if not path.exists():
        return _on_hub(str(config.path), config.revision)
    card = path / "README.md"
    try:
        data = ModelCard.load(card, ignore_metadata_errors=True).data if card.is_file() else None
    except (OSError, ValueError, yaml.YAMLError):  # a card of any kind
        return None
    return _named(data.get("license")) if data else None


def _on_hub(name: str, revision: str | None) -> str | None:
    try:
        data = HfApi().model_info(name, revision=revision, timeout=HUB_SECONDS).card_data
    except (httpx2.HTTPError, OSError):  # offline, or renamed since
        return None
    return _named(data.get("license")) if data else None


def _named(given: object) -> str | None:
    return str(given) if given else None
