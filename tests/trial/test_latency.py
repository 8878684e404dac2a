from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from peft import PeftModel

from ugro.config import Config
from ugro.trial import latency
from ugro.trial.adapter import adapted
from ugro.trial.blocks import Blocks, train_and_eval_blocks
from ugro.trial.latency import latency_ms, merged
from ugro.trial.models import base_model

from ..conftest import QUICK

Settings = Callable[..., Config]


@contextmanager
def trained(config: Config) -> Iterator[tuple[PeftModel, Blocks]]:
    """A model with an adapter that does something."""
    base = base_model(config.model, torch.float32, Path(config.cache_dir))
    _, blocks = train_and_eval_blocks(config.data, base.tokenizer, Path(config.cache_dir))
    with adapted(base, config.lora) as model:
        torch.manual_seed(0)
        with torch.no_grad():
            for name, one in model.named_parameters():
                if "lora_B" in name:
                    one.normal_()
        yield model, blocks


def test_it_generates_as_many_tokens_as_asked_for_as_often_as_asked_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(
        *QUICK,
        "latency.prompt_tokens=40",
        "latency.new_tokens=5",
        "latency.batch_size=3",
        "latency.warmup=2",
        "latency.repeats=4",
    )
    shapes = []
    with trained(config) as (model, blocks):
        generate = model.generate

        def watched(**given: object) -> torch.Tensor:
            out: torch.Tensor = generate(**given)
            shapes.append((tuple(given["input_ids"].shape), tuple(out.shape)))  # type: ignore[attr-defined]
            return out

        monkeypatch.setattr(model, "generate", watched)
        assert 0 < latency_ms(model, blocks, config.latency) < 60_000
    assert shapes == [((3, 40), (3, 45))] * 6


def test_it_is_the_median_of_what_is_timed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([9.0, 0.5, 0.1, 0.3])
    monkeypatch.setattr(latency, "_seconds", lambda *_: next(times))
    config = settings(*QUICK, "latency.warmup=1", "latency.repeats=3")
    with trained(config) as (model, blocks):
        assert latency_ms(model, blocks, config.latency) == pytest.approx(300.0)


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("lora.use_dora=true",),
        ("lora.use_rslora=true",),
        ("lora.bias=all",),
        ("lora.modules_to_save=[embed_tokens]",),
    ],
)
def test_the_model_is_left_as_it_was_to_the_last_bit(
    overrides: tuple[str, ...], settings: Settings
) -> None:
    config = settings(*QUICK, *overrides)
    with trained(config) as (model, blocks):
        model.train()
        before = {name: one.detach().clone() for name, one in model.named_parameters()}
        latency_ms(model, blocks, config.latency)
        after = dict(model.named_parameters())
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)
        assert model.training


def test_within_the_block_the_adapter_is_merged(settings: Settings) -> None:
    with trained(settings(*QUICK)) as (model, blocks):
        ids = blocks.input_ids[:1].long()
        model.eval()
        with torch.no_grad():
            own = model(input_ids=ids).logits
            with merged(model), model.disable_adapter():
                pass
            with merged(model):
                inside = model(input_ids=ids).logits
                layer = next(m for m in model.modules() if hasattr(m, "merged_adapters"))
                assert layer.merged_adapters
        assert torch.allclose(own, inside, atol=1e-4)
