from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM, MambaConfig, MambaForCausalLM
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from ugro.config import Config, TaskName
from ugro.errors import UserError
from ugro.trial.data.packing import bfd, unpacked
from ugro.trial.model.attention_check import check_example_isolation
from ugro.trial.model.kernels import set_attention
from ugro.trial.model.random_llama import byte_tokenizer, random_llama

LENGTHS = np.array([3, 4, 5])
EXAMPLES = np.arange(3)


@pytest.fixture
def config(settings: Callable[..., Config]) -> Config:
    return settings("model=tiny", "data=jsonl", "data.train_files=[a.jsonl]")


def llama(config: Config) -> LlamaForCausalLM:
    assert config.model.random_llama is not None
    return random_llama(config.model.random_llama, byte_tokenizer())


class Leaking(torch.nn.Module):
    """A model that ignores example borders, as custom code may."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, input_ids: Any, position_ids: Any, use_cache: bool) -> Any:
        return self.inner(input_ids=input_ids, use_cache=use_cache)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
def test_a_llama_keeps_examples_apart(config: Config, half: bool, attention: str) -> None:
    model = llama(config).to(torch.bfloat16 if half else torch.float32)
    set_attention(model, attention)
    check_example_isolation(model, bfd(LENGTHS, EXAMPLES, 12), config.data, config.task.name)
    assert model.training  # it is left as it was


def test_a_model_that_mixes_them_up_is_refused(config: Config) -> None:
    with pytest.raises(UserError, match=r"^data.packing: 'bfd' given, allowed: none: this model"):
        check_example_isolation(
            Leaking(llama(config)), bfd(LENGTHS, EXAMPLES, 12), config.data, config.task.name
        )


def test_an_attention_that_mixes_them_up_is_refused(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No mask is made for it, as for kernels that transformers does not know."""
    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS, "unmasked", sdpa_attention_forward)
    model = llama(config)
    set_attention(model, "unmasked")
    with pytest.raises(UserError, match=r"^data.packing: 'bfd' given"):
        check_example_isolation(model, bfd(LENGTHS, EXAMPLES, 12), config.data, config.task.name)


def test_a_model_without_attention_is_refused(config: Config) -> None:
    shape = MambaConfig(vocab_size=64, hidden_size=16, state_size=4, num_hidden_layers=1)
    with pytest.raises(UserError, match=r"^data.packing: 'bfd' given"):
        check_example_isolation(
            MambaForCausalLM(shape), bfd(LENGTHS, EXAMPLES, 12), config.data, config.task.name
        )


def test_pairs_share_rows_whatever_the_packing(config: Config) -> None:
    pair = bfd(LENGTHS, EXAMPLES, 12)
    with pytest.raises(
        UserError, match=r"^task.name: 'dpo' given, allowed: a model whose attention"
    ):
        check_example_isolation(Leaking(llama(config)), pair, config.data, TaskName.dpo)


def test_where_every_example_has_a_row_of_its_own_any_model_will_do(config: Config) -> None:
    check_example_isolation(
        Leaking(llama(config)), unpacked(LENGTHS, EXAMPLES, 12), config.data, config.task.name
    )
