from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from tokenizers import normalizers, processors
from transformers import PreTrainedTokenizerFast

from tests.trial.made import EOS, examples_of, record, running, sentencepiece_like, tokens
from ugro.errors import UserError
from ugro.trial.data import tokenization as module
from ugro.trial.data.texts import Span, Text
from ugro.trial.data.tokenization import (
    CONTENT,
    MARKUP,
    UNTRAINED,
    Example,
    Examples,
    tokenise,
    write_examples,
)
from ugro.trial.model.random_llama import END, PAD, byte_tokenizer

TOKENIZER = byte_tokenizer()


def tokenised(text: Text, tokenizer: Any = TOKENIZER) -> Example:
    (example,) = tokenise([text], tokenizer)
    assert len(example.input_ids) == len(example.kinds) == len(example.content_bytes)
    return example


def kinds(example: Example) -> list[int]:
    return example.kinds.tolist()


# Which tokens


def test_a_document_is_closed_by_the_end_token() -> None:
    example = tokenised(running("abc"))
    assert example.input_ids.tolist() == [*tokens("abc"), EOS]
    assert kinds(example) == [CONTENT] * 3 + [MARKUP]


def test_a_prompt_carries_no_loss_but_the_end_token_does() -> None:
    example = tokenised(record("2+2=", "4"))
    assert example.input_ids.tolist() == [*tokens("2+2=4"), EOS]
    assert kinds(example) == [UNTRAINED] * 4 + [CONTENT, MARKUP]
    assert example.content_bytes.tolist() == [0, 0, 0, 0, 1, 0]


def test_a_rendered_chat_gets_no_end_token_of_its_own() -> None:
    text = f"u{END}a{END}"
    spans = (Span(8, 9), Span(9, len(text), content=False))
    example = tokenised(Text(text, spans, special_tokens=False, end_token=False))
    u, a = tokens("ua")
    assert example.input_ids.tolist() == [u, EOS, a, EOS]
    assert kinds(example) == [UNTRAINED, UNTRAINED, CONTENT, MARKUP]
    assert example.content_bytes.tolist() == [0, 0, 1, 0]


def test_an_end_token_that_the_text_has_already_is_not_doubled() -> None:
    example = tokenised(Text(f"a{END}", (Span(0, 1), Span(1, 8, content=False))))
    assert example.input_ids.tolist() == [*tokens("a"), EOS]


def test_the_end_token_is_trained_on_even_where_it_is_the_padding_token() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.pad_token = END
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == EOS
    assert kinds(tokenised(running("ab"), tokenizer)) == [CONTENT, CONTENT, MARKUP]


def with_start_and_end() -> PreTrainedTokenizerFast:
    tokenizer = byte_tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{PAD} $A {END}", special_tokens=[(PAD, 257), (END, EOS)]
    )
    return tokenizer


def test_a_tokenizers_own_start_and_end_tokens_stand_once_around_an_example() -> None:
    start = 257  # the padding token stands in for a start token
    example = tokenised(record("a", "b"), with_start_and_end())
    assert example.input_ids.tolist() == [start, *tokens("ab"), EOS]
    assert kinds(example) == [UNTRAINED, UNTRAINED, CONTENT, MARKUP]
    assert example.content_bytes.tolist() == [0, 0, 1, 0]


def test_a_rendered_chat_gets_no_start_token_of_its_own() -> None:
    chat = Text("ab", (Span(1, 2),), special_tokens=False, end_token=False)
    example = tokenised(chat, with_start_and_end())
    assert example.input_ids.tolist() == tokens("ab")


def test_texts_of_both_kinds_keep_their_order() -> None:
    chat = Text("c", (Span(0, 1),), special_tokens=False, end_token=False)
    found = tokenise([running("a"), chat, running("b")], TOKENIZER)
    assert [one.input_ids.tolist() for one in found] == [
        [*tokens("a"), EOS],
        tokens("c"),
        [*tokens("b"), EOS],
    ]


def test_an_empty_text_is_an_end_token() -> None:
    example = tokenised(running(""))
    assert example.input_ids.tolist() == [EOS]
    assert kinds(example) == [MARKUP]


def test_a_tokenizer_that_tells_no_offsets_is_refused() -> None:
    class Slow:
        is_fast = False
        name_or_path = "somewhere"

    with pytest.raises(UserError, match=r"^model\.path: 'somewhere' given.*fast tokenizer"):
        tokenise([running("a")], Slow())  # type: ignore[arg-type]


# Tokens and characters


@pytest.mark.parametrize("tokenizer", [TOKENIZER, sentencepiece_like()], ids=["bytes", "pieces"])
@pytest.mark.parametrize(
    ("prompt", "completion"), [("Q:", " yes"), ("Q: the", " answer"), ("", "no")]
)
def test_a_record_is_tokenised_as_one_text(
    prompt: str, completion: str, tokenizer: PreTrainedTokenizerFast
) -> None:
    example = tokenised(record(prompt, completion), tokenizer)
    whole = tokenizer(prompt + completion)["input_ids"]
    assert example.input_ids.tolist() == [*whole, tokenizer.eos_token_id]
    trained = [token for token, kind in zip(whole, kinds(example), strict=False) if kind]
    assert tokenizer.decode(trained).strip() == completion.strip()
    assert example.content_bytes.sum() == len(completion.encode())
    assert not example.straddles


