"""Validate the messages of a chat record and normalise them for chat templates."""

import json
from dataclasses import dataclass
from typing import Any

from ugro.errors import UserError, fault

Message = dict[str, Any]

ROLES = ("system", "developer", "user", "assistant", "tool", "function", "ipython")
REASONING = (
    "reasoning_content",
    "thinking",
    "reasoning",
)  # synonyms in transformers


@dataclass(frozen=True)
class Messages:
    """A normalised conversation.

    Attributes:
        messages: messages with text content and tool-call arguments as objects
        trained: whether each message is an assistant's turn to train on
    """

    messages: list[Message]
    trained: list[bool]


def read_messages(messages: list[Any], place: str, prompt_length: int = 0) -> Messages:
    """Normalise messages as inference servers do and select the trained turns.

    Args:
        messages: messages of the record
        place: file and line, for error messages
        given: number of leading messages that form the prompt, which is not trained

    Raises:
        UserError: a message is malformed, or no message is trained.
    """
    if not messages or not all(isinstance(message, dict) for message in messages):
        raise UserError(fault(place, _type_names(messages), "messages of {role, content}"))
    read = [_message(message, f"{place}: message {i}") for i, message in enumerate(messages, 1)]
    weights = [_weight(message, f"{place}: message {i}") for i, message in enumerate(messages, 1)]
    answers = [m["role"] == "assistant" and i >= prompt_length for i, m in enumerate(read)]
    trained = [answer and weight for answer, weight in zip(answers, weights, strict=True)]
    if not any(trained):
        reason = " (all have weight 0)" if any(answers) else ""
        raise UserError(f"{place}: no assistant message to learn from{reason}")
    return Messages(read, trained)


def read_tools(tools: Any, place: str) -> list[Message] | None:
    """Read the tools of a record: a list of JSON schemas or its JSON text."""
    if isinstance(tools, str):
        tools = _json(tools, f"{place}: tools")
    if not tools:
        return None
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise UserError(fault(f"{place}: tools", _type_names(tools), "a list of JSON schemas"))
    return tools


def reasoning(message: Message) -> str:
    """Return the reasoning stored beside a message's content, or an empty string."""
    found = next((message[key] for key in REASONING if message.get(key)), "")
    return str(found)


def with_text_arguments(messages: list[Message]) -> list[Message]:
    """Serialise tool-call arguments to JSON, for templates that concatenate them with text."""
    written = []
    for message in messages:
        calls = [
            {**call, "function": {**call["function"], "arguments": _dumped(call["function"])}}
            for call in message.get("tool_calls", [])
        ]
        written.append({**message, "tool_calls": calls} if calls else message)
    return written


def _dumped(function: Message) -> str:
    return json.dumps(function["arguments"], ensure_ascii=False)


def _message(message: Message, place: str) -> Message:
    """Normalise a message; keys without a value are dropped, or a template would print None."""
    role = message.get("role")
    if role not in ROLES:
        if "role" not in message:
            raise UserError(fault(place, sorted(map(str, message)), "{role, content}"))
        raise UserError(fault(f"{place}: role", role, ", ".join(ROLES)))
    kept = {k: v for k, v in message.items() if v is not None and k not in ("weight", "train")}
    if not kept.get("tool_calls"):
        kept.pop("tool_calls", None)
    else:
        kept["tool_calls"] = _tool_calls(kept["tool_calls"], f"{place}: tool_calls")
    for key in REASONING:
        if not isinstance(kept.get(key, ""), str):
            raise UserError(fault(f"{place}: {key}", type(kept[key]).__name__, "text"))
    if "content" not in message and "tool_calls" not in kept and not reasoning(kept):
        raise UserError(fault(place, sorted(map(str, message)), "{role, content}"))
    return {**kept, "content": _content(kept.get("content"), f"{place}: content")}


def _content(content: Any, place: str) -> str:
    match content:
        case None:
            return ""
        case str():
            return content
        case [*parts] if all(isinstance(part, dict) for part in parts):
            for part in parts:
                if part.get("type") != "text" or not isinstance(part.get("text"), str):
                    raise UserError(fault(place, part.get("type"), "parts of type text"))
            return "".join(part["text"] for part in parts)
    raise UserError(
        fault(place, _type_names(content), "text, null, or a list of {type: text, text}")
    )


def _tool_calls(calls: Any, place: str) -> list[Message]:
    allowed = "a list of {type: function, function: {name, arguments}}"
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        raise UserError(fault(place, _type_names(calls), allowed))
    read = []
    for call in calls:
        function = call.get("function", call)  # some records hold only {name, arguments}
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise UserError(fault(place, sorted(map(str, call)), allowed))
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            arguments = _json(arguments, f"{place}: arguments")
        arguments = {} if arguments is None else arguments
        if not isinstance(arguments, dict):
            raise UserError(fault(f"{place}: arguments", type(arguments).__name__, "a JSON object"))
        outer = {key: value for key, value in call.items() if key not in ("name", "arguments")}
        inner = (
            {**function, "arguments": arguments}
            if "function" in call
            else {
                "name": function["name"],
                "arguments": arguments,
            }
        )
        read.append({**outer, "type": call.get("type") or "function", "function": inner})
    return read


def _weight(message: Message, place: str) -> bool:
    weight, train = message.get("weight"), message.get("train")
    if weight not in (None, 0, 1):
        raise UserError(fault(f"{place}: weight", weight, "0 or 1"))
    if train not in (None, True, False):
        raise UserError(fault(f"{place}: train", train, "true or false"))
    return weight != 0 and train in (None, True)


def _json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{place}: not JSON ({error})") from error


def _type_names(value: Any) -> Any:
    """Return a short description of a value's type."""
    if isinstance(value, list):
        return sorted({type(item).__name__ for item in value})
    return type(value).__name__
