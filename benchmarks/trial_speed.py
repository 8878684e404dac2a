"""Measure the speed of the quickstart's trial on a CPU core, and where its time goes.

The trial runs in pairs in one process, with torch's own products (MKL) and with oneDNN's
(``ugro.trial.model.onednn_linear``), after the model is loaded. Figures are medians; times are
processor seconds, user and system, so that other load matters little.

    OMP_NUM_THREADS=1 python -m benchmarks.trial_speed [PAIRS] [OVERRIDES]
"""

import logging
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from torch import nn
from torch.profiler import ProfilerActivity, profile

from ugro.config import Config, register_schema, typed
from ugro.events.channel import Answer, StandaloneChannel
from ugro.events.trial_report import Report
from ugro.plugins.sweeper import register_plugins
from ugro.trial.evaluator import Evaluator
from ugro.trial.model.onednn_linear import OneDnnLinear, use_onednn
from ugro.trial.setup import set_up
from ugro.trial.trial import run_trial

VARIANTS = {"torch": False, "oneDNN": True}
KINDS = {  # of operators, by parts of their names
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm", "mkldnn::"),
    "attention": ("scaled_dot_product",),
    "softmax of the loss": ("_log_softmax", "exp_", "logsumexp", "gather"),
    "optimizer and clipping": ("adamw", "vector_norm"),
}


@dataclass
class Timed(StandaloneChannel):
    """Channel that keeps the reports and the processor seconds at which they came."""

    reports: list[Report] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def report(self, report: Report) -> Answer:
        """Note the report and its time."""
        self.reports.append(report)
        self.times.append(time.process_time())
        return Answer.CONTINUE


@dataclass(frozen=True)
class Run:
    """Figures of a trial; losses are those of training and evaluation, at each report."""

    tokens: int
    seconds: float  # training with its evaluations
    eval_seconds: float
    peak_mb: float
    losses: list[float]

    @property
    def training(self) -> float:
        """Tokens a second of training alone."""
        return self.tokens / (self.seconds - self.eval_seconds)

    @property
    def whole(self) -> float:
        """Tokens a second, evaluations included."""
        return self.tokens / self.seconds


def main(pairs: int, overrides: list[str]) -> None:
    """Print a table of the variants, and the shares of the operators' time."""
    register_schema()
    register_plugins()
    logging.disable(logging.WARNING)
    given = ["experiment=quickstart", "study.name=benchmark", "tracking=none", *overrides]
    with initialize_config_dir(config_dir=str(Path(__file__).parents[1] / "conf")):
        config = typed(compose("config", overrides=given))
    runs: dict[str, list[Run]] = {name: [] for name in VARIANTS}
    for _ in range(pairs):
        for name, with_onednn in VARIANTS.items():
            runs[name].append(_run(config, with_onednn))
    _print_table(runs)
    config.training.max_tokens, config.training.max_steps = None, 4
    shares = [_shares(config, with_onednn) for with_onednn in VARIANTS.values()]
    print("\n| share of the operators' time | torch | oneDNN |\n|---|---|---|")
    for kind in shares[0]:
        print(f"| {kind} | {shares[0][kind]:.0%} | {shares[1][kind]:.0%} |")


def _print_table(runs: dict[str, list[Run]]) -> None:
    def row(label: str, of_run: Any, digits: int = 0) -> None:
        values = {name: [of_run(run) for run in some] for name, some in runs.items()}
        medians = [f"{statistics.median(some):,.{digits}f}" for some in values.values()]
        ratios = [b / a for a, b in zip(*values.values(), strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"| {label} | {' | '.join(medians)} | {spread} |", flush=True)

    print("| | torch | oneDNN | ratio (range of the pairs) |\n|---|---|---|---|")
    row("tokens a processor second, training", lambda run: run.training)
    row("the same with its evaluations", lambda run: run.whole)
    row("seconds of the evaluations", lambda run: run.eval_seconds, 1)
    row("peak memory, MiB", lambda run: run.peak_mb)
    differences = [
        abs(before - after)
        for some in zip(*runs.values(), strict=True)
        for before, after in zip(*(run.losses for run in some), strict=True)
    ]
    print(f"\nlargest difference of a loss: {max(differences):.1e}")


def _run(config: Config, with_onednn: bool) -> Run:
    """Run the trial on the loaded model."""
    _set_products(config, with_onednn)
    channel, spent, evaluate = Timed(), [0.0], Evaluator.evaluate

    def timed(self: Evaluator, *arguments: Any, **options: Any) -> dict[str, float]:
        began = time.process_time()
        found = evaluate(self, *arguments, **options)
        spent[0] += time.process_time() - began
        return found

    Evaluator.evaluate = timed  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory() as folder:
            result = run_trial(config, Path(folder), channel)
    finally:
        Evaluator.evaluate = evaluate  # type: ignore[method-assign]
    trained = [report.metrics for report in channel.reports[1:]]
    return Run(
        tokens=channel.reports[-1].tokens_seen,
        seconds=channel.times[-1] - channel.times[0],
        eval_seconds=spent[0],
        peak_mb=result.metrics["peak_memory_mb"],
        losses=[one[name] for one in trained for name in ("train_loss", "eval_loss")],
    )


def _shares(config: Config, with_onednn: bool) -> dict[str, float]:
    """Return the share of each kind of operator in the time of a few steps and an evaluation."""
    _set_products(config, with_onednn)
    with (
        tempfile.TemporaryDirectory() as folder,
        profile(activities=[ProfilerActivity.CPU]) as seen,
    ):
        run_trial(config, Path(folder), StandaloneChannel())
    seconds = dict.fromkeys([*KINDS, "other"], 0.0)
    for operator in seen.key_averages():
        matching = (kind for kind, names in KINDS.items() if any(n in operator.key for n in names))
        seconds[next(matching, "other")] += operator.self_cpu_time_total
    return {kind: some / sum(seconds.values()) for kind, some in seconds.items()}


def _set_products(config: Config, with_onednn: bool) -> None:
    """Load the base model, which the trial then reuses, and set the products of its layers."""
    base, _ = set_up(config)
    for module in base.model.modules():
        if isinstance(module, OneDnnLinear):
            module.__class__ = nn.Linear
    if with_onednn:
        use_onednn(base.model)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3, sys.argv[2:])
