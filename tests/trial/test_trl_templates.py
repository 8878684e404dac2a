"""Texts of every template in TRL's wheel match inference."""

import re
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from ugro.errors import UserError
from ugro.trial.data.chat import render_conversation
from ugro.trial.data.messages import with_text_arguments
from ugro.trial.data.texts import Text
from ugro.trial.model.random_llama import byte_tokenizer

FOLDER = resources.files("trl") / "chat_templates"
ALL = sorted(file.name.removesuffix(".jinja") for file in FOLDER.iterdir() if ".jinja" in file.name)
VISION = ["idefics3", "lfm2_2_5_vl", "llava_next", "qwen2_5_vl", "qwen3_vl", "smolvlm"]
DIFFUSION = ["diffusion_gemma"]
TRAINING = [name for name in ALL if name.endswith("_training")]
GEMMA4 = ["gemma4", "gemma4_v2", "gemma4_v3", "gemma4_v4", "gemma4_v5"]
NEMOTRON = ["nemotron_3_5_lightning", "nemotron_3_nano", "nemotron_3_super", "nemotron_3_ultra"]
QWEN35 = ["qwen3_5_nothink", "qwen3_5_think", "qwen3_6", "qwen3_8"]
EOS = {  # of the tokenizers that ship these templates
    **dict.fromkeys(["cohere", "cohere2"], "<|END_OF_TURN_TOKEN|>"),
    **dict.fromkeys(["deepseek_r1_distill", "deepseekv3"], "<\uff5cend▁of▁sentence\uff5c>"),
    **dict.fromkeys(["gemma", "gemma3", *GEMMA4], "<eos>"),
    "glm4moe": "<|endoftext|>",
    "gptoss": "<|return|>",
    **dict.fromkeys(["lfm2", "lfm2_2_5", "lfm2_2_5_v2", "lfm2_v2"], "<|im_end|>"),
    **dict.fromkeys(["llama3", "llama3_1", "llama3_2"], "<|eot_id|>"),
    "muse_glimmer": "<|eot|>",
    **dict.fromkeys(NEMOTRON, "<|im_end|>"),
    **dict.fromkeys(["phi3", "phi3_5"], "<|endoftext|>"),
    **dict.fromkeys(["qwen2_5", "qwen3", *QWEN35, "qwen3_instruct_2507"], "<|im_end|>"),
}
TEXT = list(EOS)
SPECIAL = re.compile(
    r"<\|[^\s|<>\"]+\|>|<\uff5c[^\uff5c]+\uff5c>|<(?:start|end)_of_turn>|<[a-z_]+\|>|<\|[a-z_]+>"
)


def test_every_template_of_the_wheel_is_tested_or_on_a_list() -> None:
    assert sorted([*TEXT, *VISION, *DIFFUSION, *TRAINING]) == ALL
    assert (len(TEXT), len(VISION), len(DIFFUSION), len(TRAINING)) == (34, 6, 1, 31)


@cache
def template(name: str) -> str:
    return (FOLDER / f"{name}.jinja").read_text(encoding="utf-8")


@cache
def tokenizer(name: str) -> PreTrainedTokenizerFast:
    """Return a byte tokenizer with the special tokens of the template."""
    made = byte_tokenizer()
    specials = sorted({"<s>", EOS[name], *SPECIAL.findall(template(name))})
    made.add_special_tokens(
        {"bos_token": "<s>", "eos_token": EOS[name], "additional_special_tokens": specials}
    )
    made.chat_template = template(name)
    return made


def user(content: str) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: str, **others: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **others}


PARAMETERS = {"type": "object", "properties": {"city": {"type": "string", "description": "Where"}}}
FUNCTION = {"name": "get_weather", "description": "The weather", "parameters": PARAMETERS}
TOOLS = [{"type": "function", "function": FUNCTION}]
CALL = {"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Rome"}}}
SINGLE = [user("2 + 2?"), assistant("Four <b>.")]
SEVERAL = [*SINGLE, user("Sure?"), assistant("Yes."), user("Why?"), assistant("It is\n\nso.")]
SYSTEM = [{"role": "system", "content": "Be brief."}, *SEVERAL]
CALLING = [
    user("Weather in Rome?"),
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "name": "get_weather", "content": "20"},
    assistant("20 degrees."),
    user("Thanks."),
    assistant("Bye."),
]
THINKING = [user("2 + 2?"), assistant("Four.", reasoning_content="Let me add.")]
AGENT = [
    user("Weather in Rome?"),
    {"role": "assistant", "content": None, "reasoning_content": "I ask.", "tool_calls": [CALL]},
    {"role": "tool", "name": "get_weather", "content": "20"},
    assistant("20 degrees.", reasoning_content="It said 20."),
]
KINDS = {
    "single": SINGLE,
    "several": SEVERAL,
    "system": SYSTEM,
    "tools": CALLING,
    "reasoning": THINKING,
    "agent": AGENT,
}
CASES = [(name, kind) for name in TEXT for kind in KINDS]

