"""Turn conversations into texts to train on, as the chat template renders them for inference."""

from dataclasses import dataclass, replace
from typing import Any

from ugro.errors import UserError
from ugro.trial.data.chat_template import Answer, ChatTemplate, common
from ugro.trial.data.messages import Message, read_messages, read_tools
from ugro.trial.data.texts import Span, Text


def conversation(
    messages: list[Message],
    tokenizer: Any,
    place: str,
    *,
    tools: Any = None,
    given: int = 0,
    stop_ids: tuple[int, ...] = (),
) -> list[Text]:
    """Render a conversation into texts whose spans cover the assistant's turns.

    Each turn stands after the prompt that the template renders for it at inference. Turns share
    a text where later renderings extend earlier ones; where the template rewrites the history
    (Qwen3 strips earlier reasoning) or its prompt opens ``<think>``, a turn begins a text of its
    own. Every turn ends in a trained stop token: the template's, or the tokenizer's end of
    sequence where the template writes none.

    Args:
        messages: role and content each, as the record has them
        tokenizer: its chat template renders them; today's date in it is always 26 July 2024
        place: file and line, for errors
        tools: the tools offered, as JSON schemas
        given: how many of the messages are the prompt of a record, and not trained
        stop_ids: tokens that end a generation, of the model's generation config

    Raises:
        UserError: a message is malformed, the template refuses it, or there is none to learn from.
    """
    if not tokenizer.chat_template:
        raise UserError(f"{place}: chat records, but this model's tokenizer has no chat template")
    read = read_messages(messages, place, given)
    template = ChatTemplate(tokenizer, place, read_tools(tools, place), stop_ids)
    drafts: list[_Draft] = []
    for turn, trained in enumerate(read.trained):
        if trained:
            answer = template.answer(read.messages, turn)
            extended = drafts[-1].extended(answer, turn, template) if drafts else None
            if extended:
                drafts[-1] = extended
            else:
                drafts.append(_Draft().answered(answer, turn))
    return [draft.finished(template, read.messages) for draft in drafts]


@dataclass(frozen=True)
class _Draft:
    """A text to which turns are still added; ``stop`` as in ``Answer``, ``turn`` the last one."""

    text: str = ""
    spans: tuple[Span, ...] = ()
    stop: int | None = 0
    turn: int = 0

    def answered(self, answer: Answer, turn: int) -> "_Draft":
        """Add a turn whose prompt holds all that is trained so far."""
        start = len(answer.prompt)
        spans = (replace(s, start=start + s.start, end=start + s.end) for s in answer.spans)
        stop = None if answer.stop is None else start + answer.stop
        return _Draft(answer.prompt + answer.text, (*self.spans, *spans), stop, turn)

    def extended(self, answer: Answer, turn: int, template: ChatTemplate) -> "_Draft | None":
        """Add a turn if its prompt holds the text up to its last stop token, as it is."""
        draft = self
        if draft.stop is None and answer.prompt.startswith(draft.text):
            draft = draft.ended(template.stop_at(answer.prompt[len(draft.text) :]))
        if draft.stop is None or not answer.prompt.startswith(draft.text[: draft.stop]):
            return None
        # Behind the stop token, keep what stays: Phi 3 writes one more after the last turn alone.
        kept = common(draft.text[draft.stop :], answer.prompt[draft.stop :])
        end = draft.stop + len(kept)
        spans = (replace(s, end=min(s.end, end)) for s in draft.spans if s.start < end)
        return replace(draft, spans=tuple(spans)).answered(answer, turn)

    def ended(self, token: str) -> "_Draft":
        """Train a token that the template writes at the start of what follows, if there is one."""
        if not token:
            return self
        end = len(self.text) + len(token)
        span = Span(len(self.text), end, content=False)
        return replace(self, text=self.text + token, spans=(*self.spans, span), stop=end)

    def finished(self, template: ChatTemplate, messages: list[Message]) -> Text:
        """End the last turn in a stop token."""
        draft = self
        if draft.stop is None:
            draft = draft.ended(template.stop_after(messages[: draft.turn + 1]))
        return Text(draft.text, draft.spans, special_tokens=False, end_token=draft.stop is None)
