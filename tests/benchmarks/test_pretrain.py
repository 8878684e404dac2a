"""The small Llama of recorded tables."""

import pytest
import torch

from benchmarks.tabular import pretrain
from benchmarks.tabular.plans import space

TEXTS = ["def one():\n    return 1\n" * 40, "Ein Wort für zwei, größer als eins.\n" * 40]


@pytest.fixture(scope="module")
def tokenizer() -> pretrain.PreTrainedTokenizerFast:
    return pretrain.bpe_tokenizer(TEXTS)


def test_the_tokenizer_gives_back_any_text(tokenizer: pretrain.PreTrainedTokenizerFast) -> None:
    for text in (*TEXTS, "\t∑ unseen\r\n"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer("def one():\n")["input_ids"]) < 6


def test_blocks_hold_the_documents_in_order(tokenizer: pretrain.PreTrainedTokenizerFast) -> None:
    blocks = pretrain.tokenised_blocks(TEXTS * 20, tokenizer)
    assert {len(block) for block in blocks} == {pretrain.BLOCK}
    joined = tokenizer.decode([token for block in blocks for token in block])
    assert (pretrain.END.join(TEXTS * 20) + pretrain.END).startswith(joined)
    assert len(blocks) > 3


def test_the_model_has_the_modules_of_the_search_space(
    tokenizer: pretrain.PreTrainedTokenizerFast,
) -> None:
    torch.manual_seed(0)
    model = pretrain.small_llama(tokenizer)
    linear = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
    }
    lists = [one for one in space()["lora.target_modules"].choices if one != "all-linear"]
    assert {name for one in lists for name in one.strip("[]").split(",")} <= linear
    body = sum(parameter.numel() for parameter in model.model.layers.parameters())
    assert body == pytest.approx(2.7e6, rel=0.03)
