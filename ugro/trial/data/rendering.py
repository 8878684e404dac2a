"""Render documents into training texts."""

from transformers import PreTrainedTokenizerBase

from ugro.trial.data.chat import render_conversation
from ugro.trial.data.documents import Document
from ugro.trial.data.texts import Span, Text


def render_document(
    document: Document, tokenizer: PreTrainedTokenizerBase, stop_ids: tuple[int, ...] = ()
) -> list[Text]:
    """Render a document; a conversation may yield several texts.

    Args:
        document: document to render
        tokenizer: tokenizer with the chat template of conversations
        stop_ids: tokens that end a generation, from the model's generation config

    Raises:
        UserError: the chat template refuses the conversation.
    """
    content = document.content
    match content:
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
