import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from tokenizers import processors
from transformers import PreTrainedTokenizerFast

from ugro.config import DataConfig, Source
from ugro.errors import UserError
from ugro.trial.blocks import IGNORED, Blocks, pack, train_and_eval_blocks
from ugro.trial.documents import Document, Segment
from ugro.trial.tiny import END, PAD, byte_tokenizer

TOKENIZER = byte_tokenizer()
EOS = 256  # after the 256 bytes
Make = Callable[..., tuple[Blocks, Blocks]]


def plain(text: str) -> Document:
    return Document((Segment(text),))


def tokens(text: str) -> list[int]:
    """By hand: the byte alphabet begins with the printable ASCII characters, "!" is token 0."""
    return [ord(character) - ord("!") for character in text]


def packed(*documents: Document, block_size: int) -> tuple[list[list[int]], list[list[int]]]:
    input_ids, labels = pack(documents, TOKENIZER, block_size)
    return input_ids.tolist(), labels.tolist()


# Packing


def test_documents_follow_one_another_each_closed_by_the_end_token() -> None:
    # a b c EOS d | e EOS: two blocks of 3, the last token is dropped.
    ids, labels = packed(plain("abc"), plain("de"), block_size=3)
    a, b, c, d, e = tokens("abcde")
    assert ids == [[a, b, c], [EOS, d, e]]
    assert labels == ids


def test_nothing_is_padded_and_the_remainder_is_dropped() -> None:
    ids, _ = packed(plain("abcdefg"), block_size=5)  # 8 tokens: one block, 3 left over
    assert ids == [tokens("abcde")]
    exact, _ = packed(plain("abcdefg"), block_size=4)
    assert exact == [tokens("abcd"), [*tokens("efg"), EOS]]


def test_a_prompt_carries_no_loss_but_the_end_token_does() -> None:
    document = Document((Segment("2+2=", trained=False), Segment("4")))
    ids, labels = packed(document, block_size=6)
    assert ids == [[*tokens("2+2=4"), EOS]]
    assert labels == [[IGNORED] * 4 + [*tokens("4"), EOS]]
    assert IGNORED == -100


def test_a_rendered_chat_gets_no_end_token_of_its_own() -> None:
    document = Document((Segment(f"u{END}", trained=False), Segment(f"a{END}")), rendered=True)
    ids, labels = packed(document, block_size=4)
    (u, a) = tokens("ua")
    assert ids == [[u, EOS, a, EOS]]
    assert labels == [[IGNORED, IGNORED, a, EOS]]


def test_the_end_token_is_trained_on_even_where_it_is_the_padding_token() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.pad_token = END
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == EOS
    _, labels = pack([plain("ab")], tokenizer, 3)
    assert labels.tolist() == [[*tokens("ab"), EOS]]


def test_a_tokenizers_own_start_and_end_tokens_stand_once_around_a_document() -> None:
    tokenizer = byte_tokenizer()
    start = 257  # the padding token stands in for a start token
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{PAD} $A {END}", special_tokens=[(PAD, start), (END, EOS)]
    )
    document = Document((Segment("a", trained=False), Segment("b")))
    ids, _ = pack([document], tokenizer, 4)
    assert ids.tolist() == [[start, *tokens("ab"), EOS]]


def test_text_shorter_than_a_block_gives_none() -> None:
    assert packed(plain("ab"), block_size=4) == ([], [])
    assert packed(block_size=4) == ([], [])


SEGMENTS = st.lists(
    st.builds(Segment, st.text(max_size=12).filter(lambda text: "<|" not in text), st.booleans()),
    min_size=1,
    max_size=3,
)
DOCUMENTS = st.lists(st.builds(Document, SEGMENTS.map(tuple)), max_size=6)


