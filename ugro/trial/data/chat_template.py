"""Render conversations with a tokenizer's chat template and find the answers in them."""

import re
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any

from ugro.errors import UserError
from ugro.trial.data.messages import REASONING, Message, reasoning, with_text_arguments
from ugro.trial.data.texts import Span

TODAY = date(2024, 7, 26)  # default date of Llama 3.1 and 3.2
DATE_CALL = re.compile(r"""strftime_now\(\s*(?P<quote>["'])(?P<format>[^"']*)(?P=quote)\s*\)""")
MARK = "\uf8f1\uf8f2\uf8f3"  # private-use characters that no template or record contains
# Tags are atomic: "<think>" and "<tool_call>" do not share the prefix "<t".
PIECES = re.compile(rf"{MARK}|<[^<>\s]*>|\[[^\[\]\s]*\]|[^\s<\[{MARK[0]}]+|.", re.DOTALL)


@dataclass(frozen=True)
class Answer:
    """A turn of the assistant.

    Attributes:
        prompt: model input before the turn
        text: target text, including markup and end of turn
        spans: partition of ``text`` into content and markup, in order
        stop: index in ``text`` after the token that ends the turn; None without such a token
    """

    prompt: str
    text: str
    spans: tuple[Span, ...]
    stop: int | None


