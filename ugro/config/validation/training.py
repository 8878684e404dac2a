"""Validate how the adapter is trained, in transformers' terms."""

from collections.abc import Iterator, Mapping

from ugro.config.keys import nearest
from ugro.config.task import TaskName
from ugro.config.training import LRScheduler, TrainingConfig
from ugro.config.validation.bounds import above_zero, at_least, share
from ugro.config.validation.extra_arguments import extra_faults
from ugro.config.validation.transformers_source import optimizers, schedule_arguments
from ugro.errors import fault

# Optimizers that do not resume with transformers 5.23, by the start of the name: they keep state
# outside of their state_dict, or objects that torch.load refuses.
NOT_RESUMED = ("galore_", "apollo_", "grokadamw")
IN_BACKWARD = ("lomo", "adalomo")  # step within the backward pass
# Schedules to which transformers passes no arguments.
WITHOUT_ARGUMENTS = (LRScheduler.constant, LRScheduler.constant_with_warmup)
LEAST = ("min_lr", "min_lr_rate")  # a schedule that has both needs one of them


def training_faults(training: TrainingConfig, task: TaskName) -> Iterator[str]:
    """Yield what is wrong with the training, a line each.

    Args:
        training: the training
        task: what the model is trained for
    """
    for name in (
        "batch_size",
        "gradient_accumulation_steps",
        "eval_batch_size",
        "max_steps",
        "max_tokens",
        "early_stopping_patience",
        "processes",
    ):
        yield from at_least(f"training.{name}", getattr(training, name), 1)
    for name in ("learning_rate", "max_grad_norm", "epochs", "eval_steps", "adam_epsilon"):
        yield from above_zero(f"training.{name}", getattr(training, name))
    for name in ("warmup_ratio", "adam_beta1", "adam_beta2", "label_smoothing"):
        yield from share(f"training.{name}", getattr(training, name))
    yield from at_least("training.weight_decay", training.weight_decay, 0)
    yield from above_zero("training.neftune_noise_alpha", training.neftune_noise_alpha)
    if training.label_smoothing and task is TaskName.dpo:
        allowed = "0 with task=dpo, whose loss has no labels"
        yield fault("training.label_smoothing", training.label_smoothing, allowed)
    yield from _length(training)
    yield from _optimizer(training.optim)
    yield from extra_faults(training.extra)
    yield from _schedule(training.lr_scheduler_type, training.lr_scheduler_kwargs)


def _length(training: TrainingConfig) -> Iterator[str]:
    if training.max_steps is training.max_tokens is training.epochs is None:
        yield fault("training.epochs", None, "a number, or set max_steps or max_tokens")
    if training.eval_steps > 1 and training.eval_steps % 1:
        yield fault("training.eval_steps", training.eval_steps, "a whole number, or below 1")
    if training.max_steps is not None and training.eval_steps > training.max_steps:
        allowed = f"training.max_steps={training.max_steps} at most"
        yield fault("training.eval_steps", training.eval_steps, allowed)


def _optimizer(given: str) -> Iterator[str]:
    refused = (*NOT_RESUMED, *IN_BACKWARD)
    known = [name for name in optimizers() if not name.startswith(refused)]
    if given in IN_BACKWARD:
        yield fault("training.optim", given, "one that accumulates and clips gradients")
    elif given.startswith(NOT_RESUMED) and given in optimizers():
        allowed = "one whose state is part of checkpoints, as trials are resumed"
        yield fault("training.optim", given, allowed)
    elif given not in known:
        alike = nearest(given, known)
        allowed = f"nearest: {', '.join(alike)}" if alike else ", ".join(known)
        yield fault("training.optim", given, allowed)


def _schedule(schedule: LRScheduler, given: Mapping[str, object]) -> Iterator[str]:
    key = "training.lr_scheduler_kwargs"
    which = f"with training.lr_scheduler_type={schedule.name}"
    known = {} if schedule in WITHOUT_ARGUMENTS else schedule_arguments(schedule.name)
    if unknown := [name for name in given if name not in known]:
        yield fault(key, ",".join(unknown), f"{', '.join(known) or 'none'}, {which}")
    missing = [name for name, required in known.items() if required and name not in given]
    if missing:
        yield fault(key, dict(given), f"with a value of {', '.join(missing)}, {which}")
    least = [name for name in LEAST if name in known]
    if least and len([name for name in least if name in given]) != 1:
        yield fault(key, dict(given), f"with one of {' and '.join(least)}, {which}")
