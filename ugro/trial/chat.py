"""Render conversations as the tokenizer's chat template does."""

from typing import Any

from jinja2 import TemplateError

from ugro.errors import UserError, fault
from ugro.trial.texts import Span, Text


def conversation(
    messages: list[dict[str, Any]],
    tokenizer: Any,
    place: str,
    *,
    tools: list[Any] | None = None,
    given: int = 0,
) -> list[Text]:
    """Render a conversation; the assistant's turns behind the ``given`` messages carry loss.

    Raises:
        UserError: the template refuses it, or it has no such turn.
    """
    if not tokenizer.chat_template:
        raise UserError(f"{place}: chat records, but this model's tokenizer has no chat template")
    if not all(isinstance(message, dict) for message in messages):
        raise UserError(fault(place, messages, "messages of {role, content}"))
    spans: list[Span] = []
    done = ""
    for turn, message in enumerate(messages):
        if message.get("role") != "assistant" or turn < given:
            continue
        prompt = _render(tokenizer, messages[:turn], place, tools, add_generation_prompt=True)
        answer = _render(tokenizer, messages[: turn + 1], place, tools)
        if not (answer.startswith(prompt) and prompt.startswith(done)):
            raise UserError(
                f"{place}: this chat template rewrites earlier turns; "
                "give one assistant turn a record"
            )
        spans.append(Span(len(prompt), len(answer)))
        done = answer
    if not spans:
        raise UserError(f"{place}: no assistant message to learn from")
    return [Text(done, tuple(spans), special_tokens=False, end_token=False)]


def _render(
    tokenizer: Any, messages: list[Any], place: str, tools: list[Any] | None, **options: bool
) -> str:
    try:
        return str(tokenizer.apply_chat_template(messages, tools=tools, tokenize=False, **options))
    except (TemplateError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{place}: the chat template refuses this record ({error})") from error
