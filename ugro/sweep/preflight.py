"""Would a sweep work? ``study.preflight=true`` checks all it needs, and leaves nothing behind."""

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
from ugro.formatting import counted, data_lines, duration, large, share
from ugro.paths import is_writable, nearest
from ugro.sampling.feasibility import SAMPLES, survey
from ugro.study.storage import check_reachable, check_url
from ugro.sweep.dry_run import LENGTHS, expected_share
from ugro.sweep.plan import Plan, plan_of
from ugro.sweep.worst_case import WorstCaseProbe, candidates
from ugro.tracking.trackers import check as check_tracking
from ugro.tracking.trackers import contact

GIB = 2**30


@dataclass(frozen=True)
class Asked:
    """What was asked for, before it was moved into a temporary folder."""

    folder: Path
    storage: str | None
    storage_as_written: str | None
    tracking_as_written: Mapping[str, Any]


class Page:
    """The lines, each printed as soon as it is known.

    Args:
        console: the terminal's
    """

    def __init__(self, console: Console) -> None:
        self.failed: list[str] = []
        self.checked = 0
        self._console = console

    def check(self, name: str, what: Callable[[], str]) -> bool:
        """Print what the check says, or what is wrong; whether it is well."""
        self.checked += 1
        try:
            said = f"ok      {what()}"
        except UserError as error:
            self.failed.append(name)
            said = f"WRONG   {error}"
        self._say(name, said)
        return name not in self.failed

    def skip(self, name: str, why: str) -> None:
        """Print that it is not known."""
        self._say(name, f"unknown {why}")

    def _say(self, name: str, said: str) -> None:
        for at, line in enumerate(said.splitlines()):
            text = f"{name if at == 0 else '':<10}{line if at == 0 else f'        {line}'}"
            self._console.print(text, soft_wrap=True, highlight=False, markup=False)


def preflight(
    config: DictConfig,
    loader: ConfigLoader,
    slots: Callable[[], Executor],
    arguments: list[str],
    console: Console | None = None,
) -> None:
    """Check everything and print it, a line a check.

    Args:
        config: the sweep's configuration; its trials are moved into a temporary folder
        loader: Hydra's
        slots: starts them
        arguments: the command line's overrides
        console: the terminal's, unless another is given

    Raises:
        UserError: something would fail.
    """
    page = Page(console or Console())
    with tempfile.TemporaryDirectory(prefix="ugro-preflight-") as made:
        asked = _moved(config, Path(made))
        plans: list[Plan] = []

        def space() -> str:
            plans.append(plan_of(config, loader, [*arguments, f"study.dir={made}"]))
            return _space(plans[0])

        if page.check("space", space):
            _trials(page, plans[0], slots, asked.folder)
        else:
            for name in ("model", "memory", "time", "data", "disk"):
                page.skip(name, "until the space is right")
        _servers(page, config, asked)
    if page.failed:
        failed = f"{len(page.failed)} of {counted(page.checked, 'check')}"
        raise UserError(f"preflight: {failed} failed: {', '.join(page.failed)}")


def _moved(config: DictConfig, folder: Path) -> Asked:
    """What was asked for; from now on the study's folder is another."""
    written: Any = OmegaConf.to_container(config.hydra.sweeper, resolve=False)
    tracking: Any = OmegaConf.to_container(config.tracking, resolve=False)
    storage = config.hydra.sweeper.storage
    asked = Asked(Path(config.study.dir), storage, written["storage"], tracking)
    with open_dict(config):
        config.study.dir = str(folder)
    return asked


def _space(plan: Plan) -> str:
    feasible = plan.feasible
    size = "any number of" if feasible.size is None else f"{feasible.size:,}"
    said = f"{size} configurations compose, {counted(plan.total, 'trial')}"
    if not feasible.constrained:
        return said
    found = survey(feasible, plan.config.seed)
    lines = "\n".join(found.shares())
    return f"{said}; constraints leave {share(len(found.kept) / found.samples)}\n{lines}".strip()


def _trials(page: Page, plan: Plan, executor_of: Callable[[], Executor], folder: Path) -> None:
    """Model, memory, time and disk, by the largest trial."""
    enough = SAMPLES if plan.feasible.constrained else LENGTHS
    samples = survey(plan.feasible, plan.config.seed, enough)
    largest: dict[str, Any] = {}
    weighed: Mapping[str, float] = {}
    running: list[tuple[Executor, WorstCaseProbe]] = []

    def model() -> str:
        nonlocal largest, weighed
        slots = executor_of()
        slots.count()  # refuses a trial that fits nowhere
        running.append((slots, WorstCaseProbe(plan.feasible, slots)))
        found = [
            (running[0][1].weighed(one), one) for one in candidates(plan.feasible, samples.kept)
        ]
        weighed, largest = max(found, key=lambda one: one[0]["memory"])
        shown = " ".join(f"{key}={value}" for key, value in largest.items())
        sizes = f"{large(weighed['parameters'])} parameters, {large(weighed['trainable'])} trained"
        return f"{sizes}, in the largest of {len(found)}: {shown or 'the configuration as it is'}"

    if not page.check("model", model):
        for name in ("memory", "time", "data", "disk"):
            page.skip(name, "until the model can be made")
        return
    slots, rehearsal = running[0]
    at_once = _at_once(plan, slots)
    beside = _beside(plan, at_once, weighed)
    stepped: list[TrialResult] = []

    def time() -> str:
        stepped.append(rehearsal.one_step(largest))
        return _time(plan, stepped[0].metrics, at_once, beside)

    if not page.check("memory", lambda: _memory(weighed, beside)):
        page.skip("time", "until a trial fits into memory: no step was taken")
    elif page.check("time", time):
        page.check("data", lambda: _data(stepped[0]))
    if not stepped:
        page.skip("data", "until a step was taken")
    page.check("disk", lambda: disk(plan, weighed["adapter"], folder))


