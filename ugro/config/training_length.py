"""Lengths of rows, and bounds of what a trial trains on, from its configuration alone."""

from omegaconf import DictConfig

from ugro.config import Config, DataConfig, TaskName


def row_length(data: DataConfig, of_training: bool) -> int:
    """Return the length of a training row, or of an evaluated one."""
    return data.block_size if of_training else data.eval_block_size or data.block_size


def longest_row(data: DataConfig) -> int:
    """Return the length of the longest rows."""
    return max(row_length(data, of_training) for of_training in (True, False))


def row_tokens(config: Config | DictConfig) -> int:
    """Count the tokens that a row holds at most: a pair of a preference has two texts."""
    size: int = config.data.block_size
    return 2 * size if config.task.name is TaskName.dpo else size


def tokens_per_step(config: Config | DictConfig) -> int:
    """Count the tokens that one optimizer step trains on at most: rows may hold padding."""
    training = config.training
    tokens: int = training.batch_size * training.gradient_accumulation_steps
    return tokens * row_tokens(config)


def max_steps(config: Config | DictConfig) -> int | None:
    """Optimizer steps by ``max_steps``, else by ``max_tokens``; None: ``epochs`` decides."""
    training = config.training
    if training.max_steps is not None or training.max_tokens is None:
        steps: int | None = training.max_steps
        return steps
    return max(1, training.max_tokens // tokens_per_step(config))


def max_tokens(config: Config | DictConfig) -> int | None:
    """Tokens that a trial trains on at most, stoppers included; None: ``epochs`` decides."""
    steps = max_steps(config)
    known = [None if steps is None else steps * tokens_per_step(config), config.stoppers.max_tokens]
    return min((tokens for tokens in known if tokens is not None), default=None)
