"""Validate ``training.extra``: fields of transformers' ``TrainingArguments`` without an own key."""

from collections.abc import Iterator, Mapping
from dataclasses import fields

from ugro.config.keys import nearest
from ugro.config.training import TrainingConfig
from ugro.config.validation.transformers_source import training_arguments
from ugro.errors import fault

KEY = "training.extra"
# Keys with another name than their field
KEYS = {
    "activation_checkpointing": "training.gradient_checkpointing",
    "auto_find_batch_size": "training.batch_size",
    "bf16": "training.dtype",
    "data_seed": "seed",
    "fp16": "training.dtype",
    "label_smoothing_factor": "training.label_smoothing",
    "logging_steps": "training.eval_steps",
    "num_train_epochs": "training.epochs",
    "per_device_eval_batch_size": "training.eval_batch_size",
    "per_device_train_batch_size": "training.batch_size",
    "report_to": "tracking",
    "save_steps": "training.eval_steps",
    "save_total_limit": "study.keep_checkpoints",
    "seed": "seed",
    "use_liger_kernel": "model.liger_kernel",
    "warmup_steps": "training.warmup_ratio",
}
# What a trial decides by itself, by the start of the name
OWNED = {
    "folders": ("output_", "overwrite_", "resume_from_", "do_"),
    "logging": ("logging_", "log_", "disable_tqdm", "debug", "include_num_input", "skip_memory"),
    "tracking": ("run_name", "project", "trackio_", "push_to_", "hub_"),
    "evaluation": (
        "eval_",
        "prediction_",
        "include_for_metrics",
        "batch_eval_",
        "label_names",
        "bf16_full_eval",
        "fp16_full_eval",
        "metric_for_best_",
        "greater_is_better",
    ),
    "checkpoints": (
        "save_",
        "load_best_",
        "enable_jit_checkpoint",
        "restore_callback_",
        "ignore_data_skip",
        "activation_checkpointing_kwargs",
        "gradient_checkpointing_kwargs",
    ),
    "the order of the data": (
        "train_sampling_",
        "length_column_",
        "remove_unused_",
        "dataloader_drop_last",
        "dataloader_in_order",
    ),
    "devices": (
        "use_cpu",
        "local_rank",
        "fsdp",
        "deepspeed",
        "ddp_",
        "accelerator_config",
        "parallelism_config",
        "average_tokens_",
        "dataloader_pin_memory",
    ),
    "kernels": ("torch_compile", "liger_kernel_config"),
    "the cache of generations": ("use_cache",),
    "the random state of its process": ("full_determinism",),  # later trials would inherit it
}
TYPES: dict[str, tuple[type, ...]] = {
    "None": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "dict": (dict,),
    "list": (list,),
}


def extra_faults(extra: Mapping[str, object]) -> Iterator[str]:
    """Yield what is wrong with ``training.extra``, a line each."""
    known = training_arguments() if extra else {}
    for name, value in extra.items():
        if name not in known:
            allowed = [each for each in known if _refusal(each) is None]
            alike = nearest(name, allowed) or allowed
            yield fault(KEY, name, f"fields of TrainingArguments: {', '.join(alike)}")
        elif refusal := _refusal(name):
            yield fault(KEY, name, refusal)
        elif not _fits(value, known[name]):
            yield fault(f"{KEY}.{name}", value, known[name])


def _refusal(name: str) -> str | None:
    """Return what is allowed instead of a field; None if it may be set."""
    if name in KEYS or name in {own.name for own in fields(TrainingConfig)}:
        return f"its own key, {KEYS.get(name, f'training.{name}')}"
    decided = next((what for what, starts in OWNED.items() if name.startswith(starts)), None)
    return None if decided is None else f"other fields: a trial decides on {decided} itself"


def _fits(value: object, annotation: str) -> bool:
    """Return whether a value has one of the types of an annotation, ``str | list[str] | None``."""
    kinds = [TYPES.get(one.partition("[")[0].strip(), ()) for one in annotation.split("|")]
    accepted = tuple(kind for some in kinds for kind in some)
    return isinstance(value, accepted) and (bool in accepted or not isinstance(value, bool))
