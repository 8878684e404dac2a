import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor

from ugro.config import Config, LatencyConfig
from ugro.trial import latency
from ugro.trial.data.layout import Part
from ugro.trial.data.rows import Rows
from ugro.trial.latency import latency_ms, merged
from ugro.trial.model import base_models
from ugro.trial.model.adapter import adapted
from ugro.trial.model.base_models import BaseModel

from .made import part_of

QUICK = LatencyConfig(prompt_tokens=8, new_tokens=4, batch_size=1, warmup=1, repeats=2)

ADAPTERS = pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["lora.use_dora=true"],
        ["lora.use_rslora=true", "lora.dropout=0.5"],
        ["lora.target_modules=[q_proj,v_proj]", "lora.modules_to_save=[lm_head]"],
        ["lora.target_modules=[q_proj]", "lora.modules_to_save=[embed_tokens]"],
        ["lora.init_lora_weights=pissa"],
    ],
    ids=" ".join,
)
PRECISIONS = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)


@pytest.fixture
def base(settings: Callable[..., Config]) -> BaseModel:
    return base_models.load(settings("model=tiny").model, torch.float32, Path())


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Part:
    """Return two rows of six tokens: 0 to 11, the printable characters from "!" on."""
    made = part_of(["!\"#$%&'()*+,"], tmp_path_factory.mktemp("part"), "wrapped", block_size=6)
    rows = Rows(made)
    assert [rows[index].input_ids.tolist() for index in (0, 1)] == [[*range(6)], [*range(6, 12)]]
    return made


@pytest.fixture
def inputs(base: BaseModel) -> Iterator[list[Tensor]]:
    """Record the token ids, [batch, length], of each forward call of the base model."""
    seen: list[Tensor] = []

    def look(_: torch.nn.Module, __: Any, given: dict[str, Any]) -> None:
        seen.append(given["input_ids"].clone())

    handle = base.model.register_forward_pre_hook(look, with_kwargs=True)
    yield seen
    handle.remove()