NO_TOOLS = ["cohere", "cohere2", "deepseek_r1_distill", "gemma", "gemma3", "lfm2", "llama3"]
NO_TOOLS += ["phi3", "phi3_5"]
NO_REASONING = [*NO_TOOLS, "deepseekv3", *GEMMA4[:-1], "lfm2_v2", "llama3_1", "llama3_2"]
NO_REASONING += ["qwen2_5", "qwen3_instruct_2507"]
REFUSED = {
    ("gemma", "system"): "System role not supported",
    **{(name, "tools"): "it leaves out a tool call" for name in NO_TOOLS},
    **{(name, "reasoning"): "it leaves out the reasoning" for name in NO_REASONING},
    **{(name, "agent"): "it leaves out the reasoning" for name in NO_REASONING},
}
# Its default prompt closes the reasoning; a record that has some is trained as it is asked for.
PROMPT_OPTIONS = {
    ("qwen3_5_nothink", kind): {"enable_thinking": True} for kind in ("reasoning", "agent")
}
STOPS = {  # where it is not the EOS token alone
    **dict.fromkeys(["gemma", "gemma3"], ("<end_of_turn>",)),
    **dict.fromkeys(GEMMA4, ("<turn|>", "<|tool_response>")),
    "gptoss": ("<|return|>", "<|call|>"),
    **dict.fromkeys(["phi3", "phi3_5"], ("<|end|>", "<|endoftext|>")),
}
NO_STOP = ["glm4moe"]  # the next turn writes it
MARKUP = re.compile(
    r"</?think>|<\|channel\|>final<\|message\|>|<\|channel>thought|<\|start\|>assistant"
    r"| to=(user|self)<\|message\|>|<\|channel\|>analysis<\|message\|>"
)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let transformers' templates see 26 July 2024."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Clock":
            return cls(2024, 7, 26)

    monkeypatch.setattr(chat_template_utils, "datetime", Clock)


def converted(name: str, kind: str, **options: Any) -> list[Text]:
    tools = TOOLS if kind in ("tools", "agent") else None
    return render_conversation(
        KINDS[kind], tokenizer(name), "chats.jsonl:1", tools=tools, **options
    )


def rendered(name: str, kind: str, messages: list[dict[str, Any]], **options: Any) -> Any:
    """Render as an inference server does: null content is empty."""
    filled = [{**message, "content": message["content"] or ""} for message in messages]
    if name == "deepseekv3" and "chat_template" not in options:  # it cannot append an object
        filled = with_text_arguments(filled)
    tools = TOOLS if kind in ("tools", "agent") else None
    return tokenizer(name).apply_chat_template(filled, tools=tools, **options)


def answers(texts: list[Text]) -> list[tuple[Text, int, int]]:
    """Return the trained spans, one per turn."""
    found: list[tuple[Text, int, int]] = []
    for text in texts:
        for span in text.spans:
            if found and found[-1][0] is text and found[-1][2] == span.start:
                found[-1] = (text, found[-1][1], span.end)
            else:
                found.append((text, span.start, span.end))
    return found


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_each_turn_is_trained_after_the_prompt_of_inference(name: str, kind: str) -> None:
    if (name, kind) in REFUSED:
        with pytest.raises(
            UserError, match=r"^chats\.jsonl:1: the chat template refuses"
        ) as refusal:
            converted(name, kind)
        assert REFUSED[name, kind] in str(refusal.value)
        return
    messages, texts = KINDS[kind], converted(name, kind)
    turns = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    for turn, (text, start, end) in zip(turns, answers(texts), strict=True):
        options = {"tokenize": False, **PROMPT_OPTIONS.get((name, kind), {})}
        prompt = rendered(name, kind, messages[:turn], add_generation_prompt=True, **options)
        assert text.text[:start] == prompt
        answer = text.text[start:end]
        inside = [s for s in text.spans if start <= s.start < end]
        content = "".join(text.text[s.start : s.end] for s in inside if s.content)
        markup = "".join(text.text[s.start : s.end] for s in inside if not s.content)
        if "tool_calls" in messages[turn]:
            assert "get_weather" in content
            assert "Rome" in content
        else:
            thought = messages[turn].get("reasoning_content", "")
            assert content == thought + messages[turn]["content"]
        assert SPECIAL.sub("", MARKUP.sub("", markup)).strip() == ""
        if name in NO_STOP:
            assert (text.end_token, end) == (True, len(text.text))
        else:
            assert answer.strip().endswith(STOPS.get(name, EOS[name]))
            assert not text.end_token
        assert not text.special_tokens