def test_a_token_across_the_border_is_untrained_and_counted(tmp_path: Path) -> None:
    tokenizer = sentencepiece_like()
    texts = [record("Q: ", "yes"), record("Q:", " yes"), record("Q: ", "no")]
    first = tokenised(texts[0], tokenizer)
    pieces = tokenizer.convert_ids_to_tokens(first.input_ids.tolist())
    across = pieces.index("▁yes")
    assert kinds(first)[across] == UNTRAINED
    assert first.straddles
    assert first.content_bytes.sum() == 0  # the only token of the answer is not trained on
    assert write_examples(enumerate(texts), tokenizer, tmp_path / "a.arrow").straddling == 2


def test_bytes_are_counted_of_non_ascii_text_by_utf8() -> None:
    # "ß" is two tokens of the byte tokenizer and "€" three; a token a byte, each byte once.
    example = tokenised(record("ß", "a€"))
    assert len(example.input_ids) == 2 + 1 + 3 + 1
    assert kinds(example) == [UNTRAINED] * 2 + [CONTENT] * 4 + [MARKUP]
    assert example.content_bytes.sum() == 4


WITHOUT_TOKENS = st.text(max_size=12).filter(lambda text: "<|" not in text)


@property_settings(deadline=None, derandomize=True, max_examples=60)
@given(prompt=WITHOUT_TOKENS, completion=WITHOUT_TOKENS)
def test_every_byte_of_the_completion_is_counted_once(prompt: str, completion: str) -> None:
    example = tokenised(record(prompt, completion))
    encoded = (prompt + completion).encode()
    assert len(example.input_ids) == len(encoded) + 1  # a token a byte
    assert kinds(example) == [UNTRAINED] * len(prompt.encode()) + [CONTENT] * len(
        completion.encode()
    ) + [MARKUP]
    assert example.content_bytes.sum() == len(completion.encode())


# Kept in a file


TEXTS = st.lists(
    st.one_of(
        st.builds(running, WITHOUT_TOKENS), st.builds(record, WITHOUT_TOKENS, WITHOUT_TOKENS)
    ),
    max_size=7,
)


@property_settings(deadline=None, derandomize=True, max_examples=30)
@given(texts=TEXTS)
def test_a_file_gives_back_what_was_written_whatever_the_batches(
    texts: list[Text], tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BATCH", 3)
        found, known = examples_of(texts, tmp_path_factory.mktemp("examples"))
    whole, same = examples_of(texts, tmp_path_factory.mktemp("examples"))
    assert known == same
    wanted = tokenise(texts, TOKENIZER)
    assert len(found) == len(whole) == len(texts)
    assert found.documents.tolist() == [*range(len(texts))]
    assert found.running.tolist() == [text.running for text in texts]
    assert found.lengths.tolist() == [len(one.input_ids) for one in wanted]
    assert found.trained.tolist() == [int((one.kinds[1:] > 0).sum()) for one in wanted]
    for index, one in enumerate(wanted):
        stretch = index, 0, len(one.input_ids)
        assert np.array_equal(found.input_ids(*stretch), one.input_ids)
        assert np.array_equal(found.kinds(*stretch), one.kinds)
        assert np.array_equal(found.content_bytes(*stretch), one.content_bytes)
        assert np.array_equal(found.input_ids(index, 1, stretch[2]), one.input_ids[1:])
        assert np.array_equal(whole.input_ids(*stretch), one.input_ids)


def test_what_carries_loss_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    texts = [record("2+", "2=4"), record("2+2", "=4"), running("2+2=4"), running("2+2=5")]
    known = [examples_of([text], tmp_path)[1]["fingerprint"] for text in texts]
    assert len(set(known)) == 4
    assert examples_of([texts[0]], tmp_path)[1]["fingerprint"] == known[0]


def test_the_bytes_that_tokens_stand_for_are_part_of_the_fingerprint(tmp_path: Path) -> None:
    tokenizer = byte_tokenizer()
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace("ü", "u")
    one, other = (examples_of([running(text)], tmp_path, tokenizer) for text in ("tür", "tur"))
    assert one[0].input_ids(0, 0, 4).tolist() == other[0].input_ids(0, 0, 4).tolist()
    assert one[1]["fingerprint"] != other[1]["fingerprint"]


def test_where_an_example_ends_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    def chats(*texts: str) -> str:
        made = [Text(text, (Span(0, len(text)),), False, False) for text in texts]
        return str(examples_of(made, tmp_path)[1]["fingerprint"])

    assert chats("ab", "c") != chats("a", "bc")


def test_examples_are_mapped_not_read(tmp_path: Path) -> None:
    found, _ = examples_of([running("abc")], tmp_path)
    assert isinstance(found, Examples)
    assert not found.input_ids(0, 0, 4).flags.owndata
