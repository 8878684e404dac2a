"""Convert a merged model to GGUF with llama.cpp's script, and read the file back."""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from ugro.config import Config
from ugro.errors import UserError, fault
from ugro.retries import one_line
from ugro.trial.export.weights import TEXT, Agreement, export_merged

OUTTYPES = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}  # names in llama.cpp's script


@dataclass(frozen=True)
class ReadBack:
    """A GGUF file as transformers reads it.

    Attributes:
        agreement: comparison of its logits; None if transformers does not read this architecture
        same_tokens: whether its tokenizer is read, and gives the tokens of the base model's
        why_not: why it was not read
    """

    agreement: Agreement | None
    same_tokens: bool = False
    why_not: str = ""


def export_gguf(
    config: Config, folder: Path, file: Path, dtype: str, converter: Path, log: Path
) -> ReadBack:
    """Write a trial's merged model as a GGUF file.

    Args:
        config: configuration of the trial
        folder: folder of the trial, with ``adapter/``
        file: file to write
        dtype: a key of ``OUTTYPES``
        converter: llama.cpp's ``convert_hf_to_gguf.py``, or a program with its arguments
        log: file for the converter's output, deleted unless the converter fails

    Raises:
        UserError: the converter failed, the disk is too small, or the file is another model.
    """
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".merged") as scratch:
        merged = Path(scratch)
        written = export_merged(config, folder, merged, dtype, copies=2)
        _convert(merged, file, OUTTYPES[dtype], converter, log)
        tokens = AutoTokenizer.from_pretrained(merged)(TEXT)["input_ids"]
    try:
        model = AutoModelForCausalLM.from_pretrained(
            file.parent,
            gguf_file=file.name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
        )
    except (ValueError, NotImplementedError, KeyError) as error:
        return ReadBack(None, why_not=one_line(error))
    agreement = written.probe.agreement(model)
    agreement.check(dtype)
    try:
        read = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    except (ValueError, NotImplementedError, KeyError):
        return ReadBack(agreement)
    return ReadBack(agreement, read(TEXT)["input_ids"] == tokens)


def _convert(merged: Path, file: Path, outtype: str, converter: Path, log: Path) -> None:
    program = [sys.executable, str(converter)] if converter.suffix == ".py" else [str(converter)]
    command = [*program, str(merged), "--outfile", str(file), "--outtype", outtype]
    with log.open("w") as output:
        try:
            code = subprocess.run(command, stdout=output, stderr=output, check=False).returncode
        except OSError as error:
            log.unlink()
            allowed = "llama.cpp's convert_hf_to_gguf.py"
            raise UserError(f"{fault('converter', str(converter), allowed)} ({error})") from error
    if code or not file.is_file():
        how = f"exit code {code}" if code else "it wrote no file"
        raise UserError(f"the converter {converter} failed ({how}): see {os.path.relpath(log)}")
    log.unlink()
