"""Names of values and files of lm-evaluation-harness's tasks, read without it."""

import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ugro.metrics.task_files import digest, read, value_name

from ..task_files import write_tasks

SOURCES = ("choice.yaml", "data.yaml", "sums.jsonl", "shots.jsonl")


@pytest.fixture(autouse=True)
def _tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tasks(tmp_path)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("task", "metrics", "value"),
    [
        ("mine", "[{metric: acc}, {metric: acc_norm}]", "mine_acc"),
        ("mine-2: x", "[{metric: chrf++}]", "mine_2_x_chrf"),
        ("mine", "[{metric: !function answers.letters}]", "mine_letters"),
        ("mine", "[]", None),
    ],
)
def test_the_first_metric_names_the_value(task: str, metrics: str, value: str | None) -> None:
    Path("mine.yaml").write_text(f"task: '{task}'\nmetric_list: {metrics}")
    assert read(Path("mine.yaml")).value == value


def test_the_first_filter_is_part_of_the_name() -> None:
    metric, filters = {"metric": "exact_match"}, [{"name": "flexible-extract"}, {"name": "strict"}]
    content = {"task": "mine", "metric_list": [metric], "filter_list": filters}
    Path("mine.json").write_text(json.dumps(content))
    found = read(Path("mine.json")).value
    assert found == "mine_exact_match_flexible_extract"
    assert found == value_name("mine", "exact_match", "flexible-extract")
    assert value_name("mine", "exact_match", "none") == "mine_exact_match"


def test_a_file_overrides_what_it_includes() -> None:
    Path("part").mkdir()
    Path("part/base.yaml").write_text("task: base\nmetric_list: [{metric: acc}]")
    Path("mine.yaml").write_text("task: mine\ninclude: [part/base.yaml, data.yaml]")
    assert read(Path("mine.yaml")).value == "mine_acc"


@pytest.mark.parametrize("source", [*SOURCES, None])
def test_the_digest_changes_with_the_file_what_it_includes_and_its_data(source: str | None) -> None:
    before = digest(["choice.yaml"])
    for name in os.listdir():
        if name == source or (source is None and name not in SOURCES):
            Path(name).write_text(Path(name).read_text() + " ")
    assert (digest(["choice.yaml"]) != before) == (source is not None)


def test_the_digest_changes_with_a_module_of_functions() -> None:
    before = digest(["answer.yaml"])
    Path("answers.py").write_text("letters = None")
    assert digest(["answer.yaml"]) != before


def test_the_digest_covers_patterns_and_folders() -> None:
    Path("data").mkdir()
    Path("data/one.jsonl").write_text("{}")
    Path("mine.yaml").write_text("task: mine\ndataset_path: ./data")
    Path("many.yaml").write_text("task: many\ndataset_kwargs: {data_files: [data/*.jsonl]}")
    before = digest(["mine.yaml"]), digest(["many.yaml"])
    Path("data/two.jsonl").write_text("{}")
    assert digest(["mine.yaml"]) != before[0]
    assert digest(["many.yaml"]) != before[1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "mine.yaml: No such file or directory"),
        ("task: mine\nmetric_list: [", "mine.yaml: line 2: expected the node content"),
        ("task: mine\n\tx: 1", "mine.yaml: line 2: found character '\\t'"),
        ("- task: mine", "mine.yaml is no mapping"),
        ("output_type: multiple_choice", "mine.yaml has no key task"),
        ("group: many\ntask: [choice]", "mine.yaml is a group: list its tasks"),
        ("task: mine\ninclude: mine.yaml", "mine.yaml is included twice"),
        ("task: mine\ninclude: other.yaml", "other.yaml: No such file or directory"),
        ("[" * 5000, "mine.yaml: maximum recursion depth exceeded"),
        ("task: 2026-13-40", "mine.yaml: month must be in 1..12"),
    ],
)
def test_a_malformed_file_is_named_with_its_line(text: str | None, reason: str) -> None:
    if text is not None:
        Path("mine.yaml").write_text(text)
    with pytest.raises(ValueError, match=rf"\A{re.escape(reason)}.*\Z"):
        read(Path("mine.yaml"))


@settings(deadline=None)
@given(
    st.binary(max_size=40)
    | st.text(alphabet="task:[]{}-!&*# \n'\"01ab", max_size=40).map(str.encode)
)
def test_any_file_is_a_task_or_refused_in_a_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    try:
        found = read(path)
    except ValueError as error:
        lines = str(error).splitlines()
        assert len(lines) == 1
    else:
        assert found.sources[0] == path.resolve()
