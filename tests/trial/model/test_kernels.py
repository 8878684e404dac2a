from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch

from ugro.config import Config
from ugro.errors import UserError
from ugro.trial.model import kernels
from ugro.trial.model.base_models import base_model, load

from ..small_models import small_model


@pytest.mark.parametrize(
    ("attention", "line"),
    [
        ("flash", "one that works here (ValueError: Specified `attn_implementation="),
        ("flash_attention_3", "one that works here (ImportError: FlashAttention3 "),
        ("flex_attention", "eager or sdpa on a CPU, where torch cannot train with it"),
    ],
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="they may work on a GPU")
def test_an_attention_that_does_not_work_here_is_one_line(
    attention: str, line: str, settings: Callable[..., Config]
) -> None:
    config = settings("model=tiny", f"model.attn_implementation={attention}")
    with pytest.raises(UserError) as told:
        base_model(config.model, torch.float32, Path())
    start = f"model.attn_implementation: '{attention}' given, allowed: "
    assert str(told.value).startswith(start + line)
    assert "\n" not in str(told.value)


def test_an_attention_that_a_model_does_not_have_is_refused() -> None:
    model = small_model("gpt2")
    model._can_set_attn_implementation = lambda: False
    model.config._attn_implementation = "eager"
    with pytest.raises(UserError, match=r"'sdpa' given, allowed: eager, with GPT2LMHeadModel$"):
        kernels.set_attention(model, "sdpa")


def test_a_cached_model_keeps_its_attention(settings: Callable[..., Config]) -> None:
    for attention in ("eager", "sdpa"):
        config = settings("model=tiny", f"model.attn_implementation={attention}").model
        for _ in range(2):
            base = base_model(config, torch.float32, Path())
            assert base.model.config._attn_implementation == attention


def liger(settings: Callable[..., Config]) -> Config:
    return settings("model=tiny", "model.liger_kernel=true", "training.dtype=fp32")


def test_missing_liger_kernels_are_refused(
    settings: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "is_liger_kernel_available", lambda: False)
    with pytest.raises(UserError, match=r"^model\.liger_kernel: True .*: liger-kernel$"):
        base_model(liger(settings).model, torch.float32, Path())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_liger_kernels_are_refused_without_a_gpu(
    settings: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "is_liger_kernel_available", lambda: True)
    with pytest.raises(UserError, match=r"^model\.liger_kernel: True .* false without a GPU$"):
        base_model(liger(settings).model, torch.float32, Path())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_liger_kernels_change_no_logits(settings: Callable[..., Config]) -> None:
    """In a process of its own: classes of transformers stay replaced."""
    pytest.importorskip("liger_kernel")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        plain, fused, kinds = process.submit(_logits_of_both, liger(settings)).result()
    assert "LigerRMSNorm" in kinds
    torch.testing.assert_close(fused, plain, rtol=1e-3, atol=1e-4)


def _logits_of_both(config: Config) -> tuple[torch.Tensor, torch.Tensor, str]:
    model = load(config.model, torch.float32, Path()).model
    ids = torch.arange(1, 30, device=model.device)[None]
    with torch.no_grad():
        plain = model(input_ids=ids).logits.cpu()
        kernels.use_liger_kernels(model)
        return plain, model(input_ids=ids).logits.cpu(), repr(model)
