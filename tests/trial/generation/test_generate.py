from typing import Any

import pytest
import torch
from transformers import GenerationConfig, LlamaForCausalLM

from ugro.config import RandomLlamaConfig
from ugro.trial.data.documents import Document
from ugro.trial.data.rendering import render_document
from ugro.trial.data.tokenization import tokenise
from ugro.trial.generation.generate import as_asked, encoded, end_ids, generate
from ugro.trial.model.random_llama import END, byte_tokenizer, random_llama

from ..small_models import small_model

POSITIONS = 64
SHAPE = RandomLlamaConfig(16, 32, 2, 2, 1, POSITIONS, seed=0)
USER = {"role": "user", "content": "Who is it?"}
ASSISTANT = {"role": "assistant", "content": "It is me."}
RECORDS: dict[str, tuple[dict[str, Any], bool]] = {
    "messages": ({"messages": [USER, ASSISTANT]}, True),
    "prompt of messages": ({"prompt": [USER], "completion": [ASSISTANT]}, True),
    "prompt": ({"prompt": "Who is it?", "completion": " It is me."}, False),
    "text": ({"text": "Who is it? It is me."}, False),
}


@pytest.mark.parametrize("kind", RECORDS)
def test_a_prompt_is_asked_as_it_was_trained(kind: str) -> None:
    record, conversations = RECORDS[kind]
    document = Document("here", record)
    assert document.is_conversation is conversations
    tokenizer = byte_tokenizer()
    asked = as_asked(tokenizer, "Who is it?", conversations)
    [trained] = tokenise(render_document(document, tokenizer), tokenizer)
    assert trained.input_ids.tolist()[: len(asked)] == asked
    if kind != "text":  # whose first words are trained, too
        assert not trained.kinds[: len(asked)].any()
        assert trained.kinds[len(asked) :].all()


@pytest.mark.parametrize(
    ("template", "stop_ids", "ends"),
    [
        (None, (), [END]),
        (
            "{% for m in messages %}{{ m['content'] }}<|im_end|>{% endfor %}",
            (),
            [END, "<|im_end|>"],
        ),
        ("{% for m in messages %}{{ m['content'] }}{% endfor %}", (7,), ["(", END]),
        ("{{ raise_exception('no') }}", (), [END]),
    ],
)
def test_an_answer_ends_as_the_data_and_the_base_model_end_it(
    template: str | None, stop_ids: tuple[int, ...], ends: list[str]
) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_end|>"]})
    tokenizer.chat_template = template
    assert end_ids(tokenizer, stop_ids) == tokenizer.convert_tokens_to_ids(ends)


def test_an_answer_is_greedy_whatever_the_models_own_defaults() -> None:
    model, tokenizer = small_model("llama"), byte_tokenizer()
    asked = as_asked(tokenizer, "Who is it?", conversations=False)
    ids = torch.tensor([asked])
    plain = GenerationConfig(max_new_tokens=8, do_sample=False, eos_token_id=tokenizer.eos_token_id)
    model.generation_config = GenerationConfig()
    made = model.generate(input_ids=ids, generation_config=plain)[0, len(asked) :]
    own = GenerationConfig(do_sample=True, temperature=9.0, repetition_penalty=5.0)
    model.generation_config = own
    [found] = generate(model, tokenizer, [asked], [tokenizer.eos_token_id], 8, 1, None)
    assert found == tokenizer.decode(made, skip_special_tokens=True)
    assert model.generation_config is own
    [stopped] = generate(model, tokenizer, [asked], [int(made[2])], 8, 1, None)
    first = made.tolist().index(int(made[2]))
    assert stopped == tokenizer.decode(made[: first + 1], skip_special_tokens=True)


TEXTS = ["2+2=", "a long prompt, before a short one: ", "no", "Größe: ", ""]


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    return random_llama(SHAPE, byte_tokenizer()).eval()


def answers(model: LlamaForCausalLM, *texts: str, batch_size: int = 1, **given: Any) -> list[str]:
    """The answers of twelve tokens to texts without special tokens."""
    tokenizer = byte_tokenizer()
    asked = [encoded(tokenizer, text, special_tokens=False) for text in texts]
    ends = given.get("ends", [tokenizer.eos_token_id])
    return generate(model, tokenizer, asked, ends, 12, batch_size, POSITIONS)


def alone(model: LlamaForCausalLM, text: str, new_tokens: int) -> str:
    """The answer of plain transformers to a single prompt, without padding."""
    tokenizer = byte_tokenizer()
    ids = tokenizer(text, add_special_tokens=False).input_ids or [tokenizer.eos_token_id]
    made = model.generate(
        torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        max_new_tokens=new_tokens,
        do_sample=False,
        pad_token_id=tokenizer.pad_token_id,
    )
    return str(tokenizer.decode(made[0, len(ids) :], skip_special_tokens=True))


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_each_prompt_has_the_answer_that_it_has_alone(
    model: LlamaForCausalLM, batch_size: int
) -> None:
    given = answers(model, *TEXTS, batch_size=batch_size)
    assert given == [alone(model, text, 12) for text in TEXTS]
    assert len(set(given)) > 1


def test_a_stop_token_ends_the_answer(model: LlamaForCausalLM) -> None:
    [whole] = answers(model, "2+2=")
    tokenizer = byte_tokenizer()
    ids = model.generate(
        torch.tensor([tokenizer("2+2=").input_ids]), max_new_tokens=12, do_sample=False
    )[0, 4:].tolist()
    stop = next(token for at, token in enumerate(ids) if at and token not in ids[:at])
    [cut] = answers(model, "2+2=", ends=[stop])
    assert cut == tokenizer.decode(ids[: ids.index(stop) + 1], skip_special_tokens=True)
    assert len(cut) < len(whole)


def test_a_prompt_too_long_for_the_model_loses_its_start(
    model: LlamaForCausalLM, caplog: pytest.LogCaptureFixture
) -> None:
    text = "x" * 70 + "2+2="
    with caplog.at_level("WARNING"):
        [given] = answers(model, text)
    assert given == alone(model, text[-52:], 12)
    assert "1 prompt cut to the last 52 tokens" in caplog.text


def test_the_training_mode_is_restored(model: LlamaForCausalLM) -> None:
    model.train()
    answers(model, "2+2=")
    assert model.training
    model.eval()
