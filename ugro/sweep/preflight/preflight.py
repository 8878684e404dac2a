"""Preflight of a sweep (``study.preflight=true``): checks its requirements, leaves no files."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console

from ugro.artifact_store import check_reachable as check_artifacts
from ugro.config import Keep
from ugro.errors import UserError, fault
from ugro.events.trial_report import TrialResult
from ugro.executors.executor import Executor
from ugro.formatting import binary_size, counted, data_lines, duration, large, share
from ugro.paths import is_writable, nearest
from ugro.sampling.feasible_share import SAMPLES, estimate_feasibility
from ugro.study.storage import check_reachable, check_url
from ugro.sweep.dry_run import LENGTHS, expected_share
from ugro.sweep.plan import Plan, plan_of
from ugro.sweep.preflight.checklist import Checklist
from ugro.sweep.preflight.memory import concurrent, fits_gpu, fits_machine, sharing_memory
from ugro.sweep.preflight.worst_case import WorstCaseProbe, candidates
from ugro.tracking.trackers import check as check_tracking
from ugro.tracking.trackers import contact

NOT_HERE = "estimate.gpu_memory_gb stands for a GPU that need not be in this machine"
SHOWN = 300  # characters of an example at its start and at its end


@dataclass(frozen=True)
class Original:
    """Settings before the study's folder was replaced by a temporary one."""

    folder: Path
    storage: str | None
    storage_as_written: str | None
    tracking_as_written: Mapping[str, Any]


def preflight(
    config: DictConfig,
    loader: ConfigLoader,
    executor: Callable[[], Executor],
    arguments: list[str],
    console: Console | None = None,
) -> None:
    """Check the requirements of a sweep and print one line per check.

    Args:
        config: the sweep's configuration; its study is moved to a temporary folder
        loader: Hydra's config loader
        executor: creates the executor
        arguments: overrides of the command line
        console: where results are printed, by default the terminal

    Raises:
        UserError: a check failed.
    """
    checks = Checklist(console or Console())
    with tempfile.TemporaryDirectory(prefix="ugro-preflight-") as temporary:
        original = _replace_folder(config, Path(temporary))
        plans: list[Plan] = []

        def space() -> str:
            plans.append(plan_of(config, loader, [*arguments, f"study.dir={temporary}"]))
            return _space(plans[0])

        if checks.check("space", space):
            _check_trials(checks, plans[0], executor, original.folder)
        else:
            for name in ("model", "memory", "time", "data", "disk"):
                checks.skip(name, "until the space is valid")
        _check_servers(checks, config, original)
    if checks.failed:
        failed = f"{len(checks.failed)} of {counted(checks.checked, 'check')}"
        raise UserError(f"preflight: {failed} failed: {', '.join(checks.failed)}")


def _replace_folder(config: DictConfig, folder: Path) -> Original:
    """Set the study's folder and return the original settings."""
    written: Any = OmegaConf.to_container(config.hydra.sweeper, resolve=False)
    tracking: Any = OmegaConf.to_container(config.tracking, resolve=False)
    storage = config.hydra.sweeper.storage
    original = Original(Path(config.study.dir), storage, written["storage"], tracking)
    with open_dict(config):
        config.study.dir = str(folder)
    return original


def _space(plan: Plan) -> str:
    feasible = plan.feasible
    size = "any number of" if feasible.size is None else f"{feasible.size:,}"
    text = f"{size} configurations compose, {counted(plan.total, 'trial')}"
    if not feasible.constrained:
        return text
    estimate = estimate_feasibility(feasible, plan.config.seed)
    kept = share(len(estimate.kept) / estimate.samples)
    lines = "\n".join(estimate.shares())
    return f"{text}; constraints leave {kept}\n{lines}".strip()


def _check_trials(
    checks: Checklist, plan: Plan, create_executor: Callable[[], Executor], folder: Path
) -> None:
    """Check model, memory, time, data and disk of the largest trial."""
    enough = SAMPLES if plan.feasible.constrained else LENGTHS
    samples = estimate_feasibility(plan.feasible, plan.config.seed, enough)
    worst: dict[str, Any] = {}
    estimate: Mapping[str, float] = {}
    started: list[tuple[Executor, WorstCaseProbe]] = []

    def model() -> str:
        nonlocal worst, estimate
        executor = create_executor()
        executor.count()  # raises if no node can hold a trial
        probe = WorstCaseProbe(plan.feasible, executor)
        started.append((executor, probe))
        estimates = [
            (probe.estimate(parameters), parameters)
            for parameters in candidates(plan.feasible, samples.kept)
        ]
        estimate, worst = max(estimates, key=lambda pair: pair[0]["memory"])
        shown = " ".join(f"{key}={value}" for key, value in worst.items())
        sizes = (
            f"{large(estimate['parameters'])} parameters, {large(estimate['trainable'])} trained"
        )
        if not plan.config.quantization.is_none:
            sizes += f", quantised with {plan.config.quantization.method.name}"
        if estimate["from_copy"]:
            sizes += ", architecture from the repository"
        which = shown or "the configuration as it is"
        return f"{sizes}, in the largest of {len(estimates)}: {which}"

    if not checks.check("model", model):
        for name in ("memory", "time", "data", "disk"):
            checks.skip(name, "until the model can be created")
        return
    executor, probe = started[0]
    parallel = concurrent(plan.trial, executor)
    sharing = sharing_memory(plan.trial, parallel, estimate)
    gpu_memory_gb = plan.config.estimate.gpu_memory_gb
    if gpu_memory_gb is not None:
        checks.check("memory", lambda: fits_gpu(estimate, sharing, gpu_memory_gb))
        checks.skip("time", f"as no step is taken: {NOT_HERE}")
        checks.skip("data", "until a step is taken")
        checks.skip("disk", "on the machine of that GPU")
        return
    steps: list[TrialResult] = []

    def time() -> str:
        steps.append(probe.run_step(worst))
        return _time(plan, steps[0].metrics, parallel, sharing)

    if not checks.check("memory", lambda: fits_machine(estimate, sharing)):
        checks.skip("time", "until a trial fits into memory: no step was taken")
    elif checks.check("time", time):
        checks.check("data", lambda: _data(steps[0]))
    if not steps:
        checks.skip("data", "until a step was taken")
    checks.check("disk", lambda: disk(plan, estimate["adapter"], estimate["optimizer"], folder))


