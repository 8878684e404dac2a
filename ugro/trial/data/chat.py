"""Convert conversations into training texts that match the chat template's inference format."""

from dataclasses import dataclass, replace
from typing import Any

from ugro.errors import UserError
from ugro.trial.data.chat_template import Answer, ChatTemplate, common_prefix
from ugro.trial.data.messages import Message, read_messages, read_tools
from ugro.trial.data.texts import Span, Text


def render_conversation(
    messages: list[Message],
    tokenizer: Any,
    place: str,
    *,
    tools: Any = None,
    prompt_length: int = 0,
    stop_ids: tuple[int, ...] = (),
) -> list[Text]:
    """Render a conversation into texts whose spans cover the assistant's turns.

    Each turn follows the prompt that the template renders at inference. Turns share a text where
    later renderings extend earlier ones. Where the template rewrites the history (Qwen3 strips
    earlier reasoning) or its prompt opens ``<think>``, a turn starts a new text. Every turn ends
    with a trained stop token: the template's, else the tokenizer's end-of-sequence token.

    Args:
        messages: messages of the record, with role and content
        tokenizer: tokenizer with a chat template; the current date is fixed to 26 July 2024
        place: file and line, for error messages
        tools: tools offered, as JSON schemas
        given: number of leading messages that form the prompt, which is not trained
        stop_ids: tokens that end a generation, from the model's generation config

    Raises:
        UserError: a message is malformed, the template refuses it, or no message is trained.
    """
    if not tokenizer.chat_template:
        raise UserError(f"{place}: chat records, but this model's tokenizer has no chat template")
    read = read_messages(messages, place, prompt_length)
    template = ChatTemplate(tokenizer, place, read_tools(tools, place), stop_ids)
    drafts: list[_Draft] = []
    for turn, trained in enumerate(read.trained):
        if trained:
            answer = template.answer(read.messages, turn)
            try_append = drafts[-1].try_append(answer, turn, template) if drafts else None
            if try_append:
                drafts[-1] = try_append
            else:
                drafts.append(_Draft().append(answer, turn))
    return [draft.finish(template, read.messages) for draft in drafts]


@dataclass(frozen=True)
class _Draft:
    """A text to which turns are appended; ``stop`` as in ``Answer``, ``turn`` is the last turn."""

    text: str = ""
    spans: tuple[Span, ...] = ()
    stop: int | None = 0
    turn: int = 0

    def append(self, answer: Answer, turn: int) -> "_Draft":
        """Append a turn whose prompt contains the text so far."""
        start = len(answer.prompt)
        spans = (replace(s, start=start + s.start, end=start + s.end) for s in answer.spans)
        stop = None if answer.stop is None else start + answer.stop
        return _Draft(answer.prompt + answer.text, (*self.spans, *spans), stop, turn)

    def try_append(self, answer: Answer, turn: int, template: ChatTemplate) -> "_Draft | None":
        """Append a turn if its prompt starts with the text up to its last stop token."""
        draft = self
        if draft.stop is None and answer.prompt.startswith(draft.text):
            draft = draft.append_stop_token(template.stop_at(answer.prompt[len(draft.text) :]))
        if draft.stop is None or not answer.prompt.startswith(draft.text[: draft.stop]):
            return None
        # Keep what is common behind the stop token: Phi 3 ends the last turn with an extra token.
        kept = common_prefix(draft.text[draft.stop :], answer.prompt[draft.stop :])
        end = draft.stop + len(kept)
        spans = (replace(s, end=min(s.end, end)) for s in draft.spans if s.start < end)
        return replace(draft, spans=tuple(spans)).append(answer, turn)

    def append_stop_token(self, token: str) -> "_Draft":
        """Append a trained stop token that the template writes at the start of the next turn."""
        if not token:
            return self
        end = len(self.text) + len(token)
        span = Span(len(self.text), end, content=False)
        return replace(self, text=self.text + token, spans=(*self.spans, span), stop=end)

    def finish(self, template: ChatTemplate, messages: list[Message]) -> Text:
        """End the last turn with a stop token."""
        draft = self
        if draft.stop is None:
            draft = draft.append_stop_token(template.stop_after(messages[: draft.turn + 1]))
        return Text(draft.text, draft.spans, special_tokens=False, end_token=draft.stop is None)