@property_settings(deadline=None, derandomize=True, max_examples=40)
@given(documents=DOCUMENTS, block_size=st.integers(1, 16))
def test_the_blocks_one_after_the_other_are_the_beginning_of_the_stream(
    documents: list[Document], block_size: int
) -> None:
    stream: list[tuple[int, bool]] = []
    for document in documents:
        for segment in document.segments:
            given_ids = TOKENIZER(segment.text)["input_ids"]
            assert len(given_ids) == len(segment.text.encode())  # a token a byte
            stream += [(token, segment.trained) for token in given_ids]
        stream.append((EOS, True))
    input_ids, labels = pack(documents, TOKENIZER, block_size)
    whole = len(stream) // block_size * block_size
    assert input_ids.shape == labels.shape == (len(stream) // block_size, block_size)
    assert input_ids.flatten().tolist() == [token for token, _ in stream[:whole]]
    assert labels.flatten().tolist() == [
        token if trained else IGNORED for token, trained in stream[:whole]
    ]


# Both sides and the cache


class CountingTokenizer(PreTrainedTokenizerFast):
    """The byte tokenizer, counting how often it is called."""

    calls = 0

    def __call__(self, *texts: Any, **options: Any) -> Any:
        self.calls += 1
        return super().__call__(*texts, **options)


def counting(eos: str = END) -> CountingTokenizer:
    backend = byte_tokenizer().backend_tokenizer
    return CountingTokenizer(tokenizer_object=backend, eos_token=eos, pad_token=PAD)


@pytest.fixture
def files(tmp_path: Path) -> DataConfig:
    """12 tokens to train on and 8 to evaluate on, in blocks of 4."""
    (tmp_path / "train.txt").write_text("abcdefghijk")
    (tmp_path / "eval.txt").write_text("lmnopqr")
    return DataConfig(
        Source.text,
        train_files=[str(tmp_path / "train.txt")],
        eval_files=[str(tmp_path / "eval.txt")],
        eval_fraction=0.5,
        split_seed=0,
        block_size=4,
    )


def records(files: DataConfig, train: str, evaluation: str) -> DataConfig:
    for path, text in zip(files.train_files + files.eval_files, (train, evaluation), strict=True):
        Path(path).write_text(text)
    files.source = Source.jsonl
    return files


def test_each_side_is_packed_by_itself_and_cut_to_its_most_blocks(
    files: DataConfig, tmp_path: Path
) -> None:
    train, evaluation = train_and_eval_blocks(files, TOKENIZER, tmp_path)
    assert train.input_ids.tolist() == [tokens("abcd"), tokens("efgh"), [*tokens("ijk"), EOS]]
    assert evaluation.input_ids.tolist() == [tokens("lmno"), [*tokens("pqr"), EOS]]
    assert evaluation[1]["labels"].tolist() == [*tokens("pqr"), EOS]
    files.max_train_blocks, files.max_eval_blocks = 2, 9
    shorter, same = train_and_eval_blocks(files, TOKENIZER, tmp_path)
    assert shorter.input_ids.tolist() == [tokens("abcd"), tokens("efgh")]
    assert shorter.fingerprint == f"{train.fingerprint}:2"
    assert (len(same), same.fingerprint) == (2, evaluation.fingerprint)


def test_a_second_time_nothing_is_tokenised(files: DataConfig, tmp_path: Path) -> None:
    tokenizer = counting()
    first = train_and_eval_blocks(files, tokenizer, tmp_path)
    assert tokenizer.calls == 2  # a document on each side
    second = train_and_eval_blocks(files, tokenizer, tmp_path)
    assert tokenizer.calls == 2
    for before, after in zip(first, second, strict=True):
        assert before.fingerprint == after.fingerprint
        assert before.input_ids.equal(after.input_ids)
        assert before.labels.equal(after.labels)


def test_blocks_found_in_the_cache_cost_no_new_file(files: DataConfig, tmp_path: Path) -> None:
    train_and_eval_blocks(files, TOKENIZER, tmp_path)
    made = sorted((tmp_path / "blocks").iterdir())
    assert len([path for path in made if path.suffix == ".safetensors"]) == 2
    assert not [path for path in made if path.suffix == ".draft"]
    train_and_eval_blocks(files, TOKENIZER, tmp_path)
    assert sorted((tmp_path / "blocks").iterdir()) == made


def test_a_changed_text_block_size_or_tokenizer_makes_new_blocks(
    files: DataConfig, tmp_path: Path
) -> None:
    def fingerprints(tokenizer: CountingTokenizer) -> tuple[str, str]:
        train, evaluation = train_and_eval_blocks(files, tokenizer, tmp_path)
        return train.fingerprint, evaluation.fingerprint

    before = fingerprints(counting())
    Path(files.train_files[0]).write_text("abcdefghijK")
    other_text = fingerprints(counting())
    assert other_text[0] != before[0]
    assert other_text[1] == before[1]
    files.block_size = 2
    other_size = fingerprints(counting())
    other_end = fingerprints(counting(eos=PAD))
    seen = {*before, *other_text, *other_size, *other_end}
    assert len(seen) == 7  # 2, a new train side, and 2 and 2 more


def test_what_carries_loss_is_part_of_the_fingerprint(files: DataConfig, tmp_path: Path) -> None:
    evaluation = '{"prompt": "1+", "completion": "1=2"}'
    found = set()
    for prompt, completion in (("2+", "2=4"), ("2+2", "=4")):
        train = f'{{"prompt": "{prompt}", "completion": "{completion}"}}'
        blocks, _ = train_and_eval_blocks(records(files, train, evaluation), TOKENIZER, tmp_path)
        assert blocks.input_ids.tolist() == [tokens("2+2=")]  # the answer's end is dropped
        found.add(blocks.fingerprint)
    assert len(found) == 2


def _race(files: DataConfig, cache: Path, start: Any, told: Any) -> None:
    tokenizer = counting()
    start.wait()
    train, evaluation = train_and_eval_blocks(files, tokenizer, cache)
    told.put((tokenizer.calls, train.input_ids.tolist(), evaluation.input_ids.tolist()))


def test_two_processes_racing_for_one_cache_tokenise_once_and_read_the_same(
    files: DataConfig, tmp_path: Path
) -> None:
    Path(files.train_files[0]).write_text("abcdefgh" * 20_000)
    context = multiprocessing.get_context("spawn")  # a fork inherits locks
    start, told = context.Barrier(2), context.Queue()
    racers = [
        context.Process(target=_race, args=(files, tmp_path, start, told), daemon=True)
        for _ in range(2)
    ]
    for racer in racers:
        racer.start()
    (calls, *blocks), (more_calls, *same_blocks) = told.get(timeout=60), told.get(timeout=60)
    for racer in racers:
        racer.join()
    assert calls + more_calls == 2  # once each side
    assert blocks == same_blocks
    assert len(blocks[0]) == 40_000  # 160,001 tokens, the end token is left over


# What cannot be trained on


@pytest.mark.parametrize(("side", "text"), [("train", "abc"), ("evaluation", "xy")])
def test_data_shorter_than_a_block_are_told_by_their_side(
    side: str, text: str, files: DataConfig, tmp_path: Path
) -> None:
    files.block_size = 8
    Path((files.train_files if side == "train" else files.eval_files)[0]).write_text(text)
    with pytest.raises(UserError, match=rf"^data\.block_size: 8 given, but the {side} data does"):
        train_and_eval_blocks(files, TOKENIZER, tmp_path)


def test_blocks_of_prompts_alone_are_refused(files: DataConfig, tmp_path: Path) -> None:
    # The prompt fills the only block; the answer is in the remainder.
    train = '{"prompt": "abcd", "completion": "e"}'
    evaluation = '{"prompt": "a", "completion": "bcd"}'
    with pytest.raises(UserError, match="the train blocks hold prompts only"):
        train_and_eval_blocks(records(files, train, evaluation), TOKENIZER, tmp_path)


def test_it_is_the_blocks_in_use_that_must_hold_something_to_learn_from(
    files: DataConfig, tmp_path: Path
) -> None:
    # Blocks of 4 on each side: "abcd" of the prompt, then "efgh" or "efgi" of the answer.
    train, evaluation = (f'{{"prompt": "abcd", "completion": "efg{end}"}}' for end in "hi")
    used = records(files, train, evaluation)
    train_and_eval_blocks(used, TOKENIZER, tmp_path)
    for key, side in (("max_eval_blocks", "evaluation"), ("max_train_blocks", "train")):
        setattr(used, key, 1)
        with pytest.raises(UserError, match=f"the {side} blocks hold prompts only"):
            train_and_eval_blocks(used, TOKENIZER, tmp_path)


def test_a_loss_on_the_first_token_alone_teaches_nothing(files: DataConfig, tmp_path: Path) -> None:
    # Blocks of 2: "a b", "EOS p", the first token of a block is predicted from nothing.
    train = '{"prompt": "ab", "completion": ""}\n{"prompt": "p", "completion": ""}'
    evaluation = '{"prompt": "a", "completion": "bcd"}'
    files.block_size = 2
    with pytest.raises(UserError, match="the train blocks hold prompts only"):
        train_and_eval_blocks(records(files, train, evaluation), TOKENIZER, tmp_path)
