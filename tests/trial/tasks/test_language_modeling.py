import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from ugro.config import RandomLlamaConfig
from ugro.trial.data.layout import Part
from ugro.trial.data.texts import Span, Text
from ugro.trial.model.random_llama import END, PAD, byte_tokenizer, random_llama
from ugro.trial.tasks.language_modeling import evaluate, perplexity

from ..made import part_of, record, running

SHAPE = RandomLlamaConfig(16, 32, 1, 2, 1, 64, seed=0)
TEXTS = [
    record("2+2=", "4"),
    record("", "Größe, €"),
    record("a long prompt, a short answer: ", "no"),
    Text("u: q\na: yes~\n", (Span(8, 11), Span(11, 13, content=False)), end_token=False),
]


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    return random_llama(SHAPE, byte_tokenizer()).eval()


@pytest.fixture
def part(tmp_path: Path) -> Part:
    return part_of(TEXTS, tmp_path, part="eval", block_size=64)


def losses_by_hand(model: LlamaForCausalLM, text: Text) -> list[tuple[float, int]]:
    """A text with a token per byte: each loss with its content bytes."""
    encoded = text.text.encode()
    ids = byte_tokenizer()(text.text)["input_ids"]
    assert len(ids) == len(encoded)
    spans = [
        (len(text.text[: span.start].encode()), len(text.text[: span.end].encode()), span.content)
        for span in text.spans
    ]
    carries = {at: int(content) for start, end, content in spans for at in range(start, end)}
    if text.end_token:
        carries[len(ids)] = 0
        ids = [*ids, 256]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].double()
    found = []
    for at in range(1, len(ids)):
        if at in carries:
            scores = logits[at - 1].tolist()
            largest = max(scores)
            normaliser = largest + math.log(sum(math.exp(score - largest) for score in scores))
            found.append((normaliser - scores[ids[at]], carries[at]))
    return found


def test_each_record_has_the_loss_that_it_has_alone(model: LlamaForCausalLM, part: Part) -> None:
    found = evaluate(model, part, batch_size=3)
    by_hand = [losses_by_hand(model, text) for text in TEXTS]
    assert found.losses == pytest.approx([sum(x for x, _ in one) for one in by_hand], abs=1e-5)
    assert found.targets.tolist() == [len(one) for one in by_hand] == [2, 12, 3, 5]
    every = [loss for one in by_hand for loss, _ in one]
    assert found.loss == pytest.approx(sum(every) / len(every), abs=1e-6)


def test_bits_per_byte_are_of_the_content_and_its_utf8_bytes(
    model: LlamaForCausalLM, part: Part
) -> None:
    # "4", "Größe, €" less its first byte, "no", "yes".
    content = [loss for text in TEXTS for loss, size in losses_by_hand(model, text) if size]
    assert len(content) == 1 + (12 - 1) + 2 + 3
    wanted = sum(content) / math.log(2) / len(content)
    assert evaluate(model, part, 2).others["bits_per_byte"] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 50])
def test_the_batch_size_does_not_matter(
    batch_size: int, model: LlamaForCausalLM, part: Part
) -> None:
    one, other = evaluate(model, part, batch_size), evaluate(model, part, 1)
    assert one.loss == pytest.approx(other.loss, abs=1e-6)
    assert one.others["bits_per_byte"] == pytest.approx(other.others["bits_per_byte"], abs=1e-6)
    assert one.losses == pytest.approx(other.losses, abs=1e-5)


@pytest.mark.parametrize("packing", ["bfd", "wrapped", "none"])
@pytest.mark.parametrize("size", [40, 64])
def test_neither_packing_nor_the_length_of_rows_nor_the_order_matters(
    packing: str, size: int, model: LlamaForCausalLM, part: Part, tmp_path: Path
) -> None:
    other = part_of(reversed(TEXTS), tmp_path, packing, "eval", block_size=size)
    wanted, found = evaluate(model, part, 2), evaluate(model, other, 3)
    assert found.loss == pytest.approx(wanted.loss, abs=1e-6)
    assert found.others["bits_per_byte"] == pytest.approx(wanted.others["bits_per_byte"], abs=1e-6)
    assert found.losses[::-1] == pytest.approx(wanted.losses, abs=1e-5)


def test_running_text_is_evaluated_row_by_row(model: LlamaForCausalLM, tmp_path: Path) -> None:
    text = "abcdefghij"  # and an end token: 11 tokens, 10 predicted, in windows of 6 by steps of 5
    found = evaluate(model, part_of([text], tmp_path, part="eval", block_size=6), 2)
    windows = [text[:6], text[5:]]
    ends = [Text(w, running(w).spans, end_token=w is windows[1]) for w in windows]
    by_hand = [losses_by_hand(model, one) for one in ends]
    assert found.targets.tolist() == [5, 5]
    assert found.losses == pytest.approx([sum(x for x, _ in one) for one in by_hand], abs=1e-5)


# A model that knows nothing


def pair_tokenizer() -> PreTrainedTokenizerFast:
    """Return the byte tokenizer with an additional token for "aa"."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: index for index, character in enumerate([*alphabet, "aa"])}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[("a", "a")]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=END, pad_token=PAD)


@pytest.mark.parametrize(
    ("tokenizer", "tokens", "vocabulary"), [(byte_tokenizer(), 6, 258), (pair_tokenizer(), 3, 259)]
)
def test_of_a_uniform_model_bits_per_byte_are_tokens_times_the_vocabularys_bits_by_bytes(
    tokenizer: PreTrainedTokenizerFast, tokens: int, vocabulary: int, tmp_path: Path
) -> None:
    uniform = random_llama(SHAPE, tokenizer)
    with torch.no_grad():
        uniform.lm_head.weight.zero_()
    part = part_of([record("q:", "aaaaaa")], tmp_path, part="eval", tokenizer=tokenizer)
    found = evaluate(uniform, part, 1)
    assert found.targets.tolist() == [tokens + 1]  # the end token too, which has no bytes
    assert found.loss == pytest.approx(math.log(vocabulary), abs=1e-6)
    assert found.others["bits_per_byte"] == pytest.approx(
        tokens * math.log2(vocabulary) / 6, abs=1e-6
    )


def test_without_content_there_are_no_bits_per_byte(
    model: LlamaForCausalLM, tmp_path: Path
) -> None:
    found = evaluate(model, part_of([record("prompt", "")], tmp_path, part="eval"), 1)
    assert math.isfinite(found.loss)
    assert math.isnan(found.others["bits_per_byte"])


# The model is left alone


@pytest.mark.parametrize("training", [False, True])
def test_a_model_is_left_in_the_mode_it_was_in(
    training: bool, model: LlamaForCausalLM, part: Part
) -> None:
    model.train(training)
    evaluate(model, part, 2)
    assert model.training is training
    model.eval()


def test_dropout_does_not_disturb_it(model: LlamaForCausalLM, part: Part) -> None:
    noisy = random_llama(SHAPE, byte_tokenizer())
    noisy.model.layers[0].self_attn.attention_dropout = 0.9
    noisy.train()
    assert np.array_equal(evaluate(noisy, part, 2).losses, evaluate(model, part, 2).losses)


def test_perplexity_is_the_exponential_of_the_loss() -> None:
    assert perplexity(0.0) == 1.0
    assert perplexity(math.log(20)) == pytest.approx(20)
    assert perplexity(1e6) == math.inf
    assert math.isnan(perplexity(math.nan))
