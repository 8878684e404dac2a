import json
import re
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from ugro.errors import UserError
from ugro.trial.data.chat import render_conversation
from ugro.trial.data.chat_template import ChatTemplate
from ugro.trial.data.messages import read_messages
from ugro.trial.data.texts import Text
from ugro.trial.model.random_llama import END, byte_tokenizer

PLACE = "chats.jsonl:7"
ASK = "{% if add_generation_prompt %}<|im|>assistant\n{% endif %}"
CHATML = "{% for m in messages %}<|im|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}" + ASK
LLAMA3 = (
    "{% for m in messages %}<|h|>{{ m.role }}<|/h|>\n\n{{ m.content | trim }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|h|>assistant<|/h|>\n\n{% endif %}"
)
THINK = (  # strips the reasoning of earlier turns, as Qwen 3 does
    "{% for m in messages %}<|im|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and not loop.last %}{{ m.content.split('</think>')[-1] }}"
    "{% else %}{{ m.content }}{% endif %}<|end|>\n{% endfor %}" + ASK
)
THINK_PROMPT = CHATML.removesuffix("{% endif %}") + "<think>\n{% endif %}"
DEEPSEEK = (  # drops the reasoning of every turn, and its prompt opens one
    "{% for m in messages %}<|im|>{{ m.role }}\n{{ m.content.split('</think>')[-1] }}<|end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im|>assistant\n<think>\n{% endif %}"
)
GLM = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
GEMMA = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}<|im|>{{ m.role }}\n"
    "{{ m.content | trim }}<|end|>\n{% endfor %}" + ASK
)
TOOLS = (
    "{% if tools %}TOOLS {{ tools | tojson }}\n{% endif %}"
    "{% for m in messages %}<|im|>{{ m.role }}\n{{ m.content or '' }}"
    "{% if m.tool_calls %}CALL {{ m.tool_calls | tojson }}{% endif %}<|end|>\n"
    "{% endfor %}" + ASK
)


@cache
def tokenizer(template: str, *special: str) -> PreTrainedTokenizerFast:
    made = byte_tokenizer()
    made.chat_template = template
    made.add_special_tokens({"additional_special_tokens": list(special)})
    return made


def user(content: Any = "q") -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: Any = "a", **others: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **others}


def trained(text: Text) -> list[str]:
    return [text.text[span.start : span.end] for span in text.spans]


def content(texts: list[Text]) -> str:
    return "".join(t.text[s.start : s.end] for t in texts for s in t.spans if s.content)


def convert(template: str, *messages: Any, special: tuple[str, ...] = (), **how: Any) -> list[Text]:
    return render_conversation(list(messages), tokenizer(template, *special), PLACE, **how)


# Where the answers stand


def test_turns_that_extend_one_another_share_a_text() -> None:
    (text,) = convert(CHATML, user(), assistant(), user("r"), assistant("b"))
    assert text.text == (
        "<|im|>user\nq<|end|>\n<|im|>assistant\na<|end|>\n"
        "<|im|>user\nr<|end|>\n<|im|>assistant\nb<|end|>\n"
    )
    assert trained(text) == ["a", "<|end|>\n", "b", "<|end|>\n"]
    assert [span.content for span in text.spans] == [True, False, True, False]
    assert (text.special_tokens, text.end_token) == (False, False)


def test_a_template_that_rewrites_the_history_gives_each_turn_a_text() -> None:
    first, second = convert(
        THINK, user(), assistant("<think>x</think>a"), user("r"), assistant("<think>y</think>b")
    )
    assert first.text == "<|im|>user\nq<|end|>\n<|im|>assistant\n<think>x</think>a<|end|>\n"
    assert second.text == (
        "<|im|>user\nq<|end|>\n<|im|>assistant\na<|end|>\n"
        "<|im|>user\nr<|end|>\n<|im|>assistant\n<think>y</think>b<|end|>\n"
    )
    assert trained(first) == ["<think>x</think>a", "<|end|>\n"]
    assert trained(second) == ["<think>y</think>b", "<|end|>\n"]


