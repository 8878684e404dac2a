"""Answers of a base model and of a trial's adapter on it to the same prompts, or its labels."""

import gc
from collections.abc import Sequence
from pathlib import Path

import peft
import torch

from ugro.config import Config
from ugro.formatting import share
from ugro.paths import ADAPTER
from ugro.trial import hardware
from ugro.trial.data.preparation import with_chat_template
from ugro.trial.generation.generate import as_asked, end_ids, generate
from ugro.trial.model import base_models
from ugro.trial.model.limits import positions
from ugro.trial.tasks.classification import probabilities

UNTRAINED = "no label: its classifier is untrained"


def answers_of_trial(
    config: Config,
    folder: Path,
    conversations: bool,
    labels: tuple[str, ...],
    prompts: Sequence[str],
    max_new_tokens: int,
    with_base: bool,
) -> tuple[list[str], list[str]]:
    """Generate greedily, in the precision of the trial; name the labels of a classifier.

    Args:
        config: configuration of the trial
        folder: folder of the trial, with ``adapter/``
        conversations: whether the trial was trained on conversations
        labels: labels of a classifier, in the order of its outputs; none of a language model
        prompts: texts of the user
        max_new_tokens: maximum length of an answer, in tokens
        with_base: whether the base model answers, too

    Returns:
        The base model's answers, empty without ``with_base``, and those of the trial.
    """
    cache_dir = Path(config.cache_dir).expanduser()
    dtype = hardware.precision(config.training.dtype)
    base = base_models.load(
        config.model, dtype, cache_dir, labels=labels, quantization=config.quantization
    )
    if labels:
        found = _labels(config, folder, base, prompts, with_base)
    else:
        asked = (prompts, conversations, max_new_tokens)
        found = _generated(config, folder, base, *asked, with_base)
    del base
    gc.collect()  # another trial's model may not fit beside it
    return found


def _generated(
    config: Config,
    folder: Path,
    base: base_models.BaseModel,
    prompts: Sequence[str],
    conversations: bool,
    max_new_tokens: int,
    with_base: bool,
) -> tuple[list[str], list[str]]:
    """Return the answers of the base model and of the trial."""
    tokenizer = with_chat_template(base.tokenizer, config.data.chat_template)
    ends = end_ids(tokenizer, base.stop_ids)
    asked = [as_asked(tokenizer, prompt, conversations) for prompt in prompts]
    limits = (
        ends,
        max_new_tokens,
        config.training.eval_batch_size,
        positions(base.model.config),
    )
    before = generate(base.model, tokenizer, asked if with_base else [], *limits)
    adapted = peft.PeftModel.from_pretrained(base.model, folder / ADAPTER)
    return before, generate(adapted, tokenizer, asked, *limits)


def _labels(
    config: Config,
    folder: Path,
    base: base_models.BaseModel,
    texts: Sequence[str],
    with_base: bool,
) -> tuple[list[str], list[str]]:
    """Return the most likely label of each text with its probability, which the base has not."""
    model = peft.PeftModel.from_pretrained(base.model, folder / ADAPTER)
    found = []
    for text in texts:
        ids = base.tokenizer(text, verbose=False)["input_ids"][: config.data.block_size]
        likely = probabilities(model, torch.tensor(ids)).max(dim=-1)
        found.append(f"{base.labels[int(likely.indices)]} ({share(float(likely.values))})")
    return [UNTRAINED] * len(texts) if with_base else [], found