def _time(plan: Plan, measured: Mapping[str, float], concurrent: int, sharing: int) -> str:
    """Estimate the time of the sweep, roughly: the first step of a process is slower."""
    peak = measured["peak_memory_mb"] * 2**20
    if peak * sharing > measured["total_memory"]:
        raise UserError(
            f"one step took {binary_size(peak)}, too much for {counted(sharing, 'trial')}"
        )
    rate, trial_tokens = measured["train_tokens_per_second"], measured["tokens"]
    part = expected_share(plan, estimate_feasibility(plan.feasible, plan.config.seed, LENGTHS))
    tokens = plan.total * trial_tokens * (1.0 if part is None else part)
    if plan.config.study.max_tokens is not None:
        tokens = min(tokens, plan.config.study.max_tokens)
    parallel = min(concurrent, plan.total)
    evaluation = max(0.0, measured["train_seconds"] - measured["tokens_seen"] / rate)
    step = plan.config.training.eval_steps
    evaluations = 1 / step if step < 1 else trial_tokens / measured["tokens_seen"] / step
    seconds = (tokens / rate + tokens / trial_tokens * evaluations * evaluation) / parallel
    seconds += measured["startup_seconds"]
    expected = "at most" if part is None or part >= 1 else "expected"
    return (
        f"one step took {binary_size(peak)} of memory, {large(rate)} tokens a second "
        f"(later ones: faster); {large(tokens)} tokens {expected}, roughly "
        f"{duration(seconds)} with {parallel} at once"
    )


def disk(plan: Plan, adapter: float, optimizer: float, folder: Path) -> str:
    """Check that the files of all trials fit on the disk of the study's folder.

    A paused trial keeps its best and its last checkpoint, whatever is kept of ended trials, and
    with a trial scheduler that pauses trials all may be paused.

    Args:
        plan: plan of the sweep
        adapter: size of an adapter in bytes
        optimizer: size of the optimizer's state in bytes
        folder: the study's folder

    Raises:
        UserError: the files do not fit, or the folder is not writable.
    """
    where = nearest(folder)
    if not is_writable(folder):
        raise UserError(fault("study.dir", str(folder), "a folder that can be written"))
    step = plan.config.training.eval_steps
    evaluations = 1 / step if step < 1 else 10  # a guess, as it depends on the data
    by_key = {Keep.best_and_last: 2, Keep.best: 1, Keep.none: 0, Keep.all: evaluations}
    kept = by_key[plan.config.study.keep_checkpoints]
    if plan.early_stopping().pauses():
        kept = max(kept, 2)
    checkpoint = adapter + optimizer
    needs = plan.total * (adapter + kept * checkpoint)
    free = shutil.disk_usage(where).free
    text = (
        f"{binary_size(needs)} at most for adapters and checkpoints of "
        f"{counted(plan.total, 'trial')}; {where} has {binary_size(free)} free"
    )
    if needs > free:
        raise UserError(f"{text}: make room, study.dir=ELSEWHERE or study.keep_checkpoints=none")
    return text


def _check_servers(checks: Checklist, config: DictConfig, original: Original) -> None:
    def storage() -> str:
        check_url(original.storage_as_written, original.storage)
        return check_reachable(str(original.storage))

    checks.check("storage", storage)
    for name, check in _tracker_checks(config, original):
        checks.check(name, check)
    uri = config.study.artifacts
    if uri is not None:
        checks.check("artifacts", lambda: check_artifacts(uri, config.study.name))


def _tracker_checks(
    config: DictConfig, original: Original
) -> Iterator[tuple[str, Callable[[], str]]]:
    settings: Any = OmegaConf.to_object(config.tracking)
    for name in ("mlflow", "wandb"):
        if getattr(settings, name) is not None:

            def reach(name: str = name) -> str:
                check_tracking(settings, original.tracking_as_written)
                return contact(settings, name)

            yield name, reach


def _data(step: TrialResult) -> str:
    """Describe the data, any notes on them, and the first example with its trained text marked."""
    example = step.provenance["example"]
    if len(example) > 2 * SHOWN:
        example = f"{example[:SHOWN]} ... {example[-SHOWN:]}"
    lines = data_lines(json.loads(step.provenance["data"]))
    return "\n".join([*lines, "the first example, [[trained text]]:", example])
