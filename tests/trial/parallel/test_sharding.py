"""Memory of a process of a sharded model, and models that cannot be sharded."""

from collections.abc import Callable

import pytest

from ugro.config import Config
from ugro.errors import UserError
from ugro.trial.model.random_llama import byte_tokenizer, random_llama
from ugro.trial.parallel.sharding import bytes_elsewhere


def test_a_process_holds_its_share_of_the_layers_and_gathers_one(
    settings: Callable[..., Config],
) -> None:
    shape = settings("model=tiny", "model.random_llama.num_hidden_layers=8").model.random_llama
    assert shape is not None
    model = random_llama(shape, byte_tokenizer())
    layer = sum(tensor.nbytes for tensor in model.model.layers[0].parameters())
    assert bytes_elsewhere(model, 2) == 8 * layer - 4 * layer - 2 * layer
    assert bytes_elsewhere(model, 8) == 8 * layer - layer - 2 * layer
    assert bytes_elsewhere(model, 1) == 0


def test_a_model_that_does_not_name_its_layers_is_refused(settings: Callable[..., Config]) -> None:
    shape = settings("model=tiny").model.random_llama
    assert shape is not None
    model = random_llama(shape, byte_tokenizer())
    model._no_split_modules = None
    with pytest.raises(UserError, match="'fsdp' given, allowed: ddp, as LlamaForCausalLM"):
        bytes_elsewhere(model, 2)
