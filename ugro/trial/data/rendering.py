"""Render documents into training texts."""

from dataclasses import replace

from transformers import PreTrainedTokenizerBase

from ugro.errors import UserError, fault
from ugro.trial.data.chat import render_conversation
from ugro.trial.data.documents import Document
from ugro.trial.data.texts import Span, Text


def render_document(
    document: Document, tokenizer: PreTrainedTokenizerBase, stop_ids: tuple[int, ...] = ()
) -> list[Text]:
    """Render a document.

    A conversation may yield several texts; a preference yields the chosen, then the rejected one.

    Args:
        document: document to render
        tokenizer: tokenizer with the chat template of conversations
        stop_ids: tokens that end a generation, from the model's generation config

    Raises:
        UserError: the chat template refuses the conversation.
    """
    content = document.content
    match content:
        case {"chosen": _, "rejected": _}:
            sides = ("chosen", "rejected")
            return [_one_side(document, side, tokenizer, stop_ids) for side in sides]
        case {"text": str(text), "label": str(label)}:
            return [Text(text, (Span(0, len(text)),), end_token=False, label=label)]
        case {"text": str(text)}:
            return [Text(text, (Span(0, len(text)),), running=True)]
        case {"prompt": str(prompt), "completion": str(completion)}:
            joined = prompt + completion
            return [Text(joined, (Span(len(prompt), len(joined)),))]
        case {"prompt": [*prompt], "completion": [*completion]}:
            messages, prompt_length = prompt + completion, len(prompt)
        case _:
            messages, prompt_length = content["messages"], 0
    tools = content.get("tools")
    place = document.place
    return render_conversation(
        messages, tokenizer, place, tools=tools, prompt_length=prompt_length, stop_ids=stop_ids
    )


def _one_side(
    document: Document,
    side: str,
    tokenizer: PreTrainedTokenizerBase,
    stop_ids: tuple[int, ...],
) -> Text:
    """Render the prompt of a preference with one of its completions.

    Raises:
        UserError: the completion does not fit into one text.
    """
    content = {
        name: document.content[name] for name in ("prompt", "tools") if name in document.content
    }
    alone = replace(document, content={**content, "completion": document.content[side]})
    texts = render_document(alone, tokenizer, stop_ids)
    if len(texts) != 1:
        given = f"{len(texts)} answers that the chat template renders apart"
        raise UserError(fault(f"{document.place}: {side}", given, "a single answer"))
    return texts[0]
