"""Measure the generation latency of a model with its adapter."""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from transformers import GenerationConfig

from ugro.config import Config, LatencyConfig, Parallel
from ugro.errors import UserError, fault
from ugro.objectives.constraints import names
from ugro.trial.data.layout import Part
from ugro.trial.data.rows import Rows
from ugro.trial.inference import inference
from ugro.trial.model.quantization import is_quantised


def measures_latency(config: Config) -> bool:
    """Return whether an objective or a constraint of the trial uses its latency.

    Raises:
        UserError: the model is sharded: adapters are merged into whole weights.
    """
    if "latency_ms" not in {*config.objectives.metrics, *names(config.constraints)}:
        return False
    if config.training.parallel is Parallel.fsdp:
        raise UserError(fault("training.parallel", "fsdp", "ddp or none with latency_ms"))
    return True


def latency_ms(model: PeftModel, part: Part, config: LatencyConfig) -> float:
    """Return the median wall time of a greedy generation, in milliseconds.

    The adapter is merged, unless the base model is quantised: a merge would de-quantise it, so the
    two are served side by side.

    Args:
        model: model with its adapter; restored bit by bit
        part: data whose first tokens are the prompts
        config: prompt length, generated tokens, batch size, repeats
    """
    prompts = _prompts(part, config).to(next(model.parameters()).device)
    generation = GenerationConfig(
        max_new_tokens=config.new_tokens,
        min_new_tokens=config.new_tokens,  # an early end token would shorten the generation
        do_sample=False,
        num_beams=1,  # overrides the model's generation config
        use_cache=True,
        pad_token_id=0,
    )
    quantised = is_quantised(model.get_base_model())
    with nullcontext() if quantised else merged(model), inference(model):
        seconds = [
            _seconds(model, prompts, generation) for _ in range(config.warmup + config.repeats)
        ]
    return 1000 * statistics.median(seconds[config.warmup :])


def _prompts(part: Part, config: LatencyConfig) -> Tensor:
    """Return token ids, [batch_size, prompt_tokens], repeating the rows if there are too few."""
    wanted = config.batch_size * config.prompt_tokens
    rows, found, index = Rows(part), list[Tensor](), 0
    while index < len(rows) and sum(map(len, found)) < wanted:
        found.append(torch.from_numpy(rows[index].input_ids))
        index += 1
    flat = torch.cat(found)
    repeated = flat.repeat(-(-wanted // len(flat)))
    return repeated[:wanted].view(config.batch_size, config.prompt_tokens)


def _seconds(model: PeftModel, prompts: Tensor, generation: GenerationConfig) -> float:
    _synchronize(prompts.device)
    began = time.perf_counter()
    model.generate(
        input_ids=prompts, attention_mask=torch.ones_like(prompts), generation_config=generation
    )
    _synchronize(prompts.device)
    return time.perf_counter() - began


def _synchronize(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


@contextmanager
def merged(model: PeftModel) -> Iterator[None]:
    """Merge the adapter inside the block; restore the base weights bit by bit.

    PEFT's ``unmerge_adapter`` subtracts with rounding: the next trial on the same base model would
    start from other weights. Copies are kept in host memory.
    """
    layers = [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
    bases: list[nn.Module] = [layer.get_base_layer() for layer in layers]
    kept = [
        {name: weight.detach().to("cpu", copy=True) for name, weight in base.named_parameters()}
        for base in bases
    ]
    model.merge_adapter()
    try:
        yield
    finally:
        model.unmerge_adapter()
        with torch.no_grad():
            for base, values in zip(bases, kept, strict=True):
                for name, weight in base.named_parameters():
                    weight.copy_(values[name])
