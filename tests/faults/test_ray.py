"""Ray itself dies: a local Ray is restarted, the loss of a cluster ends the sweep cleanly."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from ..cluster.conftest import Nodes, nodes  # noqa: F401  the fixture
from .sweeps import SPACE, TWO_SLOTS, Sweep, check_complete, events, swept, wait_for

OVERRIDES = ["study.name=s", SPACE, "hydra.sweeper.n_trials=4", *TWO_SLOTS]
LONG = {"steps": 20, "seconds": 0.3}


@contextmanager
def in_mid_sweep(folder: Path, overrides: list[str], faults: dict[str, float]) -> Iterator[Sweep]:
    """Run a driver until two of its trials have a checkpoint."""
    trials = folder / "multirun" / "s" / "trials"
    with Sweep(folder, overrides, faults) as sweep:
        wait_for(lambda: all(list(trials.glob(f"000{n}/checkpoints/*")) for n in range(2)))
        time.sleep(1)
        yield sweep


def process_of_ray(sweep: Sweep, name: str) -> psutil.Process | None:
    """Return a living process of the driver's local Ray."""
    for process in psutil.Process(sweep.process.pid).children(recursive=True):
        try:
            if process.name().startswith(name) and process.status() != psutil.STATUS_ZOMBIE:
                return process
        except psutil.NoSuchProcess:
            continue
    return None


def check_only_log_lines(output: str) -> None:
    """Assert that only log lines of the sweep precede the table of results."""
    assert "Traceback" not in output
    before = output.split("\nStudy s ")[0].splitlines()
    assert [line for line in before if not re.match(r"\d\d:\d\d:\d\d \S", line)] == []


def count_resumed(sweep: Sweep) -> int:
    """Return the number of resumed trials; -1 before two trials were started."""
    output = sweep.output()
    return output.count(" resumes: ") if "trial 1: " in output else -1


def check_ends_with_results(sweep: Sweep, folder: Path, why: str) -> str:
    """Assert that the last line states the reason for the end; return the output."""
    assert sweep.ends() == 1
    output = sweep.output()
    assert "Traceback" not in output
    assert re.search(why, output.splitlines()[-1])
    assert (folder / "multirun" / "s" / "trials.csv").exists()
    return output


@pytest.mark.faults
@pytest.mark.parametrize(
    ("vital", "why"),
    [
        ("raylet", "its raylet ended with exit code -9"),
        ("gcs_server", "its gcs_server ended with exit code -9"),
        (
            "ray::MessageQueue",
            "ActorDiedError: The actor died unexpectedly before finishing this task",
        ),
    ],
)
def test_a_local_ray_that_dies_is_restarted(vital: str, why: str, tmp_path: Path) -> None:
    with in_mid_sweep(tmp_path, OVERRIDES, LONG) as sweep:
        killed = process_of_ray(sweep, vital)
        assert killed
        killed.kill()
        assert sweep.ends() == 0, sweep.output()
        output = sweep.output()
    check_complete(tmp_path, 4)
    assert f"warning: Restarting Ray: {why}\n" in output
    check_only_log_lines(output)
    retried = events(tmp_path / "multirun" / "s", "TrialRetried")
    # No retry is charged to a trial.
    assert [(event["number"], event["times"]) for event in retried] == [(0, 0), (1, 0)]


