from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig

from ugro.config import Config, Dtype
from ugro.errors import UserError


def test_the_debug_recipe_is_small(composed: Callable[..., DictConfig]) -> None:
    config = composed("experiment=debug", "study.name=test", with_hydra=True)
    assert config.model.random_llama is not None
    assert config.hydra.sweeper.n_trials == 2
    assert config.training.max_steps == 4


def test_upstreams_sweeper_and_launcher_compose(composed: Callable[..., DictConfig]) -> None:
    upstream = ("hydra/sweeper=optuna", "hydra/sweeper/sampler=tpe", "hydra/launcher=ray")
    config = composed(*upstream, "search_space=lora", "study.name=test", with_hydra=True)
    assert config.hydra.sweeper._target_.startswith("hydra_plugins.hydra_optuna_sweeper.")
    assert "lora.r" in config.hydra.sweeper.params


def test_a_local_group_is_optional_and_has_the_last_word(
    tmp_path: Path, composed: Callable[..., DictConfig]
) -> None:
    local = tmp_path / "local" / "default.yaml"
    local.parent.mkdir()
    local.write_text("# @package _global_\ncache_dir: /here\ntraining:\n  max_steps: 7\n")
    path = f"hydra.searchpath=[file://{tmp_path}]"
    config = composed(path, "experiment=debug")
    assert (config.cache_dir, config.training.max_steps) == ("/here", 7)
    assert composed("experiment=debug").training.max_steps == 4


def test_alpha_follows_r_by_its_ratio_unless_it_is_given(settings: Callable[..., Config]) -> None:
    assert settings("lora.r=4").lora.alpha == 8
    assert settings("lora.r=4", "lora.alpha_ratio=0.5").lora.alpha == 2
    assert settings("lora.r=4", "lora.alpha=16").lora.alpha == 16


def test_enumerations_are_given_by_name(settings: Callable[..., Config]) -> None:
    assert settings("training.dtype=bf16").training.dtype is Dtype.bf16


@pytest.mark.parametrize(
    "override", ["lora.rank=8", "lora.r=eight", "training.lr_scheduler_type=cosinus"]
)
def test_misspelt_keys_and_wrong_types_are_refused(
    override: str, composed: Callable[..., DictConfig]
) -> None:
    with pytest.raises(ConfigCompositionException):
        composed(override)


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("+lora.rank=4", "lora.rank: no key of the schema, nearest: lora.r, lora.rank_pattern, "),
        (
            "++training.learning_rat=1",
            "training.learning_rat: no key of the schema, nearest: traini",
        ),
        ("+scheduler.max_tt=1", "scheduler.max_tt: no key of the schema, nearest: scheduler.max_t"),
        ("+zzz=1", "zzz: no key of the schema, python train.py --cfg job prints them all"),
    ],
)
def test_a_key_that_was_added_is_refused_with_the_nearest_ones(
    override: str, line: str, settings: Callable[..., Config]
) -> None:
    with pytest.raises(UserError) as error:
        settings("scheduler=asha", override)
    assert str(error.value).startswith(line)


def test_a_missing_mandatory_value_is_told_by_its_key(settings: Callable[..., Config]) -> None:
    with pytest.raises(UserError, match=r"^lora\.r: needs a value"):
        settings("lora.r=???")


def test_the_gpu_recipe_is_what_it_says(composed: Callable[..., DictConfig]) -> None:
    config = composed("experiment=llama2_7b_lora", with_hydra=True)
    sweeper, launcher = config.hydra.sweeper, config.hydra.launcher
    assert config.lora.target_modules == ["q_proj", "v_proj"]
    assert (sweeper.n_trials, sweeper.n_jobs) == (100, 8)
    assert launcher.ray.remote.num_gpus == 0.5
    assert set(sweeper.params) == {
        "lora.r",
        "lora.alpha",
        "lora.dropout",
        "training.learning_rate",
        "training.batch_size",
        "training.warmup_ratio",
    }
