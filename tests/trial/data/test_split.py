import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st

from tests.trial.made import data_config
from ugro.config import DataConfig
from ugro.errors import UserError
from ugro.trial.data.split import MIN_TEST_GROUPS, PARTS, Split, read_part, split_documents

Made = Callable[..., DataConfig]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """``made(["a", "b"], eval=["c"], ...)``: a configuration of these records in files."""

    def _made(train: Sequence[Any], **given: Any) -> DataConfig:
        files = {}
        for part, records in {"train": train, **given}.items():
            if part in PARTS:
                path = tmp_path / f"{part}.jsonl"
                path.write_text("".join(json.dumps(as_record(one)) + "\n" for one in records))
                files[f"{part}_files"] = [str(path)]
        keys = {key: value for key, value in given.items() if key not in PARTS}
        return data_config(**files, **keys)

    return _made


def as_record(one: Any) -> dict[str, Any]:
    return one if isinstance(one, dict) else {"text": one}


def parts_of(config: DataConfig) -> dict[str, list[str]]:
    split = split_documents(config)
    return {part: [one.content["text"] for one in read_part(config, split, part)] for part in PARTS}


def sized(count: int, length: int = 10) -> list[str]:
    return [f"{number:03d}".ljust(length, "x") for number in range(count)]


# Held out


def test_a_tenth_of_the_reference_is_held_out_and_another_to_test_on_never_more() -> None:
    config = data_config(source="pydocs", eval_fraction=0.1)
    split = split_documents(config)
    lengths = {part: sum(one.length for one in read_part(config, split, part)) for part in PARTS}
    total = sum(lengths.values())
    assert total > 350_000
    for part in ("eval", "test"):
        assert 0.09 * total < lengths[part] <= 0.1 * total


def test_no_paragraph_of_the_reference_is_in_two_parts() -> None:
    config = data_config(source="pydocs", eval_fraction=0.1)
    split = split_documents(config)
    seen: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for part in PARTS:
        for document in read_part(config, split, part):
            for paragraph in document.content["text"].split("\n\n"):
                normalised = " ".join(paragraph.split())
                if len(normalised) >= 40:
                    assert seen.setdefault(normalised, part) == part
                    counts[part] += 1
    assert counts["train"] > 1000
    assert counts["eval"] > 50
    assert counts["test"] > 50


def test_another_split_seed_holds_out_other_documents(made: Made) -> None:
    first, second, again = (
        parts_of(made(sized(40), eval_fraction=0.1, split_seed=seed)) for seed in (0, 1, 0)
    )
    assert first["eval"] != second["eval"]
    assert first["test"] != second["test"]
    assert first == again


def test_held_out_documents_are_drawn_not_the_first_or_last_in_the_file(made: Made) -> None:
    numbers = [int(text[:3]) for text in parts_of(made(sized(100), eval_fraction=0.1))["eval"]]
    assert len(numbers) == 10
    assert numbers == sorted(numbers)
    assert max(numbers) > 10
    assert min(numbers) < 90
    assert max(numbers) - min(numbers) > 10


LENGTHS = st.lists(st.integers(3, 60), min_size=2, max_size=40)
FRACTIONS = st.floats(0.01, 0.8)


@property_settings(deadline=None, derandomize=True, max_examples=40)
@given(
    lengths=LENGTHS, eval_fraction=FRACTIONS, test_fraction=FRACTIONS, seed=st.integers(0, 2**32)
)
def test_the_parts_are_disjoint_in_order_within_their_shares_and_together_everything(
    tmp_path_factory: pytest.TempPathFactory,
    lengths: list[int],
    eval_fraction: float,
    test_fraction: float,
    seed: int,
) -> None:
    texts = [f"{number:03d}".ljust(length, "x") for number, length in enumerate(lengths)]
    path = tmp_path_factory.mktemp("split") / "train.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    shares = {"eval": eval_fraction, "test": test_fraction * (0.99 - eval_fraction)}
    config = data_config(
        train_files=[str(path)],
        eval_fraction=shares["eval"],
        test_fraction=shares["test"],
        split_seed=seed,
    )
    parts = parts_of(config)
    assert sorted(parts["train"] + parts["eval"] + parts["test"]) == texts
    for part in PARTS:
        assert parts[part] == sorted(parts[part])
    assert parts["train"]
    assert parts["eval"]
    assert bool(parts["test"]) == (len(texts) >= MIN_TEST_GROUPS)
    left = texts
    for part in ("eval", "test"):
        most, shortest = shares[part] * sum(map(len, texts)), min(map(len, left))
        if shortest > most and parts[part]:
            assert [len(text) for text in parts[part]] == [shortest]
        else:
            assert sum(map(len, parts[part])) <= most
        left = [text for text in left if text not in parts[part]]


