"""The formats of rows: their columns, and the content of a document made of them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ugro.config import TaskName
from ugro.errors import UserError, fault
from ugro.trial.data.documents import TEXT
from ugro.trial.data.messages import Message, read_tools
from ugro.trial.data.record_files import check_characters

Record = Mapping[str, Any]
Content = dict[str, Any]

PREFERENCE = "prompt, chosen and rejected"
LABELLED = "text and label"

RECORDS = {
    TaskName.language_modeling: (
        "{prompt, completion}, {messages: [{role, content}, ...]}, {conversations: [{from, value}, "
        "...]}, {instruction, input, output} or {text}; data.columns names other columns"
    ),
    TaskName.dpo: (
        "{prompt, chosen, rejected}, or {chosen, rejected} as messages; data.columns names other "
        "columns"
    ),
    TaskName.classification: "{text, label}; data.columns names other columns",
}
# Roles of ShareGPT, axolotl and LLaMA-Factory
ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
    "tool": "tool",
    "observation": "tool",
    "function_response": "tool",
    "function_call": "assistant",  # with the call as JSON in its value
}


def _pair(row: Record, place: str) -> Content:
    match row["prompt"], row["completion"]:
        case str(prompt), str(completion):
            return {"prompt": prompt, "completion": completion}
        case [*prompt], [*completion]:
            sides = {"prompt": _turns(prompt, place), "completion": _turns(completion, place)}
            return {**sides, **_tools(row, place)}
        case str(), other:
            raise UserError(_not_text(f"{place}: completion", other))
        case [*_], other:
            allowed = "messages, as the prompt has"
            raise UserError(fault(f"{place}: completion", _shown(other), allowed))
        case other, _:
            raise UserError(_not_text(f"{place}: prompt", other))
    raise AssertionError  # the last case matches everything


def _messages(row: Record, place: str) -> Content:
    return _conversation(row, "messages", place)


def _share_gpt(row: Record, place: str) -> Content:
    content = _conversation(row, "conversations", place)
    system, messages = row.get("system"), content["messages"]
    first = messages[0]
    if (
        isinstance(system, str)
        and system
        and not (isinstance(first, dict) and first.get("role") == "system")
    ):
        content["messages"] = [{"role": "system", "content": system}, *messages]
    return content


def _conversation(row: Record, column: str, place: str) -> Content:
    messages = row[column]
    if isinstance(messages, str):  # a cell of a CSV file
        messages = _parsed(messages, f"{place}: {column}")
    if not isinstance(messages, list) or not messages:
        allowed = "a list of {role, content} or {from, value}, or its JSON"
        raise UserError(fault(f"{place}: {column}", _shown(messages), allowed))
    return {"messages": _turns(messages, f"{place}: {column}"), **_tools(row, place)}


def _alpaca(row: Record, place: str) -> Content:
    """Join instruction, a blank line and the input, if any, into the prompt."""
    instruction, given = _text_of(row, "instruction", place), row.get("input")
    if given is not None and not isinstance(given, str):
        raise UserError(_not_text(f"{place}: input", given))
    prompt = "\n\n".join(part for part in (instruction, given) if part)
    return {"prompt": f"{prompt}\n", "completion": _text_of(row, "output", place)}


def _text(row: Record, place: str) -> Content:
    return {"text": _text_of(row, "text", place)}


def _preference(row: Record, place: str) -> Content:
    """Read a prompt with two completions, as texts or as messages."""
    sides = ("chosen", "rejected")
    match row["prompt"], row["chosen"], row["rejected"]:
        case str(prompt), str(chosen), str(rejected):
            return {"prompt": prompt, "chosen": chosen, "rejected": rejected}
        case [*prompt], [*_], [*_]:
            answers = {side: _turns(row[side], f"{place}: {side}") for side in sides}
            return {"prompt": _turns(prompt, place), **answers, **_tools(row, place)}
        case str() | None, [*_], [*_]:  # the conversations repeat the prompt
            return _conversation_pair(row, place)
    column = next(
        (side for side in sides if not isinstance(row[side], type(row["prompt"]))), "prompt"
    )
    allowed = "text, or messages, the same in prompt, chosen and rejected"
    raise UserError(fault(f"{place}: {column}", _shown(row[column]), allowed))


def _conversation_pair(row: Record, place: str) -> Content:
    """Take the first messages that two conversations share as their prompt."""
    chosen, rejected = (
        _conversation({"messages": row[side]}, "messages", f"{place}: {side}")["messages"]
        for side in ("chosen", "rejected")
    )
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    if not shared:
        allowed = "conversations that begin with the same messages"
        raise UserError(fault(f"{place}: chosen and rejected", "others", allowed))
    answers = {"chosen": chosen[shared:], "rejected": rejected[shared:]}
    return {"prompt": chosen[:shared], **answers, **_tools(row, place)}


def _labelled(row: Record, place: str) -> Content:
    return _with_label(row, "text", place)


def _labelled_prompt(row: Record, place: str) -> Content:
    return _with_label(row, "prompt", place)


def _with_label(row: Record, column: str, place: str) -> Content:
    label = row["label"]
    if not isinstance(label, str | int):
        allowed = "text or a whole number; regression is not supported"
        raise UserError(fault(f"{place}: label", _shown(label), allowed))
    text = _text_of(row, column, place)
    if not text.strip():
        raise UserError(fault(f"{place}: {column}", text, "text that is not blank"))
    return {"text": text, "label": str(label)}


def _text_of(row: Record, column: str, place: str) -> str:
    value = row[column]
    if not isinstance(value, str):
        raise UserError(_not_text(f"{place}: {column}", value))
    return value


def _not_text(where: str, value: Any) -> str:
    return fault(where, _shown(value), "text (data.prompt and data.completion make text of values)")


def _shown(value: Any) -> Any:
    """Return a null or a number as it is, and the type of other values."""
    return value if value is None or isinstance(value, int | float) else type(value).__name__


def _turns(messages: list[Any], place: str) -> list[Any]:
    """Rewrite messages of ``from`` and ``value`` as ones of ``role`` and ``content``."""
    return [
        _turn(one, f"{place}: message {number}") if isinstance(one, dict) and "from" in one else one
        for number, one in enumerate(messages, start=1)
    ]


def _turn(message: Message, place: str) -> Message:
    speaker, value = message["from"], message.get("value")
    if speaker not in ROLES:
        raise UserError(fault(f"{place}: from", speaker, ", ".join(ROLES)))
    kept = {key: message[key] for key in ("weight", "train") if message.get(key) is not None}
    if speaker == "function_call":
        calls = _parsed(value, f"{place}: value") if isinstance(value, str) else value
        return {
            "role": "assistant",
            "tool_calls": calls if isinstance(calls, list) else [calls],
            **kept,
        }
    return {"role": ROLES[speaker], "content": value, **kept}


def _tools(row: Record, place: str) -> Content:
    tools = read_tools(row.get("tools"), place)
    return {"tools": tools} if tools else {}


def _parsed(text: str, place: str) -> Any:
    try:
        parsed = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{place}: not JSON ({error})") from error
    if "\\u" in text:
        check_characters(parsed, place)
    return parsed


@dataclass(frozen=True)
class Format:
    """A format of rows.

    Attributes:
        name: as shown to users
        columns: that a row of it has
        content: returns the content of a row
    """

    name: str
    columns: tuple[str, ...]
    content: Callable[[Record, str], Content]

    def fits(self, row: Record) -> bool:
        """Whether the row has all columns, at least one with a value.

        In a table whose rows have several formats, the columns of the others are null.
        """
        return all(one in row for one in self.columns) and any(
            row[one] is not None for one in self.columns
        )


# A set may have columns of several: tatsu-lab/alpaca has a text of all its others.
FORMATS = {
    TaskName.language_modeling: (
        Format("prompt and completion", ("prompt", "completion"), _pair),
        Format("messages", ("messages",), _messages),
        Format("ShareGPT", ("conversations",), _share_gpt),
        Format("Alpaca", ("instruction", "output"), _alpaca),
        Format(TEXT, ("text",), _text),
    ),
    TaskName.dpo: (
        Format(PREFERENCE, ("prompt", "chosen", "rejected"), _preference),
        Format(PREFERENCE, ("chosen", "rejected"), _conversation_pair),
    ),
    TaskName.classification: (
        Format(LABELLED, ("text", "label"), _labelled),
        Format(LABELLED, ("prompt", "label"), _labelled_prompt),  # by the template data.prompt
    ),
}
