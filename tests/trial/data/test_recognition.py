import json
from typing import Any

import pytest

from tests.trial.made import data_config
from ugro.config import ColumnsConfig
from ugro.errors import UserError
from ugro.trial.data.documents import Document
from ugro.trial.data.recognition import Recogniser

from .conftest import Read, contents, write_lines

PLACE = "a.csv:7"


def document(record: object, **given: Any) -> Document:
    found = Recogniser(data_config(**given))(record, PLACE)
    assert found is not None
    return found


def content(record: object, **given: Any) -> Any:
    return document(record, **given).content


def fault_of(record: object, **given: Any) -> str:
    with pytest.raises(UserError) as told:
        Recogniser(data_config(**given))(record, PLACE)
    assert "\n" not in str(told.value)
    return str(told.value)


# By columns


USER, ANSWER = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}
TOOLS = [{"type": "function", "function": {"name": "get_weather"}}]


@pytest.mark.parametrize(
    "record",
    [
        {"messages": [USER, ANSWER]},
        {"messages": [USER, ANSWER], "tools": TOOLS},
        {"prompt": [USER], "completion": [ANSWER], "tools": TOOLS},
    ],
)
def test_a_conversation_keeps_its_tools(record: dict[str, Any], reading: Read) -> None:
    write_lines("train.jsonl", {**record, "id": 7})
    assert contents(reading("jsonl", train_files=["train.jsonl"])) == [record]


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        (["prompt", "completion", "text"], "prompt and completion"),
        (["prompt", "prompt_id", "messages"], "messages"),  # HuggingFaceH4/ultrachat_200k
        (["instruction", "input", "output", "text"], "Alpaca"),  # tatsu-lab/alpaca
        (["id", "conversations"], "ShareGPT"),
        (["text", "label"], "text"),
    ],
)
def test_a_row_is_recognised_by_its_columns(columns: list[str], name: str) -> None:
    row: dict[str, Any] = dict.fromkeys(columns, "t")
    row |= {one: [USER, ANSWER] for one in ("messages", "conversations") if one in row}
    found = document(row)
    assert found.format == name
    assert found.record == row


def test_columns_of_other_rows_formats_are_null() -> None:
    row = {"prompt": None, "completion": None, "messages": None, "text": "t"}
    assert content(row) == {"text": "t"}


@pytest.mark.parametrize("blank", ["", " \n"])
def test_blank_text_is_no_document(blank: str) -> None:
    assert Recogniser(data_config())({"text": blank}, PLACE) is None


@pytest.mark.parametrize(
    ("given", "prompt"),
    [
        ({"input": "4, 5"}, "Add.\n\n4, 5\n"),
        ({"input": ""}, "Add.\n"),
        ({"input": None}, "Add.\n"),
        ({}, "Add.\n"),
    ],
)
def test_alpacas_prompt_is_the_instruction_and_the_input(given: Any, prompt: str) -> None:
    row = {"instruction": "Add.", **given, "output": "9"}
    assert content(row) == {"prompt": prompt, "completion": "9"}


# ShareGPT


def test_share_gpts_roles_are_those_of_chat_templates() -> None:
    call = {"name": "f", "arguments": {"a": 1}}
    told = [
        ("system", "Be brief."),
        ("human", "Hi"),
        ("function_call", json.dumps(call)),
        ("observation", "7"),
        ("gpt", "Hello"),
        ("user", "Bye"),
        ("assistant", "Bye"),
    ]
    turns = [{"from": speaker, "value": value} for speaker, value in told]
    found = content({"conversations": turns, "tools": json.dumps(TOOLS)})
    roles = ["system", "user", "assistant", "tool", "assistant", "user", "assistant"]
    assert [one["role"] for one in found["messages"]] == roles
    assert found["messages"][2] == {"role": "assistant", "tool_calls": [call]}
    assert found["messages"][4] == ANSWER
    assert found["tools"] == TOOLS


@pytest.mark.parametrize("column", ["messages", "conversations"])
def test_either_spelling_of_a_message_is_read_in_either_column(column: str) -> None:
    share_gpt = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]
    for turns in ([USER, ANSWER], share_gpt, json.dumps(share_gpt)):
        assert content({column: turns}) == {"messages": [USER, ANSWER]}


def test_a_turn_keeps_its_weight() -> None:
    turns = [{"from": "gpt", "value": "a", "weight": 0, "id": 3}, {"from": "gpt", "value": "b"}]
    first, _ = content({"conversations": turns})["messages"]
    assert first == {"role": "assistant", "content": "a", "weight": 0}


def test_a_system_column_begins_a_conversation_without_one() -> None:
    system, turns = {"role": "system", "content": "Be brief."}, [USER, ANSWER]
    row = {"system": system["content"], "conversations": turns}
    assert content(row) == {"messages": [system, *turns]}
    other = {"role": "system", "content": "Be long."}
    assert content({**row, "conversations": [other, *turns]}) == {"messages": [other, *turns]}


