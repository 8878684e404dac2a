"""The reference describes every key of the schema."""

import pytest

from ugro.config import SCHEDULERS, Config
from ugro.config.keys import keys_of
from ugro.config.reference import Key, default, descriptions, keys, uses

from ..conftest import ROOT

KEYS = {key.name: key for key in keys()}


@pytest.mark.parametrize("key", KEYS.values(), ids=lambda key: key.name)
def test_every_key_has_a_description_a_default_and_a_use(key: Key) -> None:
    assert key.description.endswith(".")
    assert default(key, ROOT / "conf")
    assert uses(key, ROOT / "ugro") or key.name == "study.measure_test"  # train.py reads it


def test_the_reference_has_every_key_of_the_schema() -> None:
    schema = set(keys_of(Config, SCHEDULERS.values(), "scheduler"))
    sections = {one for one in schema if any(name.startswith(f"{one}.") for name in KEYS)}
    assert schema <= {*KEYS, *sections}


def test_a_unit_is_the_bracket_at_the_end_of_a_description() -> None:
    key = KEYS["study.heartbeat_seconds"]
    assert (key.unit, key.type) == ("seconds", "float or null")
    assert key.description.endswith("null: never.")


def test_inherited_keys_keep_their_description() -> None:
    assert "time_attr" in descriptions(SCHEDULERS["asha"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("seed", "`42`"),
        ("lora.r", "`16`"),
        (
            "data.block_size",
            "`128` (pydocs), `512` "
            "(arrow, csv, hub, json, jsonl, mixture, parquet, text, wikitext2)",
        ),
        ("data.join_rows", "`true` (wikitext2), else `false`"),
        ("data.test_fraction", "`0.1`"),
        ("study.artifacts", "null"),
        ("objectives.metrics.NAME.direction", "required"),
        ("model.path", "set by the option"),
        ("adapter", "`lora`"),
        ("vera.r", "`256`"),
        ("ia3.feedforward_modules", "null"),
    ],
)
def test_defaults_come_from_conf_then_from_the_schema(name: str, text: str) -> None:
    assert default(KEYS[name], ROOT / "conf") == text


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("study.baseline", "ugro/sweep/initial_trials.py"),
        ("latency.repeats", "ugro/trial/latency.py"),
        ("training.warmup_ratio", "ugro/trial/training_arguments.py"),
    ],
)
def test_a_use_is_the_module_that_reads_the_key(name: str, module: str) -> None:
    assert uses(KEYS[name], ROOT / "ugro") == [module]