def test_reasoning_that_the_prompt_opens_stays_open_before_the_answer() -> None:
    (text,) = convert(THINK_PROMPT, user(), assistant())
    assert text.text == "<|im|>user\nq<|end|>\n<|im|>assistant\n<think>\na<|end|>\n"
    assert trained(text) == ["a", "<|end|>\n"]


@pytest.mark.parametrize("reasoned", ["<think>\nx</think>a", "<think>x</think>a"])
def test_a_tag_that_the_prompt_opens_is_not_doubled(reasoned: str) -> None:
    (text,) = convert(THINK_PROMPT, user(), assistant(reasoned))
    assert text.text.endswith("<|im|>assistant\n<think>\nx</think>a<|end|>\n")
    assert trained(text) == ["x</think>a", "<|end|>\n"]


@pytest.mark.parametrize("like", ["<", "<think", "<t", "<|im|>", "\n<think>", "ass"])
def test_content_that_begins_like_the_opened_tag_is_kept_whole(like: str) -> None:
    texts = convert(THINK_PROMPT, user(), assistant(like), user(), assistant(like))
    assert [trained(text) for text in texts] == [[like, "<|end|>\n"]] * 2


def test_reasoning_that_the_template_drops_is_trained_all_the_same() -> None:
    (text,) = convert(DEEPSEEK, user(), assistant("<think>\nx\n</think>\n\na"))
    assert text.text.endswith("<|im|>assistant\n<think>\nx\n</think>\n\na<|end|>\n")
    assert trained(text) == ["x\n</think>\n\na", "<|end|>\n"]


def test_an_assistant_that_speaks_first_is_trained_after_its_header() -> None:
    (text,) = convert(CHATML, assistant("Hello"), user(), assistant())
    assert text.text.startswith("<|im|>assistant\nHello<|end|>\n<|im|>user")
    assert trained(text) == ["Hello", "<|end|>\n", "a", "<|end|>\n"]


def test_only_what_the_template_trims_is_lost() -> None:
    (text,) = convert(LLAMA3, user(), assistant(" a b \n"))
    assert trained(text) == ["a b", "<|end|>"]


SAID = st.text(st.characters(exclude_categories=["Cs", "Co"]), max_size=12)
LIKE = st.sampled_from(
    ["", "<", "<think>", "<|im|>", " ", "\n", "</think>", "<|end|>", "assistant"]
)
CONTENTS = st.lists(st.tuples(LIKE, SAID).map("".join), min_size=1, max_size=3)


@given(CONTENTS, st.sampled_from([CHATML, LLAMA3, THINK]))
@property_settings(deadline=None, max_examples=80)
def test_what_is_trained_is_what_the_assistant_says(said: list[str], template: str) -> None:
    messages = [message for each in said for message in (user("q<"), assistant(each))]
    texts = convert(template, *messages)
    if template is LLAMA3:
        said = [each.strip() for each in said]
    assert content(texts) == "".join(said)
    assert [re.sub("\n", "", m) for t in texts for m in markup(t)] == [END] * len(said)


def markup(text: Text) -> list[str]:
    return [text.text[span.start : span.end] for span in text.spans if not span.content]


# Stop tokens


def test_a_template_that_writes_no_end_has_the_end_of_sequence_appended() -> None:
    texts = convert(GLM, user(), assistant(), user("r"), assistant("b"))
    assert [text.text for text in texts] == [
        "<|user|>\nq<|assistant|>\na",
        "<|user|>\nq<|assistant|>\na<|user|>\nr<|assistant|>\nb",
    ]
    assert [trained(text) for text in texts] == [["a"], ["b"]]
    assert all(text.end_token for text in texts)


def test_the_next_turn_s_token_is_the_stop_where_the_model_stops_at_it() -> None:
    special = ("<|user|>", "<|assistant|>")
    stop = tokenizer(GLM, *special).convert_tokens_to_ids("<|user|>")
    (text,) = convert(
        GLM, user(), assistant(), user("r"), assistant("b"), special=special, stop_ids=(stop,)
    )
    assert text.text == "<|user|>\nq<|assistant|>\na<|user|>\nr<|assistant|>\nb<|user|>"
    assert trained(text) == ["a", "<|user|>", "b", "<|user|>"]
    assert not text.end_token


