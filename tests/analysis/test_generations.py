import json
from pathlib import Path

import pytest
from scipy.stats import sem, ttest_rel

from tests.studies import ended, in_memory
from ugro.analysis.confirmation.certainty import certainty_of
from ugro.analysis.generations import paired
from ugro.analysis.tables import tables_of
from ugro.events.outcome import Outcome

FIRST, SECOND = [1.0, 1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0, 0.0]


def write(folder: Path, trial: int, scores: list[float], rows_per_document: int = 1) -> None:
    path = folder / "trials" / f"{trial:04}"
    path.mkdir(parents=True)
    known = {"prompt": "?", "reference": "", "base": "", "generation": "", "base_scores": {}}
    lines = [
        {
            "example": example,
            "document": example // rows_per_document,
            **known,
            "scores": {"f1": score},
        }
        for example, score in enumerate(scores)
    ]
    (path / "generations.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def test_differences_are_paired_by_example_as_scipy_pairs_them(tmp_path: Path) -> None:
    write(tmp_path, 0, FIRST)
    write(tmp_path, 1, [*SECOND, 1.0])  # an example that the other has not answered
    found = paired(tmp_path, 0, 1, "f1")
    assert found is not None
    assert (found.examples, found.difference) == (5, pytest.approx(0.4))
    wanted = ttest_rel(FIRST, SECOND).statistic
    assert found.difference / found.stderr == pytest.approx(wanted)


def test_answers_of_one_conversation_are_one_sample(tmp_path: Path) -> None:
    write(tmp_path, 0, [1.0, 1.0, 0.0, 1.0, 1.0, 0.0], rows_per_document=2)
    write(tmp_path, 1, [0.0, 0.0, 0.0, 1.0, 0.0, 0.0], rows_per_document=2)
    found = paired(tmp_path, 0, 1, "f1")
    assert found is not None
    assert found.examples == 6
    assert found.stderr == pytest.approx(sem([1.0, 0.0, 0.5]))
    write(tmp_path, 2, [1.0, 0.0], rows_per_document=2)
    assert paired(tmp_path, 2, 0, "f1") is None


def test_the_interval_of_a_difference_of_shares_ends_at_one(tmp_path: Path) -> None:
    write(tmp_path, 0, [1.0] * 20)
    write(tmp_path, 1, [*[0.0] * 19, 1.0])
    found = paired(tmp_path, 0, 1, "f1")
    assert found is not None
    assert found.difference + 1.96 * found.stderr > 1.04
    assert found.interval == (pytest.approx(found.difference - 1.96 * found.stderr), 1.0)
    write(tmp_path, 2, [2.0] * 20)  # no shares
    wide = paired(tmp_path, 2, 1, "f1")
    assert wide is not None
    assert wide.interval[1] > 2.0


def test_without_common_examples_there_is_no_difference(tmp_path: Path) -> None:
    write(tmp_path, 0, FIRST)
    assert paired(tmp_path, 0, 1, "f1") is None
    assert paired(tmp_path, 0, 0, "exact_match") is None
    assert paired(None, 0, 0, "f1") is None


def test_how_sure_uses_the_examples(tmp_path: Path) -> None:
    study = in_memory("maximize", objectives=["f1"])
    ended(study, {}, Outcome.COMPLETE, 0.8)
    ended(study, {}, Outcome.COMPLETE, 0.4)
    write(tmp_path, 0, FIRST)
    write(tmp_path, 1, SECOND)
    found = certainty_of(study, tables_of(study, tmp_path), None)
    assert found.paired == paired(tmp_path, 0, 1, "f1")
    assert found.said[1] == (
        "Over the 5 examples that both answered, it differs by 0.4 "
        "(95% interval -0.0801 to 0.8801)."
    )
