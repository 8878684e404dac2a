from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st

from tests.trial.made import part_of, record, running
from ugro.errors import UserError
from ugro.trial.data.layout import Part, PartSummary, trained_tokens
from ugro.trial.data.rows import IGNORED, Rows
from ugro.trial.data.texts import Text

PACKINGS = pytest.mark.parametrize("packing", ["bfd", "wrapped", "none"])
HELD_OUT = ("eval", "test")


def trained_by_rows(part: Part) -> list[int]:
    rows = Rows(part)
    return [int((rows[index].labels != IGNORED).sum()) for index in range(len(rows))]


def lengths(part: Part) -> list[int]:
    return part.layout.lengths.tolist()


# What becomes of the examples


def test_the_summary_counts_what_is_laid_out(tmp_path: Path) -> None:
    # Three examples of 4, 5 and 3 tokens, the end tokens included; two rows of 8: 5 + 3 and 4.
    part = part_of(
        [record("a", "bc"), record("ab", "cd"), record("", "ab")], tmp_path, block_size=8
    )
    assert lengths(part) == [8, 4]
    # With loss: "bc", "cd" and "b", each with its end token; nothing predicts the last one's "a".
    assert part.summary == PartSummary(
        documents=3, examples=3, rows=2, tokens=12, trained=3 + 3 + 2
    )


LONG = [record("ab", "cdefgh"), record("a", "b"), record("abcdefgh", "i"), record("a", "bc")]


@pytest.mark.parametrize("packing", ["bfd", "none"])
def test_a_record_that_is_too_long_is_cut_and_that_is_counted(packing: str, tmp_path: Path) -> None:
    # 9, 3, 10 and 4 tokens in rows of 6: 3 and 4 tokens lost; of the third only the prompt is left.
    summary = part_of(LONG, tmp_path, packing, block_size=6).summary
    assert (summary.cut_examples, summary.cut_tokens) == (2, 7)
    assert summary.untrained == 1
    assert (summary.examples, summary.tokens) == (3, 6 + 3 + 4)
    assert summary.trained == 4 + 2 + 3


@pytest.mark.parametrize("packing", ["bfd", "none"])
def test_a_record_that_is_too_long_is_dropped_if_asked_for(packing: str, tmp_path: Path) -> None:
    summary = part_of(LONG, tmp_path, packing, block_size=6, too_long="drop").summary
    assert (summary.dropped_examples, summary.dropped_tokens) == (2, 19)
    assert (summary.cut_examples, summary.cut_tokens, summary.untrained) == (0, 0, 0)
    assert (summary.examples, summary.tokens, summary.trained) == (2, 7, 5)


@pytest.mark.parametrize("part", ["train", "eval", "test"])
def test_a_record_that_is_too_long_is_an_error_if_asked_for(part: str, tmp_path: Path) -> None:
    line = r"'2 examples longer than 6 tokens, the longest 10' given, allowed: data\.block_size=10"
    with pytest.raises(UserError, match=rf"^data\.too_long=error: {line} or more$"):
        part_of(LONG, tmp_path, part=part, block_size=6, too_long="error")
    part_of(LONG, tmp_path, part=part, block_size=10, too_long="error")


def test_a_row_of_evaluation_that_is_too_short_is_told_by_its_own_key(tmp_path: Path) -> None:
    how = {"block_size": 10, "eval_block_size": 6, "too_long": "error"}
    part_of(LONG, tmp_path, **how)
    with pytest.raises(UserError, match=r"allowed: data\.eval_block_size=10 or more$"):
        part_of(LONG, tmp_path, part="eval", **how)


def test_filled_rows_cut_records_where_they_end_and_the_rest_is_counted(tmp_path: Path) -> None:
    part = part_of([record("a", "bcdefgh"), record("", "abc")], tmp_path, "wrapped", block_size=6)
    # 9 and 4 tokens: the last row would hold an end token alone, which nothing predicts.
    assert lengths(part) == [6, 6]
    summary = part.summary
    assert (summary.cut_tokens, summary.dropped_tokens, summary.examples) == (0, 0, 2)
    assert (summary.untrained, summary.unit) == (1, "rows")


@PACKINGS
def test_no_row_is_without_a_trained_token(packing: str, tmp_path: Path) -> None:
    long_prompts = [record("p" * 30, "ab"), record("p" * 3, "c"), record("p" * 9, "")]
    part = part_of(long_prompts, tmp_path, packing, block_size=8)
    assert min(trained_by_rows(part)) > 0


def test_a_part_of_prompts_alone_is_refused(tmp_path: Path) -> None:
    said = r"'no token of the train part carries loss \(1 examples are cut to 8 tokens\)' given"
    with pytest.raises(UserError, match=said):
        part_of([record("abcdefgh", "i")], tmp_path, block_size=8)


def test_a_loss_on_the_first_token_alone_teaches_nothing(tmp_path: Path) -> None:
    chat = Text("a", ((running("a").spans[0]),), special_tokens=False, end_token=False)
    with pytest.raises(UserError, match="no token of the eval part carries loss"):
        part_of([chat], tmp_path, part="eval")


# How many are drawn


def test_at_most_so_many_records_are_drawn_by_the_split_seed_not_the_first(tmp_path: Path) -> None:
    texts = [record("", f"{number:03d}") for number in range(100)]

    def drawn(part: str, seed: int) -> list[int]:
        most = {f"max_{part}_examples": 10}
        found = part_of(texts, tmp_path, "none", part, split_seed=seed, **most)
        assert found.summary.not_drawn == 90
        return found.layout.examples.tolist()

    for part in ("train", *HELD_OUT):
        first = drawn(part, 0)
        assert first == sorted(set(first))
        assert len(first) == 10
        assert max(first) >= 10
        assert drawn(part, 0) == first
        assert drawn(part, 1) != first


