from collections.abc import Callable

import pytest

from ugro.config import Config
from ugro.errors import UserError
from ugro.trial import hardware
from ugro.trial.adapter import adapted
from ugro.trial.estimate import estimated
from ugro.trial.models import load

from ..conftest import QUICK

Settings = Callable[..., Config]


@pytest.mark.parametrize(
    "asked",
    [
        ["lora.r=8"],
        ["lora.r=32", "lora.target_modules=[q_proj]", "lora.modules_to_save=[lm_head]"],
        ["lora.use_dora=true", "lora.init_lora_weights=pissa"],
    ],
)
def test_what_is_counted_is_what_a_trial_has(asked: list[str], settings: Settings) -> None:
    config = settings(*QUICK, *asked)
    counted = estimated(config)
    base = load(config.model, hardware.precision(config.training.dtype), config.cache_dir)
    with adapted(base, config.lora) as model:
        parameters = list(model.parameters())
        trained = [one for one in parameters if one.requires_grad]
        assert counted.parameters == sum(one.numel() for one in parameters)
        assert counted.trainable == sum(one.numel() for one in trained)
        assert counted.weights == sum(one.nbytes for one in parameters)
        assert counted.states == 3 * sum(one.nbytes for one in trained)


def test_activations_grow_with_the_batch_and_shrink_with_checkpointing(settings: Settings) -> None:
    small, large, checkpointed = (
        estimated(settings(*QUICK, *asked)).activations
        for asked in (
            ["training.batch_size=4"],
            ["training.batch_size=8"],
            ["training.batch_size=8", "training.gradient_checkpointing=true"],
        )
    )
    assert large == pytest.approx(2 * small, rel=0.02)
    assert checkpointed < 0.7 * large


def test_no_data_are_held(settings: Settings) -> None:
    huge = ["model.random_llama.hidden_size=65536", "model.random_llama.intermediate_size=262144"]
    assert estimated(settings(*QUICK, *huge)).weights > 2**38


def test_a_module_that_the_model_lacks_is_told(settings: Settings) -> None:
    with pytest.raises(UserError, match=r"^lora\.target_modules: 'nonsense' given"):
        estimated(settings(*QUICK, "lora.target_modules=[nonsense]"))
