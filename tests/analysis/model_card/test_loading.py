"""Programs on model cards quantise the base model as the trial did."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ugro.analysis.model_card.exported import Exported
from ugro.analysis.model_card.loading import loading
from ugro.config import Config
from ugro.events.channel import channel
from ugro.trial.export.weights import export_adapter
from ugro.trial.model.random_llama import byte_tokenizer, random_llama
from ugro.trial.trial import run_trial

from ...conftest import QUICK, ROOT

# What the program loaded, printed behind its answer.
LAYER = "\nprint(type(model.get_base_model().get_submodule('model.layers.0.mlp.up_proj')).__name__)"


@pytest.mark.parametrize(
    ("method", "kind"), [("bnb_nf4", "Linear4bit"), ("bnb_int8", "Linear8bitLt")]
)
def test_the_program_of_an_adapter_quantises_its_base_model(
    method: str, kind: str, settings: Callable[..., Config], tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes")
    config = settings(*QUICK, f"quantization={method}")
    run_trial(config, tmp_path, channel())
    adapter, base = tmp_path / "exported", tmp_path / "base"
    adapter.mkdir()
    export_adapter(config, tmp_path, adapter, "fp32")
    assert config.model.random_llama is not None
    random_llama(config.model.random_llama, byte_tokenizer()).save_pretrained(base)
    of_folder = replace(config.model, random_llama=None, path=str(base))
    for model in (config.model, of_folder):  # in memory, and when it is loaded
        exported = Exported(
            number=0,
            format="adapter",
            dtype="fp32",
            location=str(adapter),
            base=model,
            quantization=config.quantization,
            precision="float32",
            license=None,
            conversations=False,
        )
        program = loading(exported) + LAYER
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == kind
