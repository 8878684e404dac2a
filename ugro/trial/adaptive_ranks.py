"""AdaLoRA in training: allocation of the ranks, the penalty of its loss, and its state on disk.

PEFT prunes the ranks that are masked when it saves, so that a saved adapter cannot be trained on as
if it had not been saved. Checkpoints keep all ranks, the masked ones as zeros; only the trial's
final adapter is pruned.
"""

from pathlib import Path

import peft
import torch
from peft.tuners.adalora import AdaLoraModel
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ugro.config.adapters import AdaLoraConfig
from ugro.retries import is_disk_trouble, retrying
from ugro.trial.checkpoints import PREFIX

ALLOCATION = "ranks.pt"  # of a checkpoint


class RanksCallback(TrainerCallback):
    """Move ranks between modules after each step, as PEFT's ``update_and_allocate`` does.

    Args:
        model: model with a new AdaLoRA adapter
        config: its configuration
        checkpoints: folder of the checkpoints
    """

    def __init__(self, model: peft.PeftModel, config: AdaLoraConfig, checkpoints: Path) -> None:
        assert isinstance(model.base_model, AdaLoraModel)
        self._tuner = model.base_model
        self._config = config
        self._checkpoints = checkpoints
        self._pattern: dict[str, list[bool]] | None = None  # hidden from PEFT while it saves

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Tell PEFT the training's length; restore the state of a resumed training."""
        built = self._tuner.peft_config["default"]
        built.total_step = state.max_steps
        built.tinit = int(self._config.warmup_ratio * state.max_steps)
        built.tfinal = int(self._config.final_ratio * state.max_steps)
        if state.global_step:
            self._load(self._checkpoints / f"{PREFIX}{state.global_step}" / ALLOCATION)

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Update the importance of the ranks, and mask those that are no longer afforded."""
        built = self._tuner.peft_config["default"]
        built.rank_pattern = self._pattern
        self._tuner.update_and_allocate(state.global_step + 1)  # which counts the finished steps
        self._pattern, built.rank_pattern = built.rank_pattern, None

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object
    ) -> None:
        """Write the smoothed importances and the mask into the new checkpoint."""
        allocator = self._tuner.rankallocator
        kept = {
            "importance": allocator.exp_avg_ipt,
            "uncertainty": allocator.exp_avg_unc,
            "pattern": self._pattern,
        }
        path = self._checkpoints / f"{PREFIX}{state.global_step}" / ALLOCATION
        retrying(is_disk_trouble, "The checkpoint cannot be written")(torch.save, kept, path)

    def _load(self, path: Path) -> None:
        device = next(self._tuner.parameters()).device
        kept = torch.load(path, map_location=device, weights_only=True)
        allocator = self._tuner.rankallocator
        allocator.exp_avg_ipt, allocator.exp_avg_unc = kept["importance"], kept["uncertainty"]
        # Overwritten before it is read; PEFT takes a name that it lacks for a new parameter.
        allocator.ipt = dict.fromkeys(kept["importance"])
        self._pattern = kept["pattern"]


def ranks_callbacks(
    model: peft.PeftModel, config: object, checkpoints: Path
) -> list[TrainerCallback]:
    """Return the callback of AdaLoRA, or none for another adapter."""
    if not isinstance(config, AdaLoraConfig):
        return []
    return [RanksCallback(model, config, checkpoints)]


def rank_penalty(model: peft.PeftModel) -> Tensor | float:
    """Return the weighted distance of AdaLoRA's singular vectors from orthogonality, else 0.

    PEFT adds it to a loss that the model itself returns. This is its sum: the mean over the
    matrices of the Frobenius norm of P P' - I.
    """
    if not isinstance(model.base_model, AdaLoraModel):
        return 0.0
    matrices = [
        parameter if "lora_A" in name else parameter.T
        for name, parameter in model.named_parameters()
        if "lora_A" in name or "lora_B" in name
    ]
    distances = [torch.linalg.norm(m @ m.T - torch.eye(len(m), device=m.device)) for m in matrices]
    weight: float = model.peft_config["default"].orth_reg_weight
    return weight * torch.stack(distances).mean()


def rank_pattern(model: peft.PeftModel) -> dict[str, list[bool]]:
    """Return the ranks in use, by the names of AdaLoRA's singular values."""
    return {
        name: (parameter != 0).flatten().tolist()
        for name, parameter in model.base_model.model.named_parameters()
        if "lora_E." in name
    }
