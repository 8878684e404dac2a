"""Checks that all trials of a study are evaluated on the same data with the same tokenizer."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from ugro.config import RUNNING_TEXT, Config, TaskName
from ugro.config.eval_sets import eval_sets, value_of
from ugro.config.mixture import members
from ugro.errors import UserError, fault
from ugro.events.trial_report import DATA_PARTS

# Data keys that affect training only; any other may change the evaluated text.
TRAINING_ONLY = (
    "data.deduplicate",
    "data.max_train_examples",
    "data.packing",
    "data.too_long",  # fingerprints reveal if it changes the evaluated text
)
BLOCK_SIZE = "data.block_size"
OF_BETA = ("eval_loss", "eval_reward_margin")  # metrics that depend on task.beta
# Metrics that do not compare base models, by task, and why
OF_MODEL = {TaskName.language_modeling: ("eval_loss", "eval_perplexity"), TaskName.dpo: OF_BETA}
WHY_ONE_MODEL = {
    TaskName.language_modeling: (
        "counts tokens and each tokenizer splits text differently; objectives=bits_per_byte "
        "compares models"
    ),
    TaskName.dpo: ("is relative to each base model; objectives=reward_accuracy compares models"),
}
# Random Llamas of any shape share a tokenizer.
SAME_TOKENIZER = ("model.random_llama.", "model.attn_implementation")
LIGER = "model.liger_kernel"
# Groups that determine the fingerprints of the data; the model's tokenizer splits the text.
DATA_GROUPS = ("data", "model")
STREAM_LENGTH = "training.max_tokens"  # a stream is read so far
TRAIN, *EVALUATED = DATA_PARTS


def check_comparable(searched: Iterable[str], config: Config) -> None:
    """Refuse a search space whose trials cannot be ranked.

    Args:
        searched: searched keys and groups
        config: a trial of the space

    Raises:
        UserError: all faults found, one per line.
    """
    keys = [key.lstrip("+~") for key in searched]
    found = [
        *_data_faults(keys, config),
        *_model_faults(keys, config),
        *_task_faults(keys, config),
    ]
    if found:
        raise UserError("\n".join(found))


def _data_faults(keys: Iterable[str], config: Config) -> Iterator[str]:
    for key in keys:
        if key == BLOCK_SIZE:
            sets = [*members(config.data), *eval_sets(config.data).values()]
            running = any(one.data.source in RUNNING_TEXT or one.data.join_rows for one in sets)
            if running and config.data.eval_block_size is None:
                allowed = (
                    "one value, as running text is evaluated row by row; or set data."
                    "eval_block_size, the row length of all evaluations"
                )
                yield fault(key, "a sweep", allowed)
        elif (key == "data" or key.startswith("data.")) and key not in TRAINING_ONLY:
            allowed = (
                "one value, as trials on different text cannot be ranked; use a study for each"
            )
            yield fault(key, "a sweep", allowed)


def _model_faults(keys: Iterable[str], config: Config) -> Iterator[str]:
    of_model = _objectives(config, OF_MODEL.get(config.task.name, ()))
    for key in keys:
        if key == LIGER:
            allowed = "one value, as the kernels remain in a process that runs several trials"
            yield fault(key, "a sweep", allowed)
            continue
        groups = ("model", "quantization") if config.task.name is TaskName.dpo else ("model",)
        searched = key in groups or key.startswith(tuple(f"{group}." for group in groups))
        if of_model and searched and not key.startswith(SAME_TOKENIZER):
            allowed = f"one value, as {of_model[0]} {WHY_ONE_MODEL[config.task.name]}"
            yield fault(key, "a sweep", allowed)


def _objectives(config: Config, metrics: Collection[str]) -> list[str]:
    """Return the objectives that are one of the metrics, on the evaluation part or on a set."""
    of_sets = [value_of(name, metric) for name in config.data.eval_sets for metric in metrics]
    return [name for name in config.objectives.metrics if name in (*metrics, *of_sets)]


def _task_faults(keys: Iterable[str], config: Config) -> Iterator[str]:
    of_beta = _objectives(config, OF_BETA)
    for key in keys:
        if key in ("task", "task.name", "task.labels"):
            yield fault(key, "a sweep", "one value; use a study for each")
        elif key == "task.beta" and of_beta:
            allowed = (
                f"one value, as {of_beta[0]} depends on it; objectives=reward_accuracy compares "
                "trials"
            )
            yield fault(key, "a sweep", allowed)


def data_by_search(
    parameters: Mapping[str, Any], provenance: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield a trial's data fingerprints, each group with the parameters that determine it.

    The training data may depend on searched keys of data and model. The evaluation data must not
    depend on any searched key; otherwise trials cannot be compared.

    Args:
        parameters: parameters of the trial
        provenance: provenance from its worker, fingerprints included

    Yields:
        The determining parameters as JSON, and fingerprints by part of the data.
    """
    own = {
        key: value
        for key, value in sorted(parameters.items())
        if key.lstrip("+").partition(".")[0] in DATA_GROUPS or key == STREAM_LENGTH
    }
    for searched, names in ((own, [TRAIN]), ({}, EVALUATED)):
        parts = {name: provenance[name] for name in names if provenance.get(name)}
        if parts:
            yield json.dumps(searched, default=str), parts
