"""Validate a configuration: collect all impossible values before anything starts."""

import math
import re
import string
from collections.abc import Iterator

from ugro.artifact_store import faults as artifacts_faults
from ugro.config import (
    DATA_SETS,
    RUNNING_TEXT,
    Config,
    DataConfig,
    LatencyConfig,
    LoraConfig,
    Source,
    StoppersConfig,
    StudyConfig,
    TrainingConfig,
)
from ugro.config.eval_sets import eval_set_faults, eval_sets, set_values
from ugro.config.metric_validation import metric_faults
from ugro.config.metrics import value_names
from ugro.config.mixture import in_set, members, of_mixture
from ugro.config.objective_validation import objective_faults
from ugro.config.task import foreign_metrics
from ugro.config.task_validation import task_faults
from ugro.errors import UserError, fault
from ugro.events.trial_report import MEASURED, REPORTED
from ugro.paths import CONFIRM

# It becomes a folder, a part of URIs and of commands that are pasted.
STUDY_NAME = re.compile(r"\w[\w.+=@-]{0,99}")
INITIALISATIONS = ("gaussian", "orthogonal", "olora", "pissa")


def validate(config: Config) -> None:
    """Raise one error that tells every fault, a line each; change nothing.

    Raises:
        UserError: at least one value is impossible.
    """
    foreign = foreign_metrics(config.task.name)
    task, of_metrics = config.task.name, value_names(config.metrics)
    own = {**set_values(config.data.eval_sets, task), **of_metrics}
    faults = [
        *task_faults(config.task, config.data, config.metrics),
        *_lora(config.lora, config.model.linear_modules),
        *_training(config.training),
        *_data(config),
        *eval_set_faults(config.data, task, of_metrics),
        *_model(config),
        *_study(config.study),
        *artifacts_faults(config.study.artifacts),
        *_scheduler(config.scheduler),
        *_stoppers(config.stoppers),
        *metric_faults(config.metrics, config.data.eval_sets),
        *objective_faults(
            config.objectives,
            [name for name in (*MEASURED, *own) if name not in foreign],
            [name for name in (*REPORTED, *own) if name not in foreign],
        ),
        *_latency(config.latency),
    ]
    if faults:
        raise UserError("\n".join(faults))


def _at_least(key: str, value: float | None, least: float) -> Iterator[str]:
    if value is not None and not value >= least:
        yield fault(key, value, f"{least} or more")


def _above_zero(key: str, value: float | None) -> Iterator[str]:
    if value is not None and not 0 < value < math.inf:
        yield fault(key, value, "above 0")


def _share(key: str, value: float) -> Iterator[str]:
    if not 0 <= value < 1:
        yield fault(key, value, "0 or more, below 1")


def _lora(lora: LoraConfig, linear_modules: list[str] | None) -> Iterator[str]:
    yield from _at_least("lora.r", lora.r, 1)
    if lora.r >= 1:  # else alpha, a multiple of r, is wrong for r's reason
        yield from _above_zero("lora.alpha", lora.alpha)
    yield from _share("lora.dropout", lora.dropout)
    yield from _target_modules(lora.target_modules, linear_modules)
    yield from _initialisation(lora.init_lora_weights)


def _target_modules(given: object, linear_modules: list[str] | None) -> Iterator[str]:
    key = "lora.target_modules"
    known = ", ".join(linear_modules or ["module names"])
    if isinstance(given, str):
        if given != "all-linear":
            yield fault(key, given, f"all-linear, or a list of {known}")
    elif not isinstance(given, list) or not given:
        yield fault(key, given, f"all-linear, or a list of {known}")
    elif linear_modules is not None:
        # A dotted name picks single layers (layers.0.self_attn.q_proj); its last part is the kind.
        unknown = [str(n) for n in given if str(n).rpartition(".")[-1] not in linear_modules]
        if unknown:
            yield fault(key, ",".join(unknown), f"all-linear, or a list of {known}")


def _initialisation(given: object) -> Iterator[str]:
    name = str(given)
    numbered = name.startswith("pissa_niter_") and name.removeprefix("pissa_niter_").isdigit()
    if not isinstance(given, bool) and name not in INITIALISATIONS and not numbered:
        yield fault(
            "lora.init_lora_weights",
            given,
            f"true, false, {', '.join(INITIALISATIONS)}, pissa_niter_N",
        )


