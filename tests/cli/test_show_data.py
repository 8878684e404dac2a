import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from ugro.cli import show_data
from ugro.errors import UserError

RECORDS = [
    {"instruction": "Add.", "input": f"{number}, 1", "output": f"{number + 1}", "id": number}
    for number in range(30)
]


@pytest.fixture
def asked(tmp_path: Path) -> list[str]:
    """Arguments for a file of records."""
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    return ["model=tiny", "data=jsonl", f"data.train_files=[{path}]"]


def shown(arguments: list[str], terminal: bool = False) -> str:
    out = io.StringIO()
    console = Console(
        file=out, force_terminal=terminal, color_system="standard", width=40, no_color=False
    )
    show_data.main(arguments, console)
    return out.getvalue()


def test_a_document_is_printed_with_its_format_tokens_and_what_is_trained(
    asked: list[str],
) -> None:
    place = asked[-1].partition("[")[2].rstrip("]")
    assert shown([*asked, "index=2", "data.eval_fraction=0.01", "data.test_fraction=0"]) == (
        f"train document 2: {place}:3, read as Alpaca; [[trained text]]\n"
        "13 tokens, 2 trained\n"
        "\n"
        "Add.\n\n2, 1\n[[3<|end|>]]\n"
    )


def test_on_a_terminal_what_is_trained_is_coloured(asked: list[str]) -> None:
    text = shown([*asked, "data.eval_fraction=0.01", "data.test_fraction=0"], terminal=True)
    assert "0, 1\n\x1b[1;32m1<|end|>\x1b[0m" in text
    assert "[[" not in text


def test_every_part_can_be_asked_for_and_no_document_is_in_two(asked: list[str]) -> None:
    first = {part: shown([*asked, f"part={part}"]) for part in ("train", "eval", "test")}
    assert all(text.startswith(f"{part} document 0: ") for part, text in first.items())
    assert len({text.partition(":")[2] for text in first.values()}) == 3


def test_it_takes_the_overrides_of_a_trial(asked: list[str]) -> None:
    given = ["data.prompt='{id}: {instruction} '", "data.columns.completion=output"]
    text = shown([*asked, *given, "data.eval_fraction=0.01", "data.test_fraction=0"])
    assert "read as prompt and completion" in text
    assert text.endswith("\n0: Add. [[1<|end|>]]\n")


def test_each_example_of_a_conversation_and_a_row_that_is_too_short_are_said(
    tmp_path: Path,
) -> None:
    first = "{% for m in messages %}{{ m.content if loop.last else '-' }}~{% endfor %}"
    (tmp_path / "rewriting.jinja").write_text(first)
    turns = [("human", "a"), ("gpt", "bcd"), ("human", "e"), ("gpt", "f" * 40)]
    row = {"conversations": [{"from": speaker, "value": value} for speaker, value in turns]}
    other = {"conversations": [*row["conversations"], *row["conversations"]]}
    path = tmp_path / "chats.json"
    path.write_text(json.dumps([other, row]))
    text = shown(
        [
            "model=tiny",
            "data=json",
            f"data.train_files=[{path}]",
            "data.block_size=32",
            f"data.chat_template={tmp_path}/rewriting.jinja",
        ]
    )
    assert "read as ShareGPT" in text
    assert "example 1 of " in text
    assert "; longer than a row of 32: data.too_long=truncate" in text


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        ("index=24", "index: 24 given, allowed: 0 to 23"),
        ("index=-1", "index: -1 given, allowed: 0 to 23"),
        ("index=first", "index: 'first' given, allowed: a number, from 0"),
        ("part=dev", "part: 'dev' given, allowed: train, eval, test"),
        ("-m", "argument: '-m' given, allowed: index=NUMBER, part=NAME and KEY=VALUE"),
        ("data.block_size=1", "data.block_size: 1 given, allowed: 2 or more"),
        ("data.colums=1", "Could not override 'data.colums'. Key 'colums' not in "),
        ("data.columns={promt: q}", "Could not override 'data.columns'. Key 'promt' not in "),
        ("lora.r=1,2", "Ambiguous value for argument 'lora.r=1,2'"),
        ("data.columns.prompt=q", "{place}:1: ['id', 'input', 'instruction', 'output'] given, "),
    ],
)
def test_a_mistake_is_one_line(argument: str, line: str, asked: list[str]) -> None:
    place = asked[-1].partition("[")[2].rstrip("]")
    with pytest.raises(UserError) as told:
        shown([*asked, argument])
    assert str(told.value).startswith(line.format(place=place))
    assert "\n" not in str(told.value)


def test_a_part_without_documents_is_said(asked: list[str]) -> None:
    with pytest.raises(UserError, match=r"^index: 0 given, allowed: another part: test has no doc"):
        shown([*asked, "part=test", "data.test_fraction=0"])


def test_a_removed_key_is_said_with_the_one_that_does_its_work(asked: list[str]) -> None:
    with pytest.raises(
        SystemExit, match=r"^error: data\.text_column: removed, set data\.columns\.t"
    ):
        shown([*asked, "data.text_column=body"])