def test_a_giant_among_small_documents_stays_in_the_training_set(made: Made) -> None:
    # 100 + 3 * 10 = 130 characters, a quarter is 32.5: the three small ones, never the giant.
    texts = ["g" * 100, *(letter * 10 for letter in "abc")]
    for seed in range(10):
        parts = parts_of(made(texts, eval_fraction=0.25, split_seed=seed))
        assert parts == {"train": texts[:1], "eval": texts[1:], "test": []}


# The test part


@pytest.mark.parametrize(("count", "tested"), [(MIN_TEST_GROUPS - 1, 0), (MIN_TEST_GROUPS, 2)])
def test_a_test_part_is_held_out_where_there_are_enough_documents(
    count: int, tested: int, made: Made
) -> None:
    assert len(parts_of(made(sized(count), eval_fraction=0.1))["test"]) == tested


def test_documents_that_are_repeated_do_not_make_enough(made: Made) -> None:
    assert parts_of(made(["a", "b", "c"] * 10, eval_fraction=0.1))["test"] == []


def test_no_test_part_is_held_out_where_none_is_wanted(made: Made) -> None:
    assert parts_of(made(sized(40), eval_fraction=0.1, test_fraction=0.0))["test"] == []


def test_files_of_their_own_are_taken_as_they_are(made: Made) -> None:
    parts = parts_of(made(["a", "b"], eval=["c", "d"], test=["e"]))
    assert parts == {"train": ["a", "b"], "eval": ["c", "d"], "test": ["e"]}


def test_a_test_part_is_held_out_beside_evaluation_files(made: Made) -> None:
    parts = parts_of(made(sized(30), eval=["c"], test_fraction=0.2))
    assert parts["eval"] == ["c"]
    assert (len(parts["train"]), len(parts["test"])) == (24, 6)


# Nothing on both sides


def test_what_stands_in_the_other_files_is_left_out_of_the_training_set(made: Made) -> None:
    config = made(["alone", "shared", "tested"], eval=["shared"], test=["tested"])
    assert parts_of(config)["train"] == ["alone"]
    assert split_documents(config).also_held_out == 2


def test_what_the_files_of_evaluation_and_test_share_is_counted(made: Made) -> None:
    config = made(["alone"], eval=["shared", "own"], test=["shared", "other", "shared"])
    assert split_documents(config).evaluated_and_tested == 1
    assert split_documents(made(["alone"], eval=["own"], test=["other"])).evaluated_and_tested == 0


def test_repeated_records_stay_in_training_and_on_one_side(made: Made) -> None:
    texts = [*sized(5), *["twenty"] * 20]
    for seed in range(10):
        config = made(texts, eval_fraction=0.3, split_seed=seed, test_fraction=0.0)
        parts, split = parts_of(config), split_documents(config)
        assert not set(parts["train"]) & set(parts["eval"])
        assert len(parts["eval"]) == len(set(parts["eval"]))
        assert parts["train"].count("twenty") in (0, 20)
        assert split.repeated == 19


def test_repeated_records_are_trained_on_once_if_asked_for(made: Made) -> None:
    config = made(["a", "b", "a", "a"], eval=["c"], deduplicate=True)
    assert parts_of(config)["train"] == ["a", "b"]
    assert split_documents(config).repeated == 2


def by_user(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"text": text, "user": user} for text, user in pairs]


def test_records_of_one_group_stay_in_one_part(made: Made) -> None:
    records = by_user(*((text, f"user {number % 25}") for number, text in enumerate(sized(100))))
    config = made(records, eval_fraction=0.2, test_fraction=0.2, group_by="user")
    users = {record["text"]: record["user"] for record in records}
    found = {part: {users[text] for text in texts} for part, texts in parts_of(config).items()}
    assert [len(found[part]) for part in PARTS] == [15, 5, 5]
    assert len(set.union(*found.values())) == 25