def _training(training: TrainingConfig) -> Iterator[str]:
    for name in (
        "batch_size",
        "gradient_accumulation_steps",
        "eval_batch_size",
        "max_steps",
        "max_tokens",
        "early_stopping_patience",
    ):
        yield from _at_least(f"training.{name}", getattr(training, name), 1)
    for name in ("learning_rate", "max_grad_norm", "epochs", "eval_steps"):
        yield from _above_zero(f"training.{name}", getattr(training, name))
    yield from _share("training.warmup_ratio", training.warmup_ratio)
    yield from _at_least("training.weight_decay", training.weight_decay, 0)
    if training.max_steps is training.max_tokens is training.epochs is None:
        yield fault("training.epochs", None, "a number, or set max_steps or max_tokens")
    if training.eval_steps > 1 and training.eval_steps % 1:
        yield fault("training.eval_steps", training.eval_steps, "a whole number, or below 1")
    if training.max_steps is not None and training.eval_steps > training.max_steps:
        allowed = f"training.max_steps={training.max_steps} at most"
        yield fault("training.eval_steps", training.eval_steps, allowed)


def _data(config: Config) -> Iterator[str]:
    data = config.data
    yield from _at_least("data.block_size", data.block_size, 2)
    yield from _at_least("data.eval_block_size", data.eval_block_size, 2)
    for part in ("train", "eval", "test"):
        key = f"max_{part}_examples"
        yield from _at_least(f"data.{key}", getattr(data, key), 1)
    for part in ("train", "eval"):
        if (given := getattr(data, f"max_{part}_blocks")) is not None:
            yield fault(f"data.max_{part}_blocks", given, f"its new name, data.max_{part}_examples")
    if not 0 < data.eval_fraction < 1:
        yield fault("data.eval_fraction", data.eval_fraction, "above 0, below 1")
    yield from _share("data.test_fraction", data.test_fraction)
    if max(data.eval_fraction, data.test_fraction) < 1 <= data.eval_fraction + data.test_fraction:
        given = data.eval_fraction + data.test_fraction
        yield fault("data.eval_fraction + data.test_fraction", given, "below 1")
    if data.streaming:
        yield from _streaming(config)
    yield from _sets(data)


def _streaming(config: Config) -> Iterator[str]:
    """A stream has no end that could be known, and is read once."""
    data, training = config.data, config.training
    if data.source in (*RUNNING_TEXT, Source.mixture, Source.json) or data.join_rows:
        allowed = (
            "false, or a source that is read record by record: jsonl, csv, parquet, hub, arrow"
        )
        yield fault("data.streaming", True, allowed)
    for part in ("eval", "test"):
        own = getattr(data, f"{part}_files") or getattr(data, f"{part}_split")
        if not own and (part == "eval" or data.test_fraction):
            other = " or data.test_fraction=0" if part == "test" else ""
            where = f"data.{part}_split" if data.source in DATA_SETS else f"data.{part}_files"
            yield f"data.streaming: needs {where}{other}, as a stream is not split"
    if data.deduplicate:
        yield fault("data.deduplicate", True, "false, with data.streaming")
    if training.max_tokens is None or training.max_steps is not None:
        given = {"max_tokens": training.max_tokens, "max_steps": training.max_steps}
        yield fault("training", given, "max_tokens alone, with data.streaming: it is read so far")


def _sets(data: DataConfig) -> Iterator[str]:
    """Check each set of a mixture, or the only one."""
    if data.sets and data.source is not Source.mixture:
        yield fault("data.sets", data.sets, "none, or data=mixture")
    if data.source is Source.mixture and not data.sets:
        yield fault("data.sets", data.sets, "[{source: jsonl, train_files: [a.jsonl]}, ...]")
    for key in of_mixture(data):
        yield f"{key}: belongs to each set in data.sets where data=mixture"
    try:
        found = members(data)
    except UserError as error:
        yield from str(error).splitlines()
        return
    for member in found:
        for line in (*_source(member.data), *_columns(member.data)):
            yield in_set(line, member.key) if data.source is Source.mixture else line
    try:
        held_out = eval_sets(data).values()
    except UserError:  # reported by eval_set_faults
        return
    for member in held_out:
        yield from (in_set(line, member.key) for line in _columns(member.data))


def _source(data: DataConfig) -> Iterator[str]:
    """Each source has either files, or a path with splits."""
    if data.source is Source.pydocs:
        return
    of_files = [f"{part}_files" for part in ("train", "eval", "test")]
    if data.source in DATA_SETS:
        if not data.path:
            yield fault("data.path", data.path, "a hub id or a folder")
        others = of_files if data.source is Source.hub else [*of_files, "subset"]
        allowed = "none, as the data set has splits: data.eval_split"
    else:
        if not data.train_files:
            yield fault("data.train_files", data.train_files, "a list of paths or globs")
        others = ["path", "subset", "eval_split", "test_split"]
        allowed = "null, as the data are files: data.eval_files"
    for key in others:
        if given := getattr(data, key):
            yield fault(f"data.{key}", given, allowed)


