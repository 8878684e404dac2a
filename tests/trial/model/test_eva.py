"""EVA: A spans the main directions of a module's inputs."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ugro.config import Config
from ugro.errors import UserError
from ugro.trial.data.preparation import prepare
from ugro.trial.data.rows import Rows
from ugro.trial.model.adapter import adapted
from ugro.trial.model.base_models import load

from ...conftest import QUICK

Settings = Callable[..., Config]
EVA = ("lora.init_lora_weights=eva", "lora.target_modules=[o_proj,down_proj]", "lora.r=8")


def rows_of(config: Config, cache_dir: Path) -> Rows:
    base = load(config.model, torch.float32, cache_dir)
    return Rows(prepare(config.data, base.tokenizer, cache_dir).train)


def test_a_explains_as_much_of_the_inputs_as_their_main_components(
    settings: Settings, cache_dir: Path
) -> None:
    config = settings(*QUICK, *EVA)
    base = load(config.model, torch.float32, cache_dir)
    rows = rows_of(config, cache_dir)
    ids = torch.stack([torch.from_numpy(rows[index].input_ids) for index in range(len(rows))])
    seen: list[torch.Tensor] = []
    layer = base.model.model.layers[1].mlp.down_proj
    handle = layer.register_forward_hook(lambda _, given, __: seen.append(given[0].flatten(0, 1)))
    with torch.no_grad():
        base.model(input_ids=ids)
    handle.remove()
    with adapted(base, config.lora, rows) as model:
        weights = model.base_model.model.model.layers[1].mlp.down_proj
        start = weights.lora_A["default"].weight.detach()
        assert not weights.lora_B["default"].weight.any()
    inputs = seen[0] - seen[0].mean(0)
    total = torch.linalg.svd(inputs, full_matrices=False)
    best = total.S[:8].square().sum() / total.S.square().sum()
    explained = (inputs @ start.T).square().sum() / total.S.square().sum()
    torch.testing.assert_close(start @ start.T, torch.eye(8), atol=1e-4, rtol=0)
    assert 0.8 * best < explained <= best + 1e-5


def test_with_a_larger_rho_rank_moves_between_modules_and_stays_the_same_in_all(
    settings: Settings, cache_dir: Path
) -> None:
    config = settings(*QUICK, *EVA, "lora.eva_rho=2")
    base = load(config.model, torch.float32, cache_dir)
    with adapted(base, config.lora, rows_of(config, cache_dir)) as model:
        ranks = [len(one) for name, one in model.named_parameters() if "lora_A" in name]
    assert len(set(ranks)) > 1
    assert sum(ranks) == 4 * 8


def test_too_little_text_for_the_rank_is_refused(settings: Settings, cache_dir: Path) -> None:
    config = settings(*QUICK, *EVA, "data.max_train_examples=1")
    base = load(config.model, torch.float32, cache_dir)
    config.lora.r = 32  # of a row of 32 tokens
    with (
        pytest.raises(UserError, match=r"^lora\.init_lora_weights: 'eva' given, .* 64 target"),
        adapted(base, config.lora, rows_of(config, cache_dir)),
    ):
        pass
