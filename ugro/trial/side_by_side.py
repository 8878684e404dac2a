"""Answers of a base model and of a trial's adapter on it to the same prompts."""

import gc
from collections.abc import Sequence
from pathlib import Path

import peft

from ugro.config import Config
from ugro.paths import ADAPTER
from ugro.trial import hardware
from ugro.trial.data.preparation import with_chat_template
from ugro.trial.generation import as_asked, end_ids, generate
from ugro.trial.model import base_models


def answers_of_trial(
    config: Config,
    folder: Path,
    conversations: bool,
    prompts: Sequence[str],
    max_new_tokens: int,
    with_base: bool,
) -> tuple[list[str], list[str]]:
    """Generate greedily, in the precision of the trial.

    Args:
        config: configuration of the trial
        folder: folder of the trial, with ``adapter/``
        conversations: whether the trial was trained on conversations
        prompts: texts of the user
        max_new_tokens: maximum length of an answer, in tokens
        with_base: whether the base model answers, too

    Returns:
        The base model's answers, empty without ``with_base``, and those of the trial.
    """
    cache_dir = Path(config.cache_dir).expanduser()
    base = base_models.load(config.model, hardware.precision(config.training.dtype), cache_dir)
    tokenizer = with_chat_template(base.tokenizer, config.data.chat_template)
    ends = end_ids(tokenizer, base.stop_ids)
    asked = [as_asked(tokenizer, prompt, conversations) for prompt in prompts]
    limits = (
        ends,
        max_new_tokens,
        config.training.eval_batch_size,
        base_models.positions(base.model.config),
    )
    before = generate(base.model, tokenizer, asked if with_base else [], *limits)
    adapted = peft.PeftModel.from_pretrained(base.model, folder / ADAPTER)
    after = generate(adapted, tokenizer, asked, *limits)
    del base, adapted
    gc.collect()  # another trial's model may not fit beside it
    return before, after
