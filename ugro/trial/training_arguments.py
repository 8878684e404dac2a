"""Translate the configuration of a training into transformers' ``TrainingArguments``."""

from functools import partial
from pathlib import Path

import torch
from transformers import TrainingArguments

from ugro.config import Config
from ugro.errors import UserError, fault
from ugro.retries import one_line
from ugro.trial.hardware import device
from ugro.trial.parallel import group

OBJECTIVE = "eval_objective"  # minimised: selects the best checkpoint


def arguments(
    config: Config, checkpoints: Path, steps: int, dtype: torch.dtype
) -> TrainingArguments:
    """Translate the configuration.

    Args:
        config: configuration of the trial
        checkpoints: folder of the checkpoints
        steps: optimizer steps of the training
        dtype: dtype of the base model

    Raises:
        UserError: transformers refuses a value of ``training.extra``.
    """
    training = config.training
    share = group.own_share(training)
    of_trial = partial(
        TrainingArguments,
        output_dir=str(checkpoints),
        learning_rate=training.learning_rate,
        optim=training.optim,
        adam_beta1=training.adam_beta1,
        adam_beta2=training.adam_beta2,
        adam_epsilon=training.adam_epsilon,
        lr_scheduler_type=training.lr_scheduler_type.name,
        lr_scheduler_kwargs=training.lr_scheduler_kwargs or None,
        warmup_steps=training.warmup_ratio,  # values below 1 are a fraction of all steps
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        neftune_noise_alpha=training.neftune_noise_alpha,
        per_device_train_batch_size=share.batch_size,
        per_device_eval_batch_size=training.eval_batch_size,
        gradient_accumulation_steps=share.gradient_accumulation_steps,
        activation_checkpointing=training.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        max_steps=steps,
        eval_strategy="steps",
        eval_steps=training.eval_steps,
        save_strategy="steps",
        save_steps=training.eval_steps,
        restore_callback_states_from_checkpoint=True,  # keeps the patience of early stopping
        metric_for_best_model=OBJECTIVE,
        greater_is_better=False,
        logging_strategy="steps",
        logging_steps=training.eval_steps,
        use_cpu=device().type == "cpu",
        bf16=dtype == torch.bfloat16,
        fp16=dtype == torch.float16,
        seed=config.seed + group.rank(),  # dropout differs between processes
        data_seed=config.seed,
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,
        report_to="none",
    )
    try:
        return of_trial(**training.extra)
    except (ImportError, TypeError, ValueError) as error:
        if not training.extra:
            raise
        allowed = f"what TrainingArguments take here ({one_line(error)})"
        raise UserError(fault("training.extra", training.extra, allowed)) from error