# TRL's SFTTrainer(assistant_only_loss=True) takes its masks from the training variants.

THINK, CLOSED = "<think>\n", "<think>\n\n</think>\n\n"
# TRL also trains the end of the prompt, which inference gives to the model.
PROMPT_TRAINED = {
    **{("gptoss", kind): "<|start|>assistant" for kind in KINDS},
    **{("muse_glimmer", kind): "<|start|>assistant" for kind in KINDS},
    **{("qwen2_5", kind): "\n" for kind in KINDS},
    **{(name, kind): THINK for name in QWEN35 for kind in KINDS},
    **{("qwen3_5_nothink", kind): CLOSED for kind in ("single", "several", "system", "tools")},
    **{(name, kind): THINK for name in NEMOTRON for kind in ("reasoning", "agent")},
}
# TRL trains turns on one rendering of the whole conversation. At inference the history is another:
# earlier reasoning is stripped (Qwen 3); <|return|> becomes <|end|>, and the reasoning before a
# tool call is kept until the final answer is there (gpt-oss).
REWRITING = ["gptoss", "qwen3", "qwen3_5_nothink", "qwen3_5_think", "qwen3_6"]
HISTORY_REWRITTEN = {
    ("gptoss", "agent"),
    *((name, kind) for name in REWRITING for kind in ("several", "system", "tools")),
}
# The prompt of inference opens <think>, and the rendering that TRL trains on does not.
THINK_OPENED = {
    (name, kind)
    for name in ["deepseek_r1_distill", "deepseekv3", *NEMOTRON]
    for kind in KINDS
    if (name, kind) not in PROMPT_TRAINED
}
TRL_CASES = [
    (name, kind)
    for name, kind in CASES
    if f"{name}_training" in ALL and (name, kind) not in REFUSED
]


@pytest.mark.parametrize(("name", "kind"), TRL_CASES)
def test_tokens_and_masks_equal_those_of_trl(name: str, kind: str) -> None:
    """The training variant of GLM trains <|user|> and <|observation|> as stop tokens."""
    made = tokenizer(name)
    stops = ["<|user|>", "<|observation|>"] if name in NO_STOP else []
    texts = converted(name, kind, stop_ids=tuple(made.convert_tokens_to_ids(stops)))
    options = {"return_dict": True, "return_assistant_tokens_mask": True}
    variant = template(f"{name}_training")
    trl = rendered(name, kind, KINDS[kind], chat_template=variant, **options)
    encoded = made(texts[-1].text, return_offsets_mapping=True, add_special_tokens=False)
    ours = [
        any(span.start <= start < span.end for span in texts[-1].spans)
        for start, _ in encoded["offset_mapping"]
    ]
    theirs = [bool(trained) for trained in trl["assistant_masks"]]
    if (name, kind) in THINK_OPENED:
        assert encoded["input_ids"] != trl["input_ids"]
        return
    if (name, kind) in HISTORY_REWRITTEN:
        assert len(texts) > 1 or encoded["input_ids"] != trl["input_ids"]
        return
    assert len(texts) == 1
    assert not texts[0].end_token
    assert encoded["input_ids"] == trl["input_ids"]
    extra = [
        token for token, a, b in zip(trl["input_ids"], theirs, ours, strict=True) if a and not b
    ]
    assert made.decode(extra) == PROMPT_TRAINED.get((name, kind), "") * len(answers(texts))
    assert not any(b and not a for a, b in zip(theirs, ours, strict=True))


def test_most_templates_agree_with_trl_to_the_token() -> None:
    differ = {*PROMPT_TRAINED, *THINK_OPENED, *HISTORY_REWRITTEN}
    agree = [case for case in TRL_CASES if case not in differ]
    assert len(agree) == 40
    assert {name for name, _ in agree} >= {
        "llama3",
        "gemma3",
        "phi3",
        "qwen3",
        "glm4moe",
        "lfm2_v2",
    }
