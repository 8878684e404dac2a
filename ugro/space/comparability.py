"""Searched keys that would have trials judged on different text, or with another tokenizer."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ugro.config import Config, Source
from ugro.errors import UserError, fault
from ugro.events.trial_report import DATA_PARTS

# Keys of the data that leave the text of the evaluation as it is; any other may change it.
OF_TRAINING = (
    "data.deduplicate",
    "data.max_train_examples",
    "data.packing",
    "data.too_long",  # where it changes what is evaluated, the fingerprints tell
)
BLOCK_SIZE = "data.block_size"
PER_TOKEN = ("eval_loss", "eval_perplexity")  # which a tokenizer changes
# A random Llama has one tokenizer, whatever its shape.
OF_THE_SAME_TOKENIZER = "model.random_llama."
# Groups on which the data's fingerprints depend: a tokenizer cuts the text.
OF_THE_DATA = ("data", "model")
TRAIN, *JUDGED = DATA_PARTS


def check_comparable(searched: Iterable[str], config: Config) -> None:
    """Refuse a search whose trials cannot be ranked.

    Args:
        searched: keys, groups among them
        config: a trial of the space

    Raises:
        UserError: a line each.
    """
    keys = [key.lstrip("+~") for key in searched]
    found = [*_of_data(keys, config), *_of_model(keys, config)]
    if found:
        raise UserError("\n".join(found))


def _of_data(keys: Iterable[str], config: Config) -> Iterator[str]:
    for key in keys:
        if key == BLOCK_SIZE:
            if config.data.source is not Source.jsonl and config.data.eval_block_size is None:
                allowed = (
                    "one value, as running text is evaluated row by row; or set data."
                    "eval_block_size, the row length of all evaluations"
                )
                yield fault(key, "a sweep", allowed)
        elif (key == "data" or key.startswith("data.")) and key not in OF_TRAINING:
            allowed = "one value, as trials on different text cannot be ranked; a study each"
            yield fault(key, "a sweep", allowed)


def _of_model(keys: Iterable[str], config: Config) -> Iterator[str]:
    per_token = [name for name in PER_TOKEN if name in config.objectives.metrics]
    for key in keys:
        of_model = key == "model" or key.startswith("model.")
        if per_token and of_model and not key.startswith(OF_THE_SAME_TOKENIZER):
            allowed = (
                f"one value, as {per_token[0]} counts tokens and each tokenizer cuts text "
                "otherwise; objectives=bits_per_byte compares models"
            )
            yield fault(key, "a sweep", allowed)


def data_by_search(
    parameters: Mapping[str, Any], told: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the fingerprints of a trial's data, by what trials that have the same ones search.

    What is trained on may depend on the keys of data and model that a trial searches. What a trial
    is judged on is the same whatever it searches, else values do not compare.

    Args:
        parameters: that the trial searches
        told: by its worker, more than fingerprints perhaps
    """
    own = {
        key: value
        for key, value in sorted(parameters.items())
        if key.lstrip("+").partition(".")[0] in OF_THE_DATA
    }
    for of, names in ((own, [TRAIN]), ({}, JUDGED)):
        parts = {name: told[name] for name in names if told.get(name)}
        if parts:
            yield json.dumps(of, default=str), parts