@dataclass
class ChatTemplate:
    """A tokenizer's chat template, applied to a single conversation.

    The current date is fixed to 26 July 2024, so that tokens do not change from day to day.

    Attributes:
        tokenizer: tokenizer with the template
        place: file and line of the conversation, for error messages
        tools: tools offered in the conversation
        stop_ids: tokens that end a generation, besides the tokenizer's special tokens
    """

    tokenizer: Any
    place: str
    tools: list[Message] | None = None
    stop_ids: tuple[int, ...] = ()
    # Markup found for the first turn, reused for later turns to save renderings.
    _frame: tuple[str, str] | None = field(default=None, init=False)
    _opened: str = field(default="", init=False)

    def render(self, messages: list[Message], generation_prompt: bool = False) -> str:
        """Render messages to text.

        Raises:
            UserError: the template refuses them.
        """
        from jinja2 import TemplateError

        refusals = (
            TemplateError,
            ArithmeticError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        )
        try:
            return self._apply(messages, generation_prompt)
        except refusals as error:
            if any("tool_calls" in message for message in messages):
                try:  # DeepSeek's templates concatenate the arguments with text
                    return self._apply(with_text_arguments(messages), generation_prompt)
                except refusals:
                    pass
            raise self.refusal(" ".join(str(error).split())) from error

    def refusal(self, reason: str) -> UserError:
        """Return the error for a record that the template does not render."""
        return UserError(f"{self.place}: the chat template refuses this record ({reason})")

    def answer(self, messages: list[Message], turn: int) -> Answer:
        """Split the rendering of ``messages[turn]`` into prompt and answer.

        Raises:
            UserError: the template refuses the messages or omits a part of this message.
        """
        message = messages[turn]
        prompt = self.render(messages[:turn], generation_prompt=True) if turn else ""
        full = self.render(messages[: turn + 1])
        plain = not reasoning(message) and "tool_calls" not in message
        text = self._after(prompt, full) if turn else None
        if plain and self._frame and text is not None:
            before, after = self._frame
            for content in (message["content"], message["content"].strip()):
                if text == before + content + after:
                    return self._build_answer(prompt, text, message, content, after)
        rendered = full
        full, content, after = self._complete(messages, turn, full)
        prompt, text = self._split(messages, turn, prompt, rendered, full)
        self._check_reasoning_and_calls(message, text)
        answer = self._build_answer(prompt, text, message, content, after)
        if turn and plain and content is not None:
            start = len(text) - len(after) - len(content)
            self._frame = (text[:start], after) if start >= 0 else None
        return answer

    def stop_after(self, messages: list[Message]) -> str:
        """Return the token that ends the last turn where a template defers it to the next turn."""
        if not self.stop_ids:
            return ""
        role = "tool" if "tool_calls" in messages[-1] else "user"
        marked = [*messages[:-1], _masked(messages[-1])]  # templates may drop earlier reasoning
        ended = self.render(marked).rpartition(MARK)[2]
        following = self.render([*marked, {"role": role, "content": "."}]).rpartition(MARK)[2]
        return self.stop_at(following[len(ended) :]) if following.startswith(ended) else ""

    def stop_at(self, text: str) -> str:
        """Return the token of ``stop_ids`` at the start of ``text``, or an empty string."""
        tokens = self.tokenizer.convert_ids_to_tokens(list(self.stop_ids))
        return next((token for token in tokens if token and text.startswith(token)), "")

    def _apply(self, messages: list[Message], generation_prompt: bool) -> str:
        template = _with_fixed_date(self.tokenizer.get_chat_template(None, self.tools))
        text = self.tokenizer.apply_chat_template(
            messages,
            tools=self.tools,
            chat_template=template,
            add_generation_prompt=generation_prompt,
            tokenize=False,
        )
        return str(text)

    def _complete(
        self, messages: list[Message], turn: int, full: str
    ) -> tuple[str, str | None, str]:
        """Locate the turn's content; return the rendering, the content and the text behind it.

        Reasoning that a template strips from the content (DeepSeek in the history) is restored. The
        content is None if it cannot be separated from the markup around it.
        """
        content = messages[turn]["content"]
        if "tool_calls" in messages[turn] and not content.strip():
            return full, None, ""  # gpt-oss refuses a content beside reasoning
        marked = self.render([*messages[:turn], {**messages[turn], "content": MARK}])
        before, found, after = marked.rpartition(MARK)
        fits = full.startswith(before) and full.endswith(after)
        if not (found and fits and len(full) >= len(before) + len(after)):
            # Omitted or rendered differently: Qwen3 moves reasoning out of the content.
            if _without_whitespace(content) not in (_without_whitespace(full) if found else ""):
                raise self.refusal("it leaves out the content of an assistant message")
            return full, None, ""
        body = full[len(before) : len(full) - len(after)]
        if _without_whitespace(body) == _without_whitespace(content):
            return full, body, after
        if content.rstrip().endswith(body.rstrip()):
            return before + content.rstrip() + after, content.rstrip(), after
        if _without_whitespace(body) in _without_whitespace(content):
            raise self.refusal("it leaves out a part of an assistant message's content")
        return full, body, after

    def _split(
        self, messages: list[Message], turn: int, prompt: str, rendered: str, full: str
    ) -> tuple[str, str]:
        """Split a rendering into model input and target text."""
        if turn == 0:  # no prompt precedes the first message
            prompt = common_prefix(full, self.render([_masked(messages[0])]))
            return prompt, full[len(prompt) :]
        text = self._after(prompt, full)
        if text is not None:
            return prompt, text
        # The template rewrites the history, or its prompt opens a tag that the answer lacks. Marks
        # behind the previous message and in place of the content locate prompt and answer.
        said = {**messages[turn - 1], "content": messages[turn - 1]["content"] + MARK}
        history = [*messages[: turn - 1], said]
        asked = self.render(history, generation_prompt=True).rpartition(MARK)[2]
        tail = self.render([*history, messages[turn]]).rpartition(MARK)[2]
        if not (prompt.endswith(asked) and rendered.endswith(tail)):
            asked, tail = prompt, rendered
        tail = full[len(rendered) - len(tail) :]
        if tail.startswith(asked):
            return prompt, tail[len(asked) :]
        bare = self.render([*history, _masked(messages[turn])])
        header = common_prefix(asked, bare.partition(MARK)[2] if asked != prompt else bare)
        if tail.startswith(header):
            self._opened = asked[len(header) :]
            return prompt, _without_opened_tag(tail[len(header) :], self._opened)
        # The prompt closes the reasoning that this answer contains (Qwen3.5 without thinking).
        answer = tail[len(common_prefix(asked, tail)) :]
        return full[: len(full) - len(answer)], answer

    def _after(self, prompt: str, full: str) -> str | None:
        """Return the text behind the prompt, if the rendering starts with prompt and history."""
        if full.startswith(prompt):
            return full[len(prompt) :]
        opened = self._opened
        if opened and prompt.endswith(opened) and full.startswith(prompt[: -len(opened)]):
            return _without_opened_tag(full[len(prompt) - len(opened) :], opened)
        return None

    def _check_reasoning_and_calls(self, message: Message, text: str) -> None:
        if _without_whitespace(reasoning(message)) not in _without_whitespace(text):
            raise self.refusal("it leaves out the reasoning of an assistant message")
        names = [call["function"]["name"] for call in message.get("tool_calls", [])]
        if any(text.count(name) < names.count(name) for name in names):
            raise self.refusal("it leaves out a tool call of an assistant message")

    def _build_answer(
        self, prompt: str, text: str, message: Message, content: str | None, after: str
    ) -> Answer:
        """Mark the content of an answer and its stop token."""
        ends = _ends(self.tokenizer, len(self.tokenizer), self.stop_ids)
        if content is None or "tool_calls" in message:
            end = ends.trailing.search(text)
            last = end.start() if end else len(text)
            found = [(0, last)]
            stop = ends.special.search(text, last)
        else:
            last = len(text) - len(after)
            first = max(0, last - len(content))
            found = [(first, last)]
            thought = reasoning(message).strip()
            start = text.find(thought, 0, first) if thought else -1
            if start >= 0:
                found.insert(0, (start, start + len(thought)))
            stop = ends.added.search(text, last)
        spans = tuple(_spans(found, len(text)))
        return Answer(prompt, text, spans, stop.end() if stop else None)


