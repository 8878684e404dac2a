"""Generate answers to the prompts of held-out examples."""

import logging
from collections.abc import Sequence

import torch
from peft import PeftModel
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from ugro.trial.data.texts import Prompt
from ugro.trial.inference import inference

log = logging.getLogger(__name__)


def generate(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
    max_new_tokens: int,
    batch_size: int,
    stop_ids: Sequence[int],
    positions: int | None,
) -> list[str]:
    """Generate greedily, with prompts of similar length in a batch.

    Args:
        model: causal language model of transformers, or a PeftModel around it; its training mode
            is restored
        tokenizer: the model's tokenizer
        prompts: prompts with text
        max_new_tokens: limit of each answer
        batch_size: prompts per generation
        stop_ids: tokens that end an answer, beside the tokenizer's end token
        positions: the model's maximum number of positions; None if unlimited. A longer prompt loses
            its start

    Returns:
        Generated texts without special tokens, in the order of the prompts.
    """
    room = None if positions is None else max(1, positions - max_new_tokens)
    encoded = [_encoded(prompt, tokenizer) for prompt in prompts]
    if room is not None and (long := sum(len(ids) > room for ids in encoded)):
        log.warning("%d prompts are cut to their last %d tokens", long, room)
    encoded = [ids if room is None else ids[-room:] for ids in encoded]
    settings = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=1,  # overrides the model's generation config
        use_cache=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=sorted({*stop_ids, tokenizer.eos_token_id}),
    )
    order = sorted(range(len(encoded)), key=lambda index: -len(encoded[index]))
    answers: dict[int, str] = {}
    with inference(model) as device:
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            batch, mask = _left_padded([encoded[index] for index in chosen], tokenizer.pad_token_id)
            generated = model.generate(
                input_ids=batch.to(device),
                attention_mask=mask.to(device),
                generation_config=settings,
            )
            texts = tokenizer.batch_decode(generated[:, batch.shape[1] :], skip_special_tokens=True)
            answers |= dict(zip(chosen, texts, strict=True))
    return [answers[index] for index in range(len(prompts))]


def _encoded(prompt: Prompt, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Tokenise a prompt as an inference server does; an end token would end the answer."""
    ids: list[int] = tokenizer(
        prompt.text, add_special_tokens=prompt.special_tokens, verbose=False
    ).input_ids
    if prompt.special_tokens and ids and ids[-1] == tokenizer.eos_token_id:
        ids = ids[:-1]
    return ids or [tokenizer.bos_token_id or tokenizer.eos_token_id]


def _left_padded(rows: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    """Return token ids and attention mask, int64 [rows, longest row]."""
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), pad)
    mask = torch.zeros_like(ids)
    for row, given in enumerate(rows):
        ids[row, longest - len(given) :] = torch.tensor(given)
        mask[row, longest - len(given) :] = 1
    return ids, mask
