import pytest

from ugro.sweep.fingerprints import DataChangedError, Fingerprints

PROVENANCE = {"train_data": "a", "eval_data": "b", "torch": "2.13"}


def test_the_first_fingerprints_are_kept() -> None:
    kept: dict[str, dict[str, str]] = {}

    def keep(of: str, parts: dict[str, str]) -> dict[str, str]:
        kept[of] = dict(parts)
        return parts

    prints = Fingerprints("s", 0, {}, keep)  # type: ignore[arg-type]
    prints.check(0, {"lora.r": 4}, PROVENANCE)
    assert kept == {"{}": {"train_data": "a", "eval_data": "b"}}
    prints.check(1, {"lora.r": 8}, PROVENANCE)
    prints.check(2, {"lora.r": 8}, {})  # an earlier worker, or a later report
    prints.check(3, {"lora.r": 8}, {**PROVENANCE, "test_data": "c"})  # reported from now on
    assert kept["{}"]["test_data"] == "c"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (["train_data"], "training data of trial 7 is not"),
        (["eval_data"], "evaluation data of trial 7 is not"),
        (["test_data"], "test data of trial 7 is not"),
        (["train_data", "eval_data"], "training data and evaluation data of trial 7 are not"),
        (["eval_data", "test_data"], "evaluation data and test data of trial 7 are not"),
    ],
)
def test_changed_parts_are_named_in_one_line(changed: list[str], message: str) -> None:
    known = {"train_data": "a", "eval_data": "b", "test_data": "c"}
    prints = Fingerprints("s", 0, {"{}": known})
    provenance = {**known, **dict.fromkeys(changed, "other")}
    with pytest.raises(DataChangedError, match=message) as error:
        prints.check(7, {}, provenance)
    assert len(str(error.value).splitlines()) == 1
    assert error.value.from_earlier_run


def test_trials_with_other_data_keys_may_have_other_training_data() -> None:
    prints = Fingerprints("s")
    prints.check(0, {"lora.r": 4, "data.block_size": 32}, PROVENANCE)
    prints.check(1, {"lora.r": 4, "data.block_size": 64}, {**PROVENANCE, "train_data": "other"})
    with pytest.raises(DataChangedError) as error:
        prints.check(2, {"lora.r": 8, "data.block_size": 32}, {**PROVENANCE, "train_data": "other"})
    assert not error.value.from_earlier_run


def test_fingerprints_written_first_by_another_driver_are_valid() -> None:
    prints = Fingerprints("s", 0, {}, lambda of, parts: {**parts, "eval_data": "theirs"})
    with pytest.raises(DataChangedError, match="evaluation data of trial 0"):
        prints.check(0, {}, PROVENANCE)


def test_trials_that_search_data_keys_are_evaluated_on_the_same_text() -> None:
    prints = Fingerprints("s")
    prints.check(0, {"data.block_size": 128}, PROVENANCE)
    with pytest.raises(DataChangedError, match=r"data\.eval_block_size sets it") as error:
        prints.check(1, {"data.block_size": 32}, {**PROVENANCE, "eval_data": "cut"})
    assert len(str(error.value).splitlines()) == 1
