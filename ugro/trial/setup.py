"""Set up a process for a trial: threads, base model, and data checked against the model."""

from pathlib import Path

from transformers import logging as transformers_logging

from ugro.config import Config
from ugro.trial import hardware
from ugro.trial.data.layout import Part
from ugro.trial.data.preparation import Data, prepare
from ugro.trial.metrics import Metrics
from ugro.trial.models import BaseModel, base_model, check_fits, check_vocabulary, positions


def set_up(config: Config) -> tuple[BaseModel, Data]:
    """Load the base model, or reuse the cached model, and prepare its data.

    Raises:
        UserError: the model does not exist, or the data are unreadable or do not fit the model.
    """
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    hardware.use_allotted_threads()
    dtype = hardware.precision(config.training.dtype)
    cache_dir = Path(config.cache_dir).expanduser()
    base = base_model(config.model, dtype, cache_dir)
    check_fits(base.model.config, max(config.data.block_size, config.data.eval_block_size or 0))
    data = prepare(config.data, base.tokenizer, cache_dir, base.stop_ids)
    check_vocabulary(base.model, data.largest_token, base.tokenizer)
    return base, data


def metrics_of(config: Config, base: BaseModel, part: Part) -> Metrics:
    """Create the configured metrics for a held-out part.

    Raises:
        UserError: a metric needs prompts, and the data are running text.
    """
    return Metrics(config, part, base.tokenizer, base.stop_ids, positions(base.model.config))
