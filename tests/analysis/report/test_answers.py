import json
from collections.abc import Mapping
from pathlib import Path

from ugro.analysis.report.answers import Answer, answers_of


def write(folder: Path, trial: int, answers: Mapping[int, str]) -> None:
    """Write a trial's answers; the base model says "no" to all."""
    path = folder / "trials" / f"{trial:04}"
    path.mkdir(parents=True)
    lines = [
        {
            "example": example,
            "document": example,
            "prompt": f"prompt {example}",
            "reference": "yes",
            "base": "no",
            "generation": answer,
            "base_scores": {"exact_match": 0.0},
            "scores": {"exact_match": float(answer == "yes")},
        }
        for example, answer in answers.items()
    ]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (path / "generations.jsonl").write_text(text)


def test_prompts_with_another_answer_come_first(tmp_path: Path) -> None:
    write(tmp_path, 3, {number: "yes" if number % 4 == 3 else "no" for number in range(16)})
    found = answers_of(tmp_path, 3, None)
    assert found is not None
    assert found.models == ("base model", "best, trial 3")
    assert (found.total, found.changed) == (16, 4)
    assert [row.prompt.split()[1] for row in found.rows] == [
        *("3", "7", "11", "15"),
        *("0", "1", "2", "4", "5", "6"),
    ]
    assert found.rows[0].answers == (
        Answer("no", "exact_match 0", False),
        Answer("yes", "exact_match 1", True),
    )


def test_the_baseline_stands_between(tmp_path: Path) -> None:
    write(tmp_path, 0, {1: "maybe"})
    write(tmp_path, 2, {1: "yes", 5: "no"})
    found = answers_of(tmp_path, 2, 0)
    assert found is not None
    assert found.models == ("base model", "baseline, trial 0", "best, trial 2")
    assert [answer.text for answer in found.rows[0].answers] == ["no", "maybe", "yes"]
    assert [answer.text for answer in found.rows[1].answers] == ["no", None, "no"]


def test_long_texts_are_cut_a_prompt_at_its_start(tmp_path: Path) -> None:
    write(tmp_path, 0, {1: "y" * 1000})
    path = tmp_path / "trials" / "0000" / "generations.jsonl"
    path.write_text(path.read_text().replace("prompt 1", "x" * 1000 + "end"))
    found = answers_of(tmp_path, 0, 0)
    assert found is not None
    [row] = found.rows
    assert row.prompt == "... " + "x" * 397 + "end"
    assert row.answers[-1].text == "y" * 400 + " ..."


def test_without_generations_there_are_no_answers(tmp_path: Path) -> None:
    assert answers_of(tmp_path, 0, None) is None
    assert answers_of(tmp_path, None, None) is None
