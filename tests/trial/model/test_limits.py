import pytest
from transformers import BloomConfig, GPT2Config, PreTrainedConfig, Qwen2Config

from ugro.errors import UserError
from ugro.trial.model import limits
from ugro.trial.model.random_llama import byte_tokenizer

from ..small_models import small_model


@pytest.mark.parametrize(
    ("shape", "most"),
    [
        (GPT2Config(n_positions=128), 128),  # learned
        (Qwen2Config(max_position_embeddings=512), 512),  # rotary
        (BloomConfig(), None),  # ALiBi
        (
            Qwen2Config(
                max_position_embeddings=512,
                rope_parameters={
                    "rope_type": "yarn",
                    "rope_theta": 1e4,
                    "factor": 4.0,
                    "original_max_position_embeddings": 512,
                },
            ),
            2048,
        ),
    ],
)
def test_a_row_is_no_longer_than_the_models_positions(
    shape: PreTrainedConfig, most: int | None
) -> None:
    assert limits.positions(shape) == most
    limits.check_fits(shape, most or 10**6)
    if most is not None:
        line = rf"^data\.block_size: {most + 1} given, allowed: {most} at most"
        with pytest.raises(UserError, match=line):
            limits.check_fits(shape, most + 1)


def test_a_token_without_a_row_in_the_embedding_is_one_line() -> None:
    model, tokenizer = small_model("llama"), byte_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|tool|>"]})
    assert len(tokenizer) > model.get_input_embeddings().num_embeddings
    limits.check_vocabulary(model, 257, tokenizer)  # fine, as long as it does not occur
    with pytest.raises(
        UserError, match=r"^model\.path: 'the token <\|tool\|>' given.* id 258, 258"
    ):
        limits.check_vocabulary(model, 258, tokenizer)


def test_a_tokenizer_without_an_end_is_one_line() -> None:
    tokenizer = byte_tokenizer()
    limits.check_end_token(tokenizer)
    tokenizer.eos_token = None
    with pytest.raises(UserError, match=r"^model\.path: 'a tokenizer without an EOS token' given"):
        limits.check_end_token(tokenizer)