def test_an_end_that_is_no_token_does_not_stop_a_generation() -> None:
    (text,) = convert(CHATML.replace("<|end|>", "###"), user(), assistant())
    assert trained(text) == ["a", "###\n"]
    assert text.end_token


# Which turns


def test_turns_of_weight_0_are_seen_but_not_trained() -> None:
    (text,) = convert(TOOLS, user("2+2?"), assistant("5", weight=0), user(), assistant(weight=1))
    assert "5<|end|>\n" in text.text
    assert trained(text) == ["a", "<|end|>\n"]
    assert convert(TOOLS, user(), assistant("5", train=False), user(), assistant()) == convert(
        TOOLS, user(), assistant("5", weight=0), user(), assistant()
    )


def test_the_prompt_of_a_record_is_not_trained() -> None:
    (text,) = convert(CHATML, user(), assistant("shown"), user(), assistant(), prompt_length=3)
    assert trained(text) == ["a", "<|end|>\n"]


def test_messages_after_the_last_trained_turn_are_left_out() -> None:
    assert convert(CHATML, user(), assistant(), user("bye")) == convert(CHATML, user(), assistant())


# Tools


CALL = {"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Rome"}}}
SCHEMA = {"type": "function", "function": {"name": "get_weather", "parameters": {}}}


def test_calls_are_trained_with_the_tools_that_were_offered() -> None:
    (text,) = convert(
        TOOLS,
        user("Weather in Rome?"),
        assistant(None, tool_calls=[CALL]),
        {"role": "tool", "content": "20"},
        assistant("20 degrees."),
        tools=[SCHEMA],
    )
    assert text.text.startswith(f"TOOLS {json.dumps([SCHEMA])}\n<|im|>user\n")
    assert trained(text) == [f"CALL {json.dumps([CALL])}", "<|end|>\n", "20 degrees.", "<|end|>\n"]


def test_arguments_and_tools_as_json_text_are_read() -> None:
    written = {"name": "get_weather", "arguments": '{"city": "Rome"}'}
    texts = [
        convert(TOOLS, user(), assistant(None, tool_calls=[call]), tools=tools)
        for call, tools in [
            (CALL, [SCHEMA]),
            ({"type": "function", "function": written}, json.dumps([SCHEMA])),
            (written, [SCHEMA]),
        ]
    ]
    assert texts[0] == texts[1] == texts[2]


def test_no_value_is_ever_printed_as_none() -> None:
    (text,) = convert(
        LLAMA3, user(None), assistant(tool_calls=None, name=None), user(), assistant([])
    )
    assert "None" not in text.text
    assert trained(text) == ["a", "<|end|>", "<|end|>"]


def test_parts_of_text_are_joined() -> None:
    parts = [{"type": "text", "text": "a "}, {"type": "text", "text": "b"}]
    assert convert(CHATML, user(parts), assistant(parts)) == convert(
        CHATML, user("a b"), assistant("a b")
    )


def test_reasoning_beside_the_content_is_content() -> None:
    template = CHATML.replace(
        "{{ m.content }}",
        "{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}"
        "{{ m.content }}",
    )
    (text,) = convert(template, user(), assistant("a", reasoning_content="why"))
    assert trained(text) == ["<think>", "why", "</think>", "a", "<|end|>\n"]
    assert content([text]) == "whya"


# The date


def test_a_template_that_asks_for_today_gets_the_same_day_every_day() -> None:
    dated = "{{ strftime_now('%d %b %Y') }}, {{ strftime_now(\"%Y-%m-%d\") }}\n" + CHATML
    (text,) = convert(dated, user(), assistant())
    assert text.text.startswith("26 Jul 2024, 2024-07-26\n<|im|>user")


# Speed