def _columns(data: DataConfig) -> Iterator[str]:
    columns = {name: one for name, one in vars(data.columns).items() if one is not None}
    given: dict[str, object] = {f"data.columns.{name}": one for name, one in columns.items()}
    given |= {"data.group_by": data.group_by, "data.join_rows": data.join_rows}
    given["data.filter"] = data.filter
    templates = {"data.prompt": data.prompt, "data.completion": data.completion}
    if data.source in RUNNING_TEXT:
        for key, value in {**given, **templates}.items():
            if value:
                yield fault(key, value, f"none: data={data.source.name} has no columns")
    for key, template in templates.items():
        if template is not None and (reason := template_fault(template)):
            yield f"{fault(key, template, 'text with columns in braces, {question}')} ({reason})"
        if template is not None and (column := columns.get(key.removeprefix("data."))):
            yield fault(key, template, f"null, or data.columns instead, which names {column}")
    kinds = {"prompt": "pair", "completion": "pair", "text": "text", "messages": "messages"}
    named = [*columns, *(key.removeprefix("data.") for key, one in templates.items() if one)]
    if len({kinds[name] for name in named if name in kinds}) > 1:
        allowed = "those of one format: text; prompt and completion; or messages"
        yield fault("data.columns", ", ".join(named), allowed)


def template_fault(template: str) -> str | None:
    """Return why a text is no template of named columns; None if it is one."""
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        return str(error)
    nameless = any(not name or name[0].isdigit() for name in names)
    return "braces without the name of a column" if nameless else None


def _model(config: Config) -> Iterator[str]:
    model = config.model
    if not model.path and not model.random_llama and not model.package:
        yield fault("model.path", model.path, "a hub id or a folder")
    if model.package and not model.gguf_file:
        yield fault("model.gguf_file", model.gguf_file, "the file's name inside the package")
    for key in ("block_size", "eval_block_size"):
        given, shape = getattr(config.data, key), model.random_llama
        if shape and given is not None and given > shape.max_position_embeddings:
            yield fault(f"data.{key}", given, f"{shape.max_position_embeddings} at most")


def _study(study: StudyConfig) -> Iterator[str]:
    if not STUDY_NAME.fullmatch(study.name.removesuffix(f"/{CONFIRM}")):
        allowed = "100 letters, digits and . _ - + = @ at most, the first a letter or a digit"
        yield fault("study.name", study.name, allowed)
    yield from _at_least("study.warm_start_trials", study.warm_start_trials, 1)
    yield from _above_zero("study.max_seconds", study.max_seconds)
    yield from _at_least("study.max_tokens", study.max_tokens, 1)
    yield from _at_least("study.max_retries", study.max_retries, 0)
    yield from _at_least("study.heartbeat_seconds", study.heartbeat_seconds, 1)
    yield from _at_least("study.fail_fast", study.fail_fast, 1)
    yield from _at_least("study.confirm", study.confirm, 0)
    yield from _at_least("study.confirm_seeds", study.confirm_seeds, 2)  # one has no spread


def _scheduler(scheduler: object) -> Iterator[str]:
    """Each trial scheduler has some of these keys."""
    given = vars(scheduler)
    grace, longest = given.get("grace_period"), given.get("max_t")
    yield from _above_zero("scheduler.grace_period", grace)
    yield from _above_zero("scheduler.max_t", longest)
    if longest is not None and grace > longest:
        yield fault("scheduler.grace_period", grace, f"scheduler.max_t={longest:g} at most")
    factor = given.get("reduction_factor")
    if factor is not None and not 1 < factor < math.inf:
        yield fault("scheduler.reduction_factor", factor, "above 1")
    yield from _at_least("scheduler.brackets", given.get("brackets"), 1)
    yield from _at_least("scheduler.min_samples_required", given.get("min_samples_required"), 1)


def _stoppers(stoppers: StoppersConfig) -> Iterator[str]:
    yield from _at_least("stoppers.max_tokens", stoppers.max_tokens, 1)
    yield from _above_zero("stoppers.max_seconds", stoppers.max_seconds)
    yield from _at_least("stoppers.kill_after_seconds", stoppers.kill_after_seconds, 0)
    yield from _at_least("stoppers.plateau_patience", stoppers.plateau_patience, 1)
    yield from _at_least("stoppers.plateau_min_delta", stoppers.plateau_min_delta, 0)
    factor = stoppers.divergence_factor
    if factor is not None and not factor > 1:
        yield fault("stoppers.divergence_factor", factor, "above 1, or null")


def _latency(latency: LatencyConfig) -> Iterator[str]:
    for name in ("prompt_tokens", "new_tokens", "batch_size", "repeats"):
        yield from _at_least(f"latency.{name}", getattr(latency, name), 1)
    yield from _at_least("latency.warmup", latency.warmup, 0)
