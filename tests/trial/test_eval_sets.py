"""Further evaluation sets: measured beside the evaluation part, by name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ugro.config import Config
from ugro.config.validation.validation import validate
from ugro.errors import UserError
from ugro.events.channel import channel
from ugro.trial.setup import set_up
from ugro.trial.trial import run_trial

SUMS = [{"prompt": f"{n}+1=", "completion": f"{n + 1}"} for n in range(8)]
NAMES = [{"question": f"Who is {n}?", "answer": f"No {n}"} for n in range(5)]


def written(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(one)}\n" for one in records))
    return path


@pytest.fixture
def configured(tmp_path: Path, settings: Callable[..., Config]) -> Callable[..., Config]:
    """Return a trial's configuration with the sets ``sums`` and ``names``."""
    train = [{"prompt": f"{n}?", "completion": f" {n}!"} for n in range(60)]
    files = {
        "train": written(tmp_path / "train.jsonl", [*train, *SUMS[:2]]),
        "sums": written(tmp_path / "sums.jsonl", SUMS),
        "names": written(tmp_path / "names.jsonl", NAMES),
    }
    columns = "columns: {prompt: question, completion: answer}"

    def make(*given: str) -> Config:
        return settings(
            "model=tiny",
            "data=jsonl",
            f"data.train_files=[{files['train']}]",
            f"data.eval_sets.sums={{source: jsonl, eval_files: [{files['sums']}]}}",
            f"data.eval_sets.names={{source: jsonl, eval_files: [{files['names']}], {columns}}}",
            "training.max_steps=4",
            "training.eval_steps=2",
            "training.dtype=fp32",
            *given,
        )

    return make


def reports(config: Config, folder: Path) -> list[dict[str, Any]]:
    run_trial(config, folder, channel())
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{**(one := json.loads(line)), **one.get("metrics", {})} for line in lines]


def test_a_set_has_the_loss_that_it_has_as_the_evaluation_part(
    configured: Callable[..., Config], tmp_path: Path
) -> None:
    found = reports(configured(), tmp_path)
    alone = tmp_path / "alone"
    alone.mkdir()
    given = f"data.eval_files=[{tmp_path / 'sums.jsonl'}]"
    wanted = reports(configured(given, "data.eval_sets={}", "data.test_fraction=0"), alone)
    assert found[0]["sums_loss"] == pytest.approx(wanted[0]["eval_loss"], abs=1e-6)  # base model
    bits = wanted[0]["eval_bits_per_byte"]
    assert found[0]["sums_bits_per_byte"] == pytest.approx(bits, abs=1e-6)
    assert all({"sums_loss", "names_loss"} <= report.keys() for report in found)
    assert found[-1]["names_loss"] != found[0]["names_loss"]


def test_documents_of_a_set_are_not_trained_on(configured: Callable[..., Config]) -> None:
    _, data = set_up(configured())
    assert "2 training records left out: also held out" in data.notes
    assert data.eval_sets["sums"].summary.documents == len(SUMS)
    assert data.summary()["parts"]["eval_sets.names"]["examples"] == len(NAMES)


def test_a_changed_set_is_other_evaluation_data(
    configured: Callable[..., Config], tmp_path: Path
) -> None:
    _, before = set_up(configured())
    written(tmp_path / "names.jsonl", NAMES[:4])
    _, after = set_up(configured())
    assert before.fingerprints()["eval_data"] != after.fingerprints()["eval_data"]
    assert before.fingerprints()["train_data"] == after.fingerprints()["train_data"]


