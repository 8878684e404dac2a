"""Export a trial: ``ugro export study.name=NAME to=FOLDER format=merged dtype=bf16``."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ugro.cli.arguments import choice_of, parse
from ugro.cli.study_lookup import StudyLocation, find_study
from ugro.cli.trained_trial import TrainedTrial, silence_libraries, trained_trial
from ugro.config import Adapter, Bias, Config, register_schema
from ugro.errors import UserError, fault
from ugro.formatting import binary_size, number, share
from ugro.paths import is_writable
from ugro.plugins.sweeper import register_plugins
from ugro.retries import one_line

if TYPE_CHECKING:
    from ugro.trial.export.weights import Agreement

README = "README.md"
NOT_PLAIN = (
    "It is not the matrices of LoRA alone (another adapter, DoRA, modules_to_save, a classifier's "
    "head or biases): PEFT loads it, vLLM does not. To serve it, export with format=merged."
)
QUANTISED = (
    "It was trained on a base model quantised with {}: it gives the trial's outputs on a base "
    "model that is loaded with the same quantisation."
)
DEQUANTISED = "The base model was quantised in training and is de-quantised here."


@dataclass(frozen=True)
class Request:
    """What is to be exported, and where to.

    Attributes:
        to: new or empty folder
        format: ``adapter``, ``merged`` or ``gguf``
        dtype: ``fp32``, ``bf16`` or ``fp16``
        converter: llama.cpp's script, for ``gguf``
        push: repository on the hub, or None
    """

    to: Path
    format: str
    dtype: str
    converter: Path | None
    push: str | None


def main(arguments: list[str]) -> None:
    """Write a trial's model into a new folder, with a model card, and upload it if asked to.

    Args:
        arguments: the study, ``trial=NUMBER``, ``to=FOLDER``, ``format=``, ``dtype=``,
            ``converter=FILE``, ``push=ORG/NAME``

    Raises:
        UserError: there is no such trial, it has no adapter, or a key is wrong.
    """
    register_schema()
    register_plugins()
    given = parse("export", arguments)
    request = _request(given)
    where = find_study(given)
    trained = trained_trial(where, given.get("trial"))
    if trained.labels and request.format == "gguf":
        raise UserError(fault("format", "gguf", "adapter or merged, as the trial is a classifier"))
    if request.push:
        from ugro.cli.hub import check_target  # takes half a second to import

        check_target(request.push)
    with _new_folder(request.to) as draft:
        _write(request, where, trained, draft)
    size = sum(path.stat().st_size for path in request.to.rglob("*") if path.is_file())
    print(f"{request.to}: {binary_size(size)}; {request.to / README} says how to use it")
    if request.push:
        from ugro.cli.hub import upload

        message = f"Trial {trained.trial.number} of study {where.name}, {request.format}"
        print(upload(request.to, request.push, message))


def _request(given: Mapping[str, str]) -> Request:
    form = choice_of("export", "format", given, "adapter")
    dtype = choice_of("export", "dtype", given, "fp32" if form == "adapter" else "bf16")
    to, converter = given.get("to"), given.get("converter")
    if to is None:
        raise UserError(fault("to", None, "a folder that is new or empty"))
    if (form == "gguf") != (converter is not None):
        needed = "llama.cpp's convert_hf_to_gguf.py" if form == "gguf" else "only format=gguf"
        raise UserError(fault("converter", converter, needed))
    if converter is not None and not Path(converter).is_file():
        raise UserError(fault("converter", converter, "a file, llama.cpp's convert_hf_to_gguf.py"))
    folder = Path(to)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(fault("to", to, "a folder that is new or empty"))
    if not is_writable(folder):
        raise UserError(fault("to", to, "a folder that can be written"))
    return Request(folder, form, dtype, Path(converter) if converter else None, given.get("push"))


@contextmanager
def _new_folder(to: Path) -> Iterator[Path]:
    """Yield a draft beside the folder, which is renamed when it is complete, else deleted."""
    to = to.absolute()
    draft = to.with_name(f".{to.name}.{os.getpid()}.draft")
    try:
        draft.mkdir(parents=True)
        yield draft
        os.replace(draft, to)
    except (OSError, MemoryError) as error:
        raise UserError(f"to: {str(to)!r} cannot be written ({one_line(error)})") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write(request: Request, where: StudyLocation, trained: TrainedTrial, draft: Path) -> None:
    """Write the model and its card."""
    from ugro.analysis.confirmation.confirmation import confirmation_of
    from ugro.analysis.findings.findings import findings_of
    from ugro.analysis.model_card.card import model_card
    from ugro.analysis.model_card.exported import Exported
    from ugro.analysis.tables import tables_of
    from ugro.trial.export.base_license import license_of
    from ugro.trial.export.weights import stop_tokens

    silence_libraries()
    file = f"{request.to.name}-{request.dtype}.gguf" if request.format == "gguf" else ""
    checked = tuple(_export(request, trained, draft, file))
    for line in checked:
        print(line)
    study = where.study()
    tables = tables_of(study, where.folder)
    card = model_card(
        Exported(
            number=trained.trial.number,
            format=request.format,
            dtype=request.dtype,
            location=request.push or str(request.to),
            base=trained.config.model,
            quantization=trained.config.quantization,
            precision=trained.provenance.get("dtype", "float32"),
            license=license_of(trained.config.model),
            conversations=trained.conversations,
            labels=trained.labels,
            checked=checked,
            file=file,
            stop_tokens=(() if trained.labels else stop_tokens(trained.config, request.format)),
        ),
        trained.config,
        study,
        tables,
        findings_of(study, tables, (), confirmation_of(where.folder)),
        trained.provenance,
    )
    (draft / README).write_text(card, encoding="utf-8")


def _export(request: Request, trained: TrainedTrial, draft: Path, file: str) -> Iterator[str]:
    """Write the model; yield how it compares with the trial."""
    from ugro.trial import torch_errors
    from ugro.trial.export.gguf import export_gguf
    from ugro.trial.export.weights import export_adapter, export_merged

    config, folder, dtype = trained.config, trained.folder, request.dtype
    with torch_errors.translated():
        match request.format:
            case "adapter":
                export_adapter(config, folder, draft, dtype)
                if trained.labels or not is_plain_lora(config):
                    yield NOT_PLAIN
                if not config.quantization.is_none:
                    yield QUANTISED.format(config.quantization.method.name)
            case "merged":
                merged = export_merged(config, folder, draft, dtype, labels=trained.labels)
                output = "label" if trained.labels else "token"
                yield _compared(merged.agreement, dtype, output)
                if merged.as_trained is not None:
                    yield _dequantised(merged.as_trained, output)
            case _:
                assert request.converter is not None
                log = request.to.absolute().with_name(f"{request.to.name}.log")
                read = export_gguf(config, folder, draft / file, dtype, request.converter, log)
                if not config.quantization.is_none:
                    yield DEQUANTISED
                if read.agreement is None:
                    yield f"The file was not read back: {read.why_not}."
                    return
                yield _compared(read.agreement, dtype, "token")
                if not read.same_tokens:
                    yield "Its tokenizer, as transformers reads it, does not give the same tokens."


def is_plain_lora(config: Config) -> bool:
    """Return whether a language model's adapter consists of LoRA's matrices only."""
    lora = config.lora
    others = lora.use_dora or lora.modules_to_save or lora.bias is not Bias.none
    return config.adapter is Adapter.lora and not others


def _compared(agreement: "Agreement", dtype: str, output: str) -> str:
    return (
        f"Its weights in {dtype}, computed in fp32, give logits that differ by at most "
        f"{number(agreement.difference)} from those of the adapter on the base model in fp32 "
        f"(largest logit: {number(agreement.largest)}); {_same_choice(agreement, output)}."
    )


def _dequantised(as_trained: "Agreement", output: str) -> str:
    return (
        f"{DEQUANTISED} From the logits of the adapter on the quantised base model, they differ by "
        "at most "
        f"{number(as_trained.difference)}; {_same_choice(as_trained, output)}."
    )


def _same_choice(agreement: "Agreement", output: str) -> str:
    where = "positions" if output == "token" else "texts"
    return f"the most likely {output} is the same at {share(agreement.same_choice)} of the {where}"