def _at_once(plan: Plan, slots: Executor) -> int:
    wanted = plan.trial.hydra.sweeper.n_jobs
    return int(slots.count() if wanted == "auto" else min(wanted, slots.count()))


def _beside(plan: Plan, at_once: int, weighed: Mapping[str, float]) -> int:
    """How many trials share a device's or a machine's memory."""
    ray = plan.trial.hydra.launcher.get("ray", {})
    remote = ray.get("remote", {})
    if weighed["on_gpu"]:
        return max(1, int(1 / remote.num_gpus)) if remote and remote.num_gpus else 1
    if not remote or ray.init.get("address") == "local":
        return at_once
    return max(1, min(at_once, int(weighed["cpus"] / (remote.num_cpus or 1))))


def _memory(weighed: Mapping[str, float], beside: int) -> str:
    parts = ", ".join(
        f"{name} {_gib(weighed[key])}"
        for name, key in (
            ("weights", "weights"),
            ("gradients and AdamW", "states"),
            ("activations", "activations"),
            ("the process", "process"),
        )
    )
    where = "the GPU" if weighed["on_gpu"] else "the machine"
    needs = f"about {_gib(weighed['memory'])} a trial ({parts})"
    has = f"{where} has {_gib(weighed['has'])} for {counted(beside, 'trial')} at once"
    if weighed["memory"] * beside > weighed["total_memory"]:
        fewer = "fewer at once (hydra.sweeper.n_jobs), " if beside > 1 else ""
        raise UserError(
            f"{needs}; {has}: {fewer}a smaller training.batch_size or data.block_size,"
            " training.gradient_checkpointing=true or a smaller model"
        )
    return f"{needs}; {has}"


def _time(plan: Plan, measured: Mapping[str, float], at_once: int, beside: int) -> str:
    """Rough: the first step of a process is slower than the others."""
    peak = measured["peak_memory_mb"] * 2**20
    if peak * beside > measured["total_memory"]:
        raise UserError(f"one step took {_gib(peak)}, too much for {counted(beside, 'trial')}")
    rate, most = measured["train_tokens_per_second"], measured["tokens"]
    part = expected_share(plan, survey(plan.feasible, plan.config.seed, LENGTHS))
    tokens = plan.total * most * (1.0 if part is None else part)
    if plan.config.study.max_tokens is not None:
        tokens = min(tokens, plan.config.study.max_tokens)
    at = min(at_once, plan.total)
    evaluation = max(0.0, measured["train_seconds"] - measured["tokens_seen"] / rate)
    step = plan.config.training.eval_steps
    evaluations = 1 / step if step < 1 else most / measured["tokens_seen"] / step
    seconds = (tokens / rate + tokens / most * evaluations * evaluation) / at
    seconds += measured["startup_seconds"]
    expected = "at most" if part is None or part >= 1 else "expected"
    return (
        f"one step took {_gib(peak)} of memory, {large(rate)} tokens a second (later ones: faster);"
        f" {large(tokens)} tokens {expected}, roughly {duration(seconds)} with {at} at once"
    )


def disk(plan: Plan, adapter: float, folder: Path) -> str:
    """Whether what all trials leave fits where the study will be.

    Args:
        plan: of the sweep
        adapter: bytes of one
        folder: the study's

    Raises:
        UserError: it does not fit, or the folder cannot be written.
    """
    where = nearest(folder)
    if not is_writable(folder):
        raise UserError(fault("study.dir", str(folder), "a folder that can be written"))
    step = plan.config.training.eval_steps
    every = 1 / step if step < 1 else 10  # a guess where it depends on the data
    kept = {Keep.best_and_last: 2, Keep.best: 1, Keep.none: 0, Keep.all: every}
    checkpoint = 3 * adapter  # with what AdamW keeps
    needs = plan.total * (adapter + kept[plan.config.study.keep_checkpoints] * checkpoint)
    free = shutil.disk_usage(where).free
    said = (
        f"{_gib(needs)} at most for adapters and checkpoints of {counted(plan.total, 'trial')};"
        f" {where} has {_gib(free)} free"
    )
    if needs > free:
        raise UserError(f"{said}: make room, study.dir=ELSEWHERE or study.keep_checkpoints=none")
    return said


def _servers(page: Page, config: DictConfig, asked: Asked) -> None:
    def storage() -> str:
        check_url(asked.storage_as_written, asked.storage)
        return check_reachable(str(asked.storage))

    page.check("storage", storage)
    for name, what in _trackers(config, asked):
        page.check(name, what)
    uri = config.study.artifacts
    if uri is not None:
        page.check("artifacts", lambda: check_artifacts(uri, config.study.name))


def _trackers(config: DictConfig, asked: Asked) -> Iterator[tuple[str, Callable[[], str]]]:
    settings: Any = OmegaConf.to_object(config.tracking)
    for name in ("mlflow", "wandb"):
        if getattr(settings, name) is not None:

            def reached(name: str = name) -> str:
                check_tracking(settings, asked.tracking_as_written)
                return contact(settings, name)

            yield name, reached


def _data(stepped: TrialResult) -> str:
    """Say what became of the documents, and what of that is doubtful."""
    return "\n".join(data_lines(json.loads(stepped.provenance["data"])))


def _gib(size: float) -> str:
    return f"{size / GIB:,.2f} GiB" if size >= GIB / 100 else f"{size / 2**20:,.2f} MiB"
