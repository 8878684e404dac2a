"""Draw the tokens of sampled answers, each with random numbers of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)


@dataclass(frozen=True)
class Sampling:
    """How answers are sampled.

    An answer depends on its prompt and its seed: neither on the batch, beyond rounding, nor on the
    global random state, which is left as it is. A shorter answer with the same seed is the start of
    a longer one.

    Attributes:
        temperature: divisor of the logits, above 0
        top_p: probability that the kept tokens reach, the most likely first; None keeps all
        seeds: seed of each answer, numbers from 0
    """

    temperature: float
    top_p: float | None
    seeds: Sequence[Sequence[int]]

    def processors(
        self, answers: Sequence[int], prompt_tokens: int, max_new_tokens: int
    ) -> LogitsProcessorList:
        """Return processors that leave a single token to a greedy generation: the drawn one.

        Args:
            answers: indices of the answers in the batch
            prompt_tokens: length of the batch's prompts, padding included
            max_new_tokens: maximum length of an answer, in tokens
        """
        drawn = [
            np.random.default_rng(list(self.seeds[index])).random(max_new_tokens, dtype=np.float32)
            for index in answers
        ]
        kept = [] if self.top_p is None else [TopPLogitsWarper(self.top_p)]
        draw = _Draw(torch.from_numpy(np.stack(drawn)), prompt_tokens)
        return LogitsProcessorList([TemperatureLogitsWarper(self.temperature), *kept, draw])


class _Draw(LogitsProcessor):
    """Keep the token at which the cumulative probability exceeds a given number.

    transformers draws from the global random state, in the order of the batch.

    Args:
        numbers: from 0 to below 1, [answers, new tokens]
        start: length of the prompts
    """

    def __init__(self, numbers: Tensor, start: int) -> None:
        self._numbers = numbers
        self._start = start

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        at = input_ids.shape[1] - self._start
        cumulative = scores.softmax(-1).cumsum(-1)
        cumulative = cumulative / cumulative[:, -1:]  # exactly 1 at the end, so never beyond it
        numbers = self._numbers[:, at : at + 1].contiguous().to(scores.device)
        tokens = torch.searchsorted(cumulative, numbers, right=True)
        tokens = tokens.clamp(max=scores.shape[-1] - 1)  # where a diverged model gives NaN
        return torch.full_like(scores, -torch.inf).scatter(-1, tokens, 0.0)
