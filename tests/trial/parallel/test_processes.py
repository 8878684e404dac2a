"""A trial in two processes equals the same trial in one."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from ugro.config import ADAPTERS, Config
from ugro.config.parallel import WHOLE_WEIGHTS
from ugro.errors import UserError
from ugro.events.channel import channel
from ugro.trial.held_out import measure_test
from ugro.trial.parallel.processes import in_processes

from ...conftest import QUICK
from ..conftest import Run
from .conftest import CLOSE, LONGER, Parallel, check_same
from .functions import evaluated_row_by_row, weights_held

THREE = ("training.max_steps=3", "training.eval_steps=3", "training.learning_rate=0.01")


@pytest.mark.parametrize(
    ("parallel", "overrides"),
    [
        ("ddp", ()),
        pytest.param("fsdp", ("training.gradient_accumulation_steps=2",), marks=pytest.mark.long),
        pytest.param(
            "ddp", ("data.packing=none", "data.max_eval_examples=3"), marks=pytest.mark.long
        ),
        pytest.param("fsdp", ("training.gradient_checkpointing=true",), marks=pytest.mark.long),
        pytest.param("ddp", ("training.eval_batch_size=3", "seed=3"), marks=pytest.mark.long),
        pytest.param("ddp", ("quantization=bnb_nf4",), marks=pytest.mark.long),
    ],
)
def test_two_processes_train_what_one_trains(
    parallel: str, overrides: tuple[str, ...], run: Run, in_two: Parallel
) -> None:
    one, folder = run(*LONGER, *overrides)
    two, other = in_two(parallel, *LONGER, *overrides)
    check_same(folder, other)
    assert two.values == pytest.approx(one.values, abs=CLOSE)
    assert two.provenance["processes"] == "2"
    named = {path.relative_to(folder) for path in folder.rglob("*")}
    states = {path.relative_to(other) for path in other.rglob("rng_state_1.pth")}
    assert {path.relative_to(other) for path in other.rglob("*")} == named | states


def test_a_process_gives_back_the_layers_of_others_after_they_have_computed(
    in_two: Parallel,
) -> None:
    result, _ = in_two("fsdp", function=weights_held)
    held = result.metrics
    assert held["before"] == held["after"] == held["all"] / 2


@pytest.mark.long
@pytest.mark.parametrize("rows", [5, 6, 8])
def test_models_without_chunked_logits_evaluate_any_number_of_rows(
    rows: int, in_two: Parallel, settings: Callable[..., Config], tmp_path: Path
) -> None:
    some = (f"data.max_eval_examples={rows}", "training.eval_batch_size=4")
    one = evaluated_row_by_row(settings(*QUICK, *some), tmp_path, channel())
    two, _ = in_two("fsdp", *some, function=evaluated_row_by_row)
    assert two.metrics == one.metrics == {"rows": rows}
    assert two.values == pytest.approx(one.values, abs=CLOSE)


SHARDED = [f"adapter={name}" for name in ADAPTERS if name not in ("lora", *WHOLE_WEIGHTS)]
SHARDED += [f"lora.init_lora_weights={start}" for start in ("gaussian", "orthogonal", "eva")]


@pytest.mark.long
@pytest.mark.parametrize("override", [*SHARDED, "lora.modules_to_save=[lm_head]"])
def test_any_adapter_trains_on_a_sharded_base(override: str, run: Run, in_two: Parallel) -> None:
    one, folder = run(override, *THREE)
    two, other = in_two("fsdp", override, *THREE)
    check_same(folder, other)
    assert two.values == pytest.approx(one.values, abs=CLOSE)


def test_sharded_weights_are_not_trained(in_two: Parallel) -> None:
    with pytest.raises(UserError, match=r"'fsdp' given, allowed: ddp, as the adapter trains"):
        in_two("fsdp", "lora.modules_to_save=[q_proj]", "lora.target_modules=[v_proj]")


@pytest.mark.long
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
@pytest.mark.parametrize("task", ["dpo", "classification"])
def test_other_tasks_share_their_rows_too(
    task: str, parallel: str, run: Run, in_two: Parallel, tmp_path: Path
) -> None:
    pair = {"prompt": "q{}", "chosen": "yes {} and so on", "rejected": "no"}
    labelled = {"text": "{} is a number of some length", "label": "odd"}
    row = pair if task == "dpo" else labelled
    lines = []
    for number in range(40):
        line = {name: value.format(number) for name, value in row.items()}
        if "label" in line:
            line["label"] = ("even", "odd")[number % 2]
        lines.append(json.dumps(line) + "\n")
    path = tmp_path / "records.jsonl"
    path.write_text("".join(lines))
    data = ("data=jsonl", f"data.train_files=[{path}]", f"task={task}", "data.block_size=64")
    one, folder = run(*LONGER, *data)
    two, other = in_two(parallel, *LONGER, *data)
    check_same(folder, other)
    assert two.values == pytest.approx(one.values, abs=CLOSE)


def test_errors_and_logs_arrive_as_from_one_process(
    in_two: Parallel, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"data.train_files.*given, allowed"):
        in_two("ddp", "data=jsonl", f"data.train_files=[{tmp_path}/none.jsonl]")
    with caplog.at_level(logging.INFO):
        in_two("ddp", "training.max_steps=2")
    steps = [line.message.split(":")[0] for line in caplog.records if "step " in line.message]
    assert steps == ["step 0", "step 2"]  # those of the first process


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (("training.processes=null",), "training.processes: None given, allowed: a number where"),
        (
            ("training.processes=8",),
            "training.batch_size: 4 given, allowed: a multiple of 8, or other gradient_acc",
        ),
    ],
)
def test_processes_that_cannot_share_a_step_are_refused(
    overrides: tuple[str, ...], line: str, in_two: Parallel
) -> None:
    with pytest.raises(UserError, match=line):
        in_two("ddp", *overrides)


def test_a_sharded_model_has_no_latency(in_two: Parallel) -> None:
    with pytest.raises(UserError, match="'fsdp' given, allowed: ddp or none"):
        in_two("fsdp", "objectives=loss_latency")


@pytest.mark.long
def test_a_metric_is_called_once_and_a_sharded_model_generates(
    run: Run, in_two: Parallel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "calls"
    (tmp_path / "counting.py").write_text(
        "def lengths(examples):\n"
        f"    open({str(calls)!r}, 'a').write('.')\n"
        "    return [float(len(example.generations[0])) for example in examples]\n"
    )
    monkeypatch.chdir(tmp_path)
    records = tmp_path / "records.jsonl"
    line = '{{"prompt": "count {0}", "completion": "{0} and {0}"}}\n'
    records.write_text("".join(line.format(number) for number in range(60)))
    configured = (
        "data=jsonl",
        f"data.train_files=[{records}]",
        "data.block_size=64",
        "+metrics.lengths={function: counting.lengths, on: generations, direction: maximize, "
        "max_new_tokens: 6}",
    )
    one, _ = run(*THREE, *configured)
    of_one = calls.read_text()
    calls.unlink()
    two, _ = in_two("fsdp", *THREE, *configured)
    assert calls.read_text() == of_one
    assert two.metrics["lengths"] == pytest.approx(one.metrics["lengths"])


@pytest.mark.long
def test_the_test_part_is_measured_by_all(
    in_two: Parallel, settings: Callable[..., Config]
) -> None:
    _, folder = in_two("fsdp", *THREE)
    one = measure_test(settings(*QUICK, *THREE), folder, channel())
    parallel = ("training.parallel=fsdp", "training.processes=2")
    two = in_processes(measure_test, settings(*QUICK, *THREE, *parallel), folder, channel())
    assert two.metrics == pytest.approx(one.metrics, abs=CLOSE)