@pytest.mark.parametrize("part", HELD_OUT)
def test_of_running_text_rows_are_drawn(part: str, tmp_path: Path) -> None:
    how = {"part": part, "block_size": 5, f"max_{part}_examples": 6}
    found = part_of(["a" * 99], tmp_path, "bfd", **how)  # 99 predicted tokens, 4 a row: 25 rows
    assert (found.summary.rows, found.summary.not_drawn) == (6, 19)
    assert found.layout.starts.max() > 6 * 4


def test_of_filled_rows_rows_are_drawn(tmp_path: Path) -> None:
    found = part_of(["a" * 99], tmp_path, "wrapped", block_size=5, max_train_examples=6)
    assert (found.summary.rows, found.summary.not_drawn) == (6, 14)
    assert found.layout.starts.max() >= 6 * 5


def test_more_than_there_are_is_all(tmp_path: Path) -> None:
    found = part_of([record("a", "b")], tmp_path, max_train_examples=2)
    assert (found.summary.examples, found.summary.not_drawn) == (1, 0)


# Held out


@pytest.mark.parametrize("part", HELD_OUT)
@PACKINGS
def test_each_held_out_record_has_a_row_of_its_own(packing: str, part: str, tmp_path: Path) -> None:
    found = part_of(LONG, tmp_path, packing, part, block_size=64)
    assert found.layout.examples.tolist() == [0, 1, 2, 3]
    assert lengths(found) == [9, 3, 10, 4]


def test_held_out_running_text_is_read_row_by_row_each_token_predicted_once(tmp_path: Path) -> None:
    part = part_of(["abcdefgh", "ij"], tmp_path, part="eval", block_size=4, too_long="error")
    assert lengths(part) == [4, 4, 3, 3]  # 9 tokens in rows that overlap by one, then 3
    assert part.summary.trained == 8 + 2


def test_rows_of_evaluation_may_be_longer_than_those_of_training(tmp_path: Path) -> None:
    how = {"block_size": 4, "eval_block_size": 9}
    assert lengths(part_of(["abcdefgh"], tmp_path, part="eval", **how)) == [9]
    assert lengths(part_of(["abcdefgh"], tmp_path, "wrapped", **how)) == [4, 4]


# Fingerprints


def fingerprints(part: Part) -> tuple[str, str]:
    return part.documents, part.tokens


@pytest.mark.parametrize("part", HELD_OUT)
def test_held_out_records_have_one_fingerprint_however_rows_are_made(
    part: str, tmp_path: Path
) -> None:
    found = {
        fingerprints(part_of(LONG, tmp_path, packing, part, block_size=size))
        for packing in ("bfd", "wrapped", "none")
        for size in (10, 16, 99)
    }
    assert len(found) == 1


@pytest.mark.parametrize("part", HELD_OUT)
def test_what_is_cut_dropped_or_not_drawn_has_another_fingerprint(
    part: str, tmp_path: Path
) -> None:
    hows = [
        {},
        {"block_size": 6},
        {"block_size": 7},
        {"block_size": 6, "too_long": "drop"},
        {f"max_{part}_examples": 2},
        {f"max_{part}_examples": 2, "split_seed": 1},
    ]
    found = {part_of(LONG, tmp_path, part=part, **how).documents for how in hows}
    assert len(found) == len(hows)


def test_running_text_that_is_longer_than_a_row_has_the_rows_length_in_its_fingerprint(
    tmp_path: Path,
) -> None:
    four, five, nine, ten = (
        part_of(["abcdefgh"], tmp_path, part="eval", block_size=size).documents
        for size in (4, 5, 9, 10)
    )
    assert len({four, five, nine}) == 3
    assert nine == ten  # nothing is cut in either


@PACKINGS
def test_the_documents_that_are_trained_on_are_named_whatever_the_rows(
    packing: str, tmp_path: Path
) -> None:
    assert part_of(LONG, tmp_path, packing, block_size=6).documents == "documents"


# By hand or all at once


TEXTS = st.lists(
    st.one_of(
        st.builds(running, st.text("ab", max_size=30)),
        st.builds(record, st.text("ab", max_size=20), st.text("ab", max_size=20)),
    ),
    min_size=1,
    max_size=8,
)


@property_settings(deadline=None, derandomize=True, max_examples=60)
@given(
    texts=TEXTS,
    packing=st.sampled_from(["bfd", "wrapped", "none"]),
    name=st.sampled_from(["train", "eval"]),
    size=st.integers(2, 20),
)
def test_trained_tokens_are_the_labels_of_each_row_and_no_row_is_without(
    tmp_path_factory: pytest.TempPathFactory, texts: list[Text], packing: str, name: str, size: int
) -> None:
    folder = tmp_path_factory.mktemp("part")
    try:
        part = part_of(texts, folder, packing, name, block_size=size)
    except UserError as error:
        assert "carries loss" in str(error)  # noqa: PT017
        return
    by_rows = trained_by_rows(part)
    assert trained_tokens(part.examples, part.layout).tolist() == by_rows
    assert min(by_rows) > 0
    assert part.summary.trained == sum(by_rows)
    assert part.summary.tokens == part.layout.lengths.sum()
    assert part.summary.rows == len(part.layout)
    assert part.summary.examples == len(np.unique(part.layout.examples))
    assert (part.layout.lengths <= size).all()