@pytest.mark.parametrize("template", [CHATML, LLAMA3, THINK, THINK_PROMPT, GLM, TOOLS])
def test_a_conversation_takes_about_two_renderings_a_turn(
    template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted, render = [], ChatTemplate.render

    def counting(self: ChatTemplate, *given: Any, **options: Any) -> str:
        counted.append(1)
        return render(self, *given, **options)

    monkeypatch.setattr(ChatTemplate, "render", counting)
    convert(template, *[message for i in range(10) for message in (user(), assistant(f"a{i}"))])
    assert len(counted) <= 2 * 10 + 4


# What is refused, in one line


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([], "messages of {role, content}"),
        (["q"], "['str'] given, allowed: messages of {role, content}"),
        ([{"from": "human", "value": "q"}], "message 1: ['from', 'value'] given"),
        ([user(), {"role": "assistant"}], "message 2: ['role'] given, allowed: {role, content}"),
        ([user(), {"role": "gpt", "content": "a"}], "message 2: role: 'gpt' given"),
        ([user(), {"role": ["user"], "content": "a"}], "message 2: role: ['user'] given"),
        ([user(3), assistant()], "message 1: content: 'int' given"),
        (
            [user([{"type": "image_url"}]), assistant()],
            "content: 'image_url' given, allowed: parts",
        ),
        ([user(["q"]), assistant()], "content: ['str'] given"),
        ([user(), assistant(weight=0.5)], "message 2: weight: 0.5 given, allowed: 0 or 1"),
        ([user(), assistant(train="no")], "message 2: train: 'no' given"),
        ([user(), assistant(reasoning_content=["x"])], "reasoning_content: 'list' given"),
        ([user(), assistant(tool_calls="x")], "tool_calls: 'str' given"),
        ([user(), assistant(tool_calls=[{"id": "1"}])], "tool_calls: ['id'] given"),
        ([user(), assistant(tool_calls=[{"name": "f", "arguments": "{"}])], "arguments: not JSON"),
        (
            [user(), assistant(tool_calls=[{"name": "f", "arguments": "3"}])],
            "arguments: 'int' given",
        ),
        ([user()], "no assistant message to learn from"),
        ([user(), assistant(weight=0)], "to learn from (all have weight 0)"),
    ],
)
def test_a_malformed_conversation_is_told_in_one_line(messages: list[Any], says: str) -> None:
    with pytest.raises(UserError, match=re.escape(says)) as error:
        convert(CHATML, *messages)
    assert str(error.value).startswith(f"{PLACE}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("template", "messages", "reason"),
    [
        (GEMMA, [{"role": "system", "content": "s"}, user(), assistant()], "System role not"),
        (GEMMA, [user(), user(), assistant()], "roles must alternate"),
        (GEMMA, [assistant(), user()], "roles must alternate"),
        (CHATML, [user(), assistant(None, tool_calls=[CALL])], "it leaves out a tool call"),
        (CHATML, [user(), assistant(reasoning_content="why")], "it leaves out the reasoning"),
        (CHATML.replace("m.content", "m.name"), [user(), assistant()], "it leaves out the content"),
        (
            CHATML.replace("m.content", "m.content[:3]"),
            [user(), assistant("abcdef")],
            "it leaves out",
        ),
        ("{{ messages[9].role }}", [user(), assistant()], "has no element 9"),
    ],
)
def test_what_the_template_refuses_is_told_in_one_line(
    template: str, messages: list[Any], reason: str
) -> None:
    with pytest.raises(UserError, match=re.escape(reason)) as error:
        convert(template, *messages)
    assert str(error.value).startswith(f"{PLACE}: the chat template refuses this record (")
    assert "\n" not in str(error.value)


def test_malformed_tools_are_told_in_one_line() -> None:
    for tools in ("{", 3, ["f"]):
        with pytest.raises(UserError, match=f"^{PLACE}: tools: "):
            convert(TOOLS, user(), assistant(), tools=tools)


def test_a_tokenizer_without_a_template_is_told() -> None:
    plain = byte_tokenizer()
    plain.chat_template = None
    with pytest.raises(UserError, match="has no chat template"):
        render_conversation([user(), assistant()], plain, PLACE)


def test_the_record_itself_is_left_as_it_is() -> None:
    messages = [user(), assistant(None, tool_calls=[dict(CALL)], weight=1)]
    before = json.dumps(messages)
    read_messages(messages, PLACE)
    convert(TOOLS, *messages)
    assert json.dumps(messages) == before