def large_adapter(model: torch.nn.Module) -> None:
    """Make all adapter weights large, so that merging changes every base weight."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator).to(parameter))


def weights(model: torch.nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@PRECISIONS
@ADAPTERS
def test_no_weight_of_base_model_or_adapter_changes_by_a_bit(
    overrides: list[str],
    dtype: torch.dtype,
    part: Part,
    settings: Callable[..., Config],
) -> None:
    config = settings("model=tiny", *overrides)
    base = base_models.load(config.model, dtype, Path())
    with adapted(base, config.lora) as model:
        large_adapter(model)
        before, trainable = weights(model), [p.requires_grad for p in model.parameters()]
        latency_ms(model, part, QUICK)
        assert same(before, weights(model))
        assert trainable == [p.requires_grad for p in model.parameters()]


@ADAPTERS
def test_the_base_model_comes_out_as_it_went_in(
    overrides: list[str], base: BaseModel, part: Part, settings: Callable[..., Config]
) -> None:
    if "lora.init_lora_weights=pissa" in overrides:
        pytest.skip("it rewrites the base weights, and the process forgets them")
    before = weights(base.model)
    with adapted(base, settings("model=tiny", *overrides).lora) as model:
        large_adapter(model)
        latency_ms(model, part, QUICK)
    assert same(before, weights(base.model))


def test_peft_alone_would_leave_a_trace(base: BaseModel, settings: Callable[..., Config]) -> None:
    with adapted(base, settings("model=tiny").lora) as model:
        large_adapter(model)
        before = weights(model)
        model.merge_adapter()
        model.unmerge_adapter()
        assert not same(before, weights(model))


@ADAPTERS
def test_what_is_timed_computes_what_was_trained(
    overrides: list[str], base: BaseModel, part: Part, settings: Callable[..., Config]
) -> None:
    with adapted(base, settings("model=tiny", *overrides).lora) as model, torch.no_grad():
        large_adapter(model)
        model.eval()
        ids = torch.arange(12, device=model.device).view(2, 6)
        apart = model(input_ids=ids).logits
        with merged(model):
            assert all(m.merged for m in model.modules() if isinstance(m, BaseTunerLayer))
            torch.testing.assert_close(model(input_ids=ids).logits, apart, rtol=1e-3, atol=1e-3)
        assert torch.equal(model(input_ids=ids).logits, apart)


def test_a_generation_that_fails_leaves_no_trace(
    base: BaseModel, part: Part, settings: Callable[..., Config]
) -> None:
    with adapted(base, settings("model=tiny").lora) as model:
        large_adapter(model)
        model.train()
        before = weights(model)
        model.generate = fail
        with pytest.raises(RuntimeError, match="out of memory"):
            latency_ms(model, part, QUICK)
        assert same(before, weights(model))
        assert model.training


def fail(**_: object) -> None:
    raise RuntimeError("out of memory")


@pytest.mark.parametrize("checkpointing", [False, True])
def test_prompts_and_new_tokens_are_as_many_as_asked_for(
    checkpointing: bool,
    base: BaseModel,
    part: Part,
    inputs: list[Tensor],
    settings: Callable[..., Config],
) -> None:
    config = LatencyConfig(prompt_tokens=7, new_tokens=5, batch_size=2, warmup=2, repeats=3)
    with adapted(base, settings("model=tiny").lora) as model:
        if checkpointing:  # as transformers' Trainer leaves the model
            model.gradient_checkpointing_enable()
            base.model.config.use_cache = False
        latency_ms(model, part, config)
    # A generation is the prompt, which gives the first new token, then a token a call.
    lengths = [ids.shape[1] for ids in inputs]
    assert lengths == [7, 1, 1, 1, 1] * (2 + 3)
    # Twelve tokens for two prompts of seven: they are gone through again.
    assert inputs[0].tolist() == [[0, 1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 0, 1]]
    assert all(torch.equal(inputs[0], inputs[5 * n]) for n in range(5))


def test_the_models_own_generation_settings_do_not_shorten_it(
    base: BaseModel, part: Part, inputs: list[Tensor], settings: Callable[..., Config]
) -> None:
    own = base.model.generation_config  # as instruct models ship it, and every byte an end token
    own.eos_token_id, own.pad_token_id = list(range(256)), None
    own.max_length = 10
    own.do_sample, own.temperature, own.top_p = True, 0.6, 0.9
    before = own.to_dict()
    with adapted(base, settings("model=tiny").lora) as model, warnings.catch_warnings():
        warnings.simplefilter("error")
        latency_ms(model, part, QUICK)
    assert [ids.shape[1] for ids in inputs] == [8, 1, 1, 1] * 3
    assert base.model.generation_config.to_dict() == before


@pytest.mark.parametrize("training", [False, True])
def test_a_model_in_training_goes_on_training_and_no_random_number_is_drawn(
    training: bool, base: BaseModel, part: Part, settings: Callable[..., Config]
) -> None:
    with adapted(base, settings("model=tiny", "lora.dropout=0.5").lora) as model:
        model.train(training)
        before = torch.get_rng_state()
        latency_ms(model, part, QUICK)
        assert all(module.training is training for module in model.modules())
        assert torch.equal(before, torch.get_rng_state())


def test_it_is_the_median_of_the_repeats_without_the_warm_up(
    base: BaseModel,
    part: Part,
    settings: Callable[..., Config],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = iter([9.0, 8.0, 0.3, 0.1, 5.0])  # two to warm up, then three
    monkeypatch.setattr(latency, "_seconds", lambda *_: next(seconds))
    config = LatencyConfig(prompt_tokens=8, new_tokens=4, batch_size=1, warmup=2, repeats=3)
    with adapted(base, settings("model=tiny").lora) as model:
        assert latency_ms(model, part, config) == pytest.approx(300.0)
    assert next(seconds, None) is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_on_a_gpu_it_leaves_no_trace_either(
    dtype: torch.dtype, part: Part, settings: Callable[..., Config]
) -> None:
    config = settings("model=tiny")
    base = base_models.load(config.model, dtype, Path())
    base.model.to("cuda")
    with adapted(base, config.lora) as model:
        large_adapter(model.cpu())
        model.to("cuda")
        before = weights(model)
        assert 0 < latency_ms(model, part, QUICK) < math.inf
        assert same(before, weights(model))


def test_a_models_own_beams_do_not_make_it_anything_but_greedy(
    base: BaseModel, part: Part, inputs: list[Tensor], settings: Callable[..., Config]
) -> None:
    base.model.generation_config.num_beams = 2
    with adapted(base, settings("model=tiny").lora) as model:
        latency_ms(model, part, QUICK)
    assert [tuple(ids.shape) for ids in inputs] == [(1, 8), (1, 1), (1, 1), (1, 1)] * 3