def test_the_groups_of_the_other_files_are_left_out_of_the_training_set(made: Made) -> None:
    train = by_user(("a", "1"), ("b", "2"), ("c", "3"))
    config = made(train, eval=by_user(("x", "1")), test=by_user(("y", "2")), group_by="user")
    assert parts_of(config) == {"train": ["c"], "eval": ["x"], "test": ["y"]}


def test_a_record_that_two_groups_share_is_never_on_both_sides(made: Made) -> None:
    records = by_user(
        *((text, f"user {number // 2}") for number, text in enumerate(sized(20))),
        *(("said by all", f"user {number}") for number in range(10)),
    )
    for seed in range(10):
        config = made(
            records, eval_fraction=0.3, test_fraction=0.0, split_seed=seed, group_by="user"
        )
        parts = parts_of(config)
        assert parts["eval"]
        assert not set(parts["train"]) & set(parts["eval"])
        assert set(parts["train"]) | set(parts["eval"]) == {record["text"] for record in records}


def test_a_record_of_the_evaluation_files_is_not_trained_on_in_another_group(made: Made) -> None:
    config = made(
        by_user(("shared", "1"), ("own", "1")), eval=by_user(("shared", "2")), group_by="user"
    )
    assert parts_of(config)["train"] == ["own"]
    assert split_documents(config).also_held_out == 1


def test_a_record_of_the_evaluation_files_is_not_tested_on_in_another_group(made: Made) -> None:
    records = by_user(*((text, f"user {number}") for number, text in enumerate(sized(20))))
    shared = by_user(*(("shared", f"user {number}") for number in range(20)))
    config = made(records + shared, eval=by_user(("shared", "none")), group_by="user")
    parts = parts_of(config)
    assert parts["eval"] == ["shared"]
    assert "shared" not in parts["train"] + parts["test"]
    assert len(parts["train"] + parts["test"]) == 20


def test_held_out_documents_that_nearly_stand_in_training_are_counted(made: Made) -> None:
    config = made(["It is done.", "other"], eval=["it is: Done", "neither"], test=["OTHER!"])
    assert split_documents(config).near_duplicates == 2


# Skipped


def test_malformed_records_of_all_files_are_counted_once(made: Made) -> None:
    config = made(["a", {"no": 1}], eval=["b", {"no": 2}, {"no": 3}], bad_records="skip")
    split = split_documents(config)
    assert split.skipped == 3
    assert split.first_skipped.startswith(f"{config.eval_files[0]}:2: ['no'] given")
    assert parts_of(config) == {"train": ["a"], "eval": ["b"], "test": []}


def test_a_malformed_record_is_an_error_by_default(made: Made) -> None:
    with pytest.raises(UserError, match=r"train\.jsonl:2: \['no'\] given"):
        split_documents(made(["a", {"no": 1}]))


# What cannot be split


def test_a_set_that_is_evaluated_on_as_a_whole_leaves_nothing_to_train_on(made: Made) -> None:
    with pytest.raises(UserError, match=r"^data: '0 documents to train, 1 to evaluate' given"):
        split_documents(made(["alone"], eval=["alone"]))


def test_one_document_alone_cannot_be_split(made: Made) -> None:
    with pytest.raises(UserError, match="1 documents to train, 0 to evaluate"):
        split_documents(made(["alone"]))
    with pytest.raises(UserError, match="2 documents to train, 0 to evaluate"):
        split_documents(made(["alone", "alone"]))  # equal ones are never on both sides


@pytest.mark.parametrize("part", ["eval", "test"])
def test_files_without_a_document_are_refused(part: str, made: Made) -> None:
    with pytest.raises(UserError, match=r"^data"):
        split_documents(made(["a", "b"], **{part: []}))


def test_a_split_is_in_the_order_in_which_documents_are_read(made: Made) -> None:
    split = split_documents(made(["a", "shared", "b"], eval=["shared"]))
    assert split == Split(("train", None, "train"), 0, 1, 0, 0, 0, "", 0, 0)