def test_a_metric_and_the_objective_may_be_of_a_set(
    configured: Callable[..., Config], tmp_path: Path
) -> None:
    metric = "{function: ugro.metrics.functions.exact_match, eval_set: sums, max_new_tokens: 2}"
    config = configured(
        f"metrics.right={metric}",
        "metrics.all={function: ugro.metrics.functions.exact_match, max_new_tokens: 2}",
        "objectives.metrics={names_loss: {}}",
    )
    validate(config)
    assert config.objectives.metrics["names_loss"].direction.name == "minimize"
    found = reports(config, tmp_path)
    best = min(found[1:], key=lambda report: report["names_loss"])
    assert {"right", "all", "right_stderr"} <= best.keys()
    answers = (tmp_path / "generations-sums.jsonl").read_text().splitlines()
    prompts = [json.loads(line)["prompt"] for line in answers]
    assert prompts == [one["prompt"] for one in SUMS]
    assert (tmp_path / "generations.jsonl").exists()
    assert not (tmp_path / "generations-names.jsonl").exists()  # no metric has answers of it


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("data.eval_sets.a-b={source: pydocs}", "data.eval_sets: 'a-b' given"),
        ("data.eval_sets.eval={source: pydocs}", "data.eval_sets: 'eval' given, allowed: names of"),
        ("data.eval_sets.train={source: pydocs}", "data.eval_sets: 'train' given"),
        ("data.eval_sets.base_a={source: pydocs}", "data.eval_sets: 'base_a' given"),
        ("data.eval_sets.a=file.jsonl", "data.eval_sets.a: 'file.jsonl' given, allowed: {source"),
        (
            "data.eval_sets.a={source: jsonl, eval_files: [b], prompt: '{'}",
            "data.eval_sets.a.prompt: '{' given",
        ),
        ("data.eval_sets.a={source: jsonl}", "data.eval_sets.a.eval_files: [] given"),
        ("data.eval_sets.a={source: hub, path: b}", "data.eval_sets.a.eval_split: None given"),
        (
            "data.eval_sets.a={source: jsonl, train_files: [b]}",
            "data.eval_sets.a: 'train_files' given, allowed: source, path",
        ),
        (
            "metrics.a_loss={function: ugro.metrics.functions.f1} "
            "data.eval_sets.a={source: pydocs}",
            "data.eval_sets: 'a_loss' given, allowed: names whose values no metric has",
        ),
        (
            "metrics.a={function: ugro.metrics.functions.f1, eval_set: b}",
            "metrics.a.eval_set: 'b' given, allowed: null, or of data.eval_sets: sums, names",
        ),
        (
            "objectives.metrics={other_loss: {direction: minimize}}",
            "objectives.metrics: 'other_loss' given",
        ),
    ],
)
def test_a_mistake_is_one_line(given: str, line: str, configured: Callable[..., Config]) -> None:
    # Values hold spaces, names do not.
    overrides = given.replace("} data.", "}\ndata.").split("\n")
    with pytest.raises(UserError) as refused:
        validate(configured(*overrides))
    (found,) = str(refused.value).splitlines()
    assert found.startswith(line)


def test_sets_are_for_the_task(configured: Callable[..., Config]) -> None:
    given = ("task=dpo", "data.eval_sets={text: {source: text, eval_files: [a, b]}}")
    with pytest.raises(
        UserError, match=r"data.eval_sets.text.source: 'text' given, allowed: record"
    ):
        validate(configured(*given))


def test_a_set_inherits_no_group(configured: Callable[..., Config], tmp_path: Path) -> None:
    train = [{"prompt": f"{n}?", "completion": "!", "author": n % 9} for n in range(60)]
    written(tmp_path / "train.jsonl", train)
    _, data = set_up(configured("data.group_by=author"))
    assert data.eval_sets["sums"].summary.documents == len(SUMS)  # which have no author


def test_a_missing_file_of_a_set_is_named(configured: Callable[..., Config]) -> None:
    config = configured("data.eval_sets={math: {source: jsonl, eval_files: [nowhere.jsonl]}}")
    with pytest.raises(UserError, match=r"data.eval_sets.math.eval_files: 'nowhere.jsonl' given"):
        set_up(config)


def test_a_malformed_record_of_a_set_is_named(
    configured: Callable[..., Config], tmp_path: Path
) -> None:
    written(tmp_path / "names.jsonl", [*NAMES, {"question": "?"}])
    with pytest.raises(
        UserError, match=r"names.jsonl:6: .*data.eval_sets.names.columns.completion"
    ):
        set_up(configured())
