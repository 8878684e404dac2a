"""Set up a process for a trial: threads, base model, and data checked against the model."""

from pathlib import Path

from transformers import logging as transformers_logging

from ugro.config import Config, Parallel, TaskName
from ugro.config.metrics import of_tasks
from ugro.config.training_length import longest_row
from ugro.trial import hardware
from ugro.trial.data.layout import Part
from ugro.trial.data.preparation import Data, prepare, with_chat_template
from ugro.trial.generation.generate import end_ids
from ugro.trial.metrics.lm_eval_tasks import LmEvalTasks
from ugro.trial.metrics.metrics import Metrics
from ugro.trial.model.base_models import (
    BaseModel,
    base_model,
    base_tokenizer,
)
from ugro.trial.model.limits import check_fits, check_vocabulary, positions


def silence_transformers() -> None:
    """Silence transformers' advice and progress bars."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


def set_up(config: Config) -> tuple[BaseModel, Data]:
    """Load the base model, or reuse the cached model, and prepare its data.

    Raises:
        UserError: the model does not exist, or the data are unreadable or do not fit the model.
    """
    silence_transformers()
    hardware.use_allotted_threads()
    dtype = hardware.precision(config.training.dtype)
    cache_dir = Path(config.cache_dir).expanduser()
    most = config.training.max_tokens
    longest = longest_row(config.data)
    sharded = config.training.parallel is Parallel.fsdp
    if config.task.name is TaskName.classification:  # the model's outputs depend on the data
        tokenizer = base_tokenizer(config.model, cache_dir)
        data = prepare(config.data, tokenizer, cache_dir, (), config.task, most)
        base = base_model(config.model, dtype, cache_dir, data.labels, config.quantization, sharded)
        check_fits(base.model.config, longest)
    else:
        base = base_model(config.model, dtype, cache_dir, (), config.quantization, sharded)
        check_fits(base.model.config, longest)
        data = prepare(config.data, base.tokenizer, cache_dir, base.stop_ids, config.task, most)
    check_vocabulary(base.model, data.largest_token, base.tokenizer)
    return base, data


def metrics_of(config: Config, base: BaseModel, part: Part) -> Metrics:
    """Create the configured metrics for a held-out part.

    Args:
        config: configuration of the trial
        base: the base model
        part: data to evaluate on, which tasks of lm-evaluation-harness ignore

    Raises:
        UserError: a metric needs prompts, and the data are running text; or a task is unknown.
    """
    tokenizer = with_chat_template(base.tokenizer, config.data.chat_template)
    ends = end_ids(tokenizer, base.stop_ids)
    tasks = of_tasks(config.metrics)
    evaluated = LmEvalTasks(tasks, tokenizer, config.training.eval_batch_size) if tasks else None
    return Metrics(config, part, tokenizer, ends, positions(base.model.config), evaluated)