# By data.columns and templates


QUESTION = {"question": "1+1", "answers": ["two", "2"], "id": 3, "context": None}


def test_columns_of_other_names() -> None:
    columns = ColumnsConfig(prompt="question", completion="answer")
    row = {"question": "q", "answer": "a", "prompt": "another"}
    assert content(row, columns=columns) == {"prompt": "q", "completion": "a"}
    assert content({"body": "t", "text": 3}, columns=ColumnsConfig(text="body")) == {"text": "t"}
    turns = {"turns": [USER, ANSWER], "functions": TOOLS}
    columns = ColumnsConfig(messages="turns", tools="functions")
    assert content(turns, columns=columns) == {"messages": [USER, ANSWER], "tools": TOOLS}


def test_named_columns_come_before_what_a_row_looks_like() -> None:
    row = {"prompt": "p", "completion": "c", "body": "t"}
    assert document(row, columns=ColumnsConfig(text="body")).format == "text"


def test_templates_are_filled_with_the_columns_of_a_row() -> None:
    given = {"prompt": r"{id}. {question}?\n", "completion": "{answers[1]}"}
    assert content(QUESTION, **given) == {"prompt": "3. 1+1?\n", "completion": "2"}


def test_a_template_may_stand_beside_a_column() -> None:
    row = {"question": "q", "completion": "c"}
    assert content(row, prompt="Q: {question}") == {"prompt": "Q: q", "completion": "c"}
    columns = ColumnsConfig(prompt="question")
    assert content(row, columns=columns, completion="{completion}!") == {
        "prompt": "q",
        "completion": "c!",
    }


@pytest.mark.parametrize(
    ("row", "given", "line"),
    [
        (
            {"question": "q"},
            {"columns": ColumnsConfig(prompt="question", completion="answer")},
            "['question'] given, allowed: a record with data.columns.completion=answer",
        ),
        (
            QUESTION,
            {"prompt": "{answer}", "completion": "{id}"},
            "['answers', 'context', 'id', 'question'] given, allowed: a record with the template's "
            "column answer",
        ),
        (
            QUESTION,
            {"prompt": "{context}", "completion": "{id}"},
            "context: None given, allowed: a value for the template",
        ),
        (
            QUESTION,
            {"prompt": "{answers[7]}", "completion": "{id}"},
            "data.prompt does not fit (IndexError: list index out of range)",
        ),
        (
            {"instruction": "i", "output": None},
            {},
            "output: None given, allowed: text (data.prompt and data.completion make text of "
            "values)",
        ),
        ({"prompt": "p", "completion": [ANSWER]}, {}, "completion: 'list' given, allowed: text (d"),
        ({"prompt": [USER], "completion": "c"}, {}, "completion: 'str' given, allowed: messages, "),
        ({"prompt": 1.5, "completion": "c"}, {}, "prompt: 1.5 given, allowed: text"),
        ({"messages": "Hi"}, {}, "messages: not JSON"),
        ({"messages": [USER], "tools": "{"}, {}, "tools: not JSON"),
        (
            {"conversations": [{"from": "narrator", "value": "x"}]},
            {},
            "conversations: message 1: from: 'narrator' given, allowed: human, user, gpt",
        ),
        ({"chosen": "a", "rejected": "b"}, {}, "['chosen', 'rejected'] given, allowed: {prompt, "),
    ],
)
def test_a_row_that_does_not_fit_is_one_line_of_place_and_column(
    row: Any, given: Any, line: str
) -> None:
    assert fault_of(row, **given).startswith(f"{PLACE}: {line}")


# Groups


def test_a_group_is_the_value_of_a_column_whatever_its_type(reading: Read) -> None:
    write_lines("train.jsonl", *({"text": "t", "user": user} for user in (7, "7", [1], 7)))
    groups = [one.group for one in reading("jsonl", train_files=["train.jsonl"], group_by="user")]
    assert groups[0] == groups[3]
    assert len(set(groups)) == 3
    assert reading("jsonl", train_files=["train.jsonl"])[0].group is None


def test_a_record_without_the_column_of_groups_is_malformed(reading: Read) -> None:
    write_lines("train.jsonl", {"text": "t", "user": 1}, {"text": "t"})
    with pytest.raises(UserError, match=r"^train\.jsonl:2: \['text'\] given.*data\.group_by=user"):
        reading("jsonl", train_files=["train.jsonl"], group_by="user")


def test_a_first_message_that_is_no_object_is_refused_beside_a_system_text() -> None:
    given = content({"conversations": ["hi"], "system": "Be brief."})
    assert given["messages"] == [{"role": "system", "content": "Be brief."}, "hi"]


def test_half_of_a_character_in_json_of_a_cell_is_refused() -> None:
    cell = '[{"from": "human", "value": "\\ud83d"}]'
    assert fault_of({"conversations": cell}) == (
        f"{PLACE}: conversations: half of a surrogate pair is no character"
    )