@pytest.mark.faults
def test_trials_out_of_memory_are_retried_up_to_the_limit(
    tmp_path: Path,
) -> None:
    """Ray's memory monitor with a threshold below the current use kills all trials."""
    full = {"RAY_memory_usage_threshold": "0.01", "RAY_memory_monitor_refresh_ms": "100"}
    overrides = [*OVERRIDES, "hydra.sweeper.n_trials=2", "study.max_retries=1"]
    with Sweep(tmp_path, overrides, LONG, full) as sweep:
        check_ends_with_results(sweep, tmp_path, "every trial failed|all failed|2 trials failed")
        output = sweep.output()
    assert re.search(r"killed due to the node running low on memory \(.* limit\)\n", output)
    check_only_log_lines(output)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("init.nonsense=1", r"init: .*RuntimeError: Unknown keyword argument\(s\): .*nonsense"),
        ("init.num_gpus=1", "init: .*ValueError: Attempting to start raylet with 1 GPU, but CUDA_"),
        ("init._temp_dir=/proc/no", "init: Ray does not start: FileNotFoundError.*/proc/no"),
        ("remote.num_gpus=1", "remote.num_gpus: 1 given, allowed: 0 at most here, as CUDA_VISIBLE"),
    ],
)
def test_a_ray_that_cannot_start_is_reported_in_one_line(
    given: str, message: str, tmp_path: Path
) -> None:
    overrides = [*OVERRIDES, f"++hydra.launcher.ray.{given}"]
    with Sweep(tmp_path, overrides, environment={"CUDA_VISIBLE_DEVICES": ""}) as sweep:
        assert sweep.ends() == 1
    first, line = sweep.output().splitlines()
    assert first.endswith("Starting Ray")
    assert re.match(rf"hydra\.launcher\.ray\.{message}", line)
    assert not (tmp_path / "multirun" / "s" / "study.db").exists()  # nothing was started


@pytest.mark.faults
def test_a_long_path_of_temporary_files_is_supported(tmp_path: Path) -> None:
    long = tmp_path / (90 * "d")
    long.mkdir()
    output = swept(tmp_path, *OVERRIDES, environment={"TMPDIR": str(long)})
    assert "Ray's temporary files are in /tmp/ugro-" in output
    check_complete(tmp_path, 4)


@pytest.mark.faults
def test_a_local_ray_that_dies_repeatedly_ends_the_sweep_cleanly(tmp_path: Path) -> None:
    with Sweep(tmp_path, OVERRIDES, {"steps": 20, "seconds": 2}) as sweep:
        for times in range(4):
            wait_for(lambda: count_resumed(sweep) == 2 * times)  # noqa: B023
            killed = process_of_ray(sweep, "raylet")
            assert killed
            killed.kill()
        cause = "its raylet ended with exit code -9"
        why = f"^Ray has died 4 times without progress of any trial: {cause}$"
        output = check_ends_with_results(sweep, tmp_path, why)
    assert " Continue with: python " in output
    check_only_log_lines(output)
    swept(tmp_path, *OVERRIDES, faults={"steps": 20})
    check_complete(tmp_path, 4)


def kill_all() -> None:
    for process in psutil.Process().children(recursive=True):
        if process.name().startswith(("raylet", "gcs_server", "ray::")):
            process.kill()


def kill_head() -> None:
    for process in psutil.Process().children(recursive=True):
        if process.name().startswith("gcs_server"):
            process.kill()


@pytest.mark.faults
@pytest.mark.parametrize(
    ("end", "client"),
    [(kill_all, False), (kill_head, False), (kill_all, True)],
    ids=["all", "head", "client"],
)
def test_a_lost_cluster_ends_the_sweep_cleanly(
    end: Callable[[], None],
    client: bool,
    nodes: Nodes,  # noqa: F811
    tmp_path: Path,
) -> None:
    nodes.add(num_cpus=2)
    address = nodes.client if client else nodes.address
    overrides = [
        "study.name=s",
        SPACE,
        "hydra.sweeper.n_trials=4",
        "hydra/launcher=ray_cluster",
        "hydra.launcher.secrets=[FAULTS]",
        f"hydra.launcher.ray.init.address={address}",
        TWO_SLOTS[1],
    ]
    with in_mid_sweep(tmp_path, overrides, {"steps": 200, "seconds": 0.3}) as sweep:
        end()
        why = f"^the Ray cluster at {address} is lost: "
        output = check_ends_with_results(sweep, tmp_path, why)
    assert " Continue with: python " in output
    check_only_log_lines(output)
    swept(tmp_path, *OVERRIDES, faults={"steps": 20})
    check_complete(tmp_path, 4)
