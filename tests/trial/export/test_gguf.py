"""GGUF files, written by a stand-in for llama.cpp's script and read by transformers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ugro.config import Config
from ugro.errors import UserError
from ugro.trial.export.gguf import export_gguf

from ...conftest import QUICK
from ..conftest import Run
from ..small_models import saved_model

CONVERTER = Path(__file__).with_name("convert_hf_to_gguf.py")


@pytest.mark.parametrize(("dtype", "most"), [("fp32", 1e-4), ("bf16", 0.05), ("fp16", 0.005)])
def test_a_gguf_file_gives_the_logits_of_adapter_and_base(
    dtype: str, most: float, run: Run, settings: Callable[..., Config], tmp_path: Path
) -> None:
    given = ("training.learning_rate=1e-2", "lora.use_dora=true")
    _, folder = run(*given)
    file, log = tmp_path / "out" / "mine.gguf", tmp_path / "out.log"
    file.parent.mkdir()
    read = export_gguf(settings(*QUICK, *given), folder, file, dtype, CONVERTER, log)
    assert read.agreement is not None
    assert read.agreement.difference < most
    assert read.same_tokens
    assert [path.name for path in file.parent.iterdir()] == ["mine.gguf"]
    assert not log.exists()


def test_a_converter_that_fails_is_one_line_with_its_log(
    run: Run, settings: Callable[..., Config], tmp_path: Path
) -> None:
    given = ("model=local", f"model.path={saved_model('gpt2', tmp_path / 'base')}")
    _, folder = run(*given)
    log = tmp_path / "out.log"
    failed = r"^the converter .*convert_hf_to_gguf.py failed \(exit code 1\): see .*out.log$"
    with pytest.raises(UserError, match=failed):
        export_gguf(settings(*QUICK, *given), folder, tmp_path / "x.gguf", "bf16", CONVERTER, log)
    assert "Model GPT2LMHeadModel is not supported" in log.read_text()
    assert not (tmp_path / "x.gguf").exists()


@pytest.mark.parametrize(
    ("name", "script", "line"),
    [
        ("silent.py", "", r"^the converter .* failed \(it wrote no file\): see "),
        ("text", "", r"^converter: '.*/text' given, allowed: llama.cpp's convert_hf_to_gguf.py "),
    ],
)
def test_what_is_no_converter_is_one_line(
    name: str, script: str, line: str, run: Run, settings: Callable[..., Config], tmp_path: Path
) -> None:
    _, folder = run()
    converter, log = tmp_path / name, tmp_path / "out.log"
    converter.write_text(script)
    with pytest.raises(UserError, match=line):
        export_gguf(settings(*QUICK), folder, tmp_path / "x.gguf", "bf16", converter, log)


def test_an_architecture_that_transformers_does_not_read_is_told(
    run: Run, settings: Callable[..., Config], tmp_path: Path
) -> None:
    _, folder = run()
    converter = tmp_path / "other.py"
    converter.write_text(
        "import sys, gguf\n"
        "writer = gguf.GGUFWriter(sys.argv[3], 'unheard-of')\n"
        "writer.write_header_to_file(); writer.write_kv_data_to_file(); writer.close()\n"
    )
    log = tmp_path / "out.log"
    read = export_gguf(settings(*QUICK), folder, tmp_path / "x.gguf", "bf16", converter, log)
    assert read.agreement is None
    assert "unheard-of" in read.why_not