@dataclass(frozen=True)
class _Ends:
    """Patterns of tokens that end a turn: special, added, and trailing special tokens."""

    special: re.Pattern[str]
    added: re.Pattern[str]
    trailing: re.Pattern[str]


@lru_cache(maxsize=8)
def _ends(tokenizer: Any, size: int, stop_ids: tuple[int, ...]) -> _Ends:
    """Compile the patterns, cached per tokenizer and vocabulary size."""
    tokens = tokenizer.added_tokens_decoder.values()
    special = {token.content for token in tokens if token.special}
    special |= {*tokenizer.all_special_tokens, *tokenizer.convert_ids_to_tokens(list(stop_ids))}
    added = special | {token.content for token in tokens}
    return _Ends(
        re.compile(f"(?:{_any(special)})+"),
        re.compile(f"(?:{_any(added)})+"),
        re.compile(rf"(?:{_any(special)})(?:{_any(special)}|\s)*\Z"),
    )


def _any(tokens: set[str]) -> str:
    longest_first = sorted(filter(None, tokens), key=lambda token: (-len(token), token))
    return "|".join(map(re.escape, longest_first)) or r"(?!)"


@lru_cache(maxsize=8)
def _with_fixed_date(template: str) -> str:
    """Insert the fixed date into a template, which accepts no functions."""
    return DATE_CALL.sub(lambda call: f'"{TODAY.strftime(call["format"])}"', template)


def _masked(message: Message) -> Message:
    """Replace everything a message says by the mark."""
    kept = {key: value for key, value in message.items() if key not in REASONING}
    return {**kept, "content": MARK}


def common_prefix(left: str, right: str) -> str:
    """Return the common prefix of two texts, in units of words and tags."""
    length = 0
    for one, other in zip(PIECES.finditer(left), PIECES.finditer(right), strict=False):
        if one.group() != other.group():
            break
        length = one.end()
    return left[:length]


def _without_opened_tag(answer: str, opened: str) -> str:
    """Remove a leading tag that the prompt has opened already."""
    tag = opened.strip()
    return answer.removeprefix(tag) if tag else answer


def _without_whitespace(text: str) -> str:
    return "".join(text.split())


def _spans(content: list[tuple[int, int]], length: int) -> list[Span]:
    """Partition ``length`` characters into the given content spans and markup between them."""
    spans, done = [], 0
    for start, end in [*content, (length, length)]:
        spans += [Span(done, start, content=False), Span(start, end)]
        done = end
    return [span for span in spans if span.start < span.end]
