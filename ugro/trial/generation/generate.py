"""Answers of a model to prompts, and the tokens that end an answer."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from peft import PeftModel
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from ugro.errors import UserError
from ugro.formatting import counted
from ugro.trial.data.chat_template import ChatTemplate
from ugro.trial.generation.sampling import Sampling
from ugro.trial.inference import inference

log = logging.getLogger(__name__)

ASKED = [{"role": "user", "content": "."}, {"role": "assistant", "content": "."}]


def as_asked(tokenizer: PreTrainedTokenizerBase, prompt: str, conversations: bool) -> list[int]:
    """Return the model's input for a prompt, as trained.

    Args:
        tokenizer: tokenizer with the chat template that the model was trained with
        prompt: text of the user
        conversations: whether the model was trained on conversations
    """
    if not conversations:
        return encoded(tokenizer, prompt, special_tokens=True)
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=False
    )
    return encoded(tokenizer, str(text), special_tokens=False)


def encoded(tokenizer: PreTrainedTokenizerBase, text: str, special_tokens: bool) -> list[int]:
    """Tokenise a prompt as an inference server does; an end token would end the answer.

    Args:
        tokenizer: tokenizer of the model
        text: text of the prompt
        special_tokens: whether the tokenizer adds its start token
    """
    ids = list(tokenizer(text, add_special_tokens=special_tokens, verbose=False)["input_ids"])
    if special_tokens and len(ids) > 1 and ids[-1] == tokenizer.eos_token_id:
        ids = ids[:-1]
    return ids or [tokenizer.bos_token_id or tokenizer.eos_token_id]


def end_ids(tokenizer: PreTrainedTokenizerBase, stop_ids: Sequence[int]) -> list[int]:
    """Return the tokens that end an answer, sorted.

    These are the tokenizer's end token, those of the base model's generation config, and the token
    with which the chat template ends a turn: a base model given a chat template lacks the last.

    Args:
        tokenizer: tokenizer with the chat template that the model was trained with
        stop_ids: tokens of the base model's generation config
    """
    found = {tokenizer.eos_token_id, *stop_ids}
    if tokenizer.chat_template:
        try:
            turn = ChatTemplate(tokenizer, "", None, tuple(stop_ids)).answer(ASKED, 1)
        except UserError:  # the template refuses these two messages
            return sorted(found)
        ended = tokenizer(turn.text[: turn.stop], add_special_tokens=False)["input_ids"]
        found |= {*ended[-1:]} if turn.stop else set()
    return sorted(found)


def generate(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    ends: Sequence[int],
    max_new_tokens: int,
    batch_size: int,
    positions: int | None,
    sampling: Sampling | None = None,
) -> list[str]:
    """Generate an answer to each prompt, with prompts of similar length in a batch.

    Args:
        model: model with or without adapter; its training mode is restored
        tokenizer: tokenizer of the model
        prompts: token ids of each prompt, from :func:`as_asked` or :func:`encoded`
        ends: tokens that end an answer
        max_new_tokens: maximum length of an answer, in tokens
        batch_size: prompts per generation
        positions: the model's maximum number of positions; None if unlimited. A longer prompt loses
            its start
        sampling: how the answers are drawn; None: greedily

    Returns:
        Generated texts without special tokens, in the order of the prompts.
    """
    if positions is not None:
        room = max(1, positions - max_new_tokens)
        if cut := sum(len(ids) > room for ids in prompts):
            log.warning("%s cut to the last %d tokens", counted(cut, "prompt"), room)
        prompts = [ids[-room:] for ids in prompts]
    settings = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,  # what is sampled is drawn by a logits processor
        num_beams=1,
        use_cache=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=list(ends),
    )
    order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
    answers: dict[int, str] = {}
    with inference(model) as device, _without_defaults(model):
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            batch, mask = _left_padded([prompts[index] for index in chosen], tokenizer.pad_token_id)
            processors = sampling and sampling.processors(chosen, batch.shape[1], max_new_tokens)
            generated = model.generate(
                input_ids=batch.to(device),
                attention_mask=mask.to(device),
                generation_config=settings,
                logits_processor=processors,
            )
            texts = tokenizer.batch_decode(generated[:, batch.shape[1] :], skip_special_tokens=True)
            answers |= dict(zip(chosen, texts, strict=True))
    return [answers[index] for index in range(len(prompts))]


@contextmanager
def _without_defaults(model: PreTrainedModel | PeftModel) -> Iterator[None]:
    """Hide the model's own generation config, whose penalties would complete ours."""
    holder = model.get_base_model() if isinstance(model, PeftModel) else model
    own = holder.generation_config
    holder.generation_config = GenerationConfig()
    try:
        yield
    finally:
        holder.generation_config = own


def _left_padded(rows: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Return token ids and attention mask, int64 [rows, longest row]."""
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), pad)
    mask = torch.zeros_like(ids)
    for row, given in enumerate(rows):
        ids[row, longest - len(given) :] = torch.tensor(given)
        mask[row, longest - len(given) :] = 1
    return ids, mask
