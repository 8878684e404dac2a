"""Ray itself dies: UGRO's own is started again, another's ends the sweep in order."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from ..cluster.conftest import Nodes, nodes  # noqa: F401  the fixture
from .sweeps import SPACE, TWO_SLOTS, Sweep, check_complete, events, swept, wait_for

ASKED = ["study.name=s", SPACE, "hydra.sweeper.n_trials=4", *TWO_SLOTS]
LONG = {"steps": 20, "seconds": 0.3}


@contextmanager
def in_mid_sweep(folder: Path, asked: list[str], faults: dict[str, float]) -> Iterator[Sweep]:
    """A driver two of whose trials have a checkpoint."""
    trials = folder / "multirun" / "s" / "trials"
    with Sweep(folder, asked, faults) as sweep:
        wait_for(lambda: all(list(trials.glob(f"000{n}/checkpoints/*")) for n in range(2)))
        time.sleep(1)
        yield sweep


def process_of_ray(sweep: Sweep, name: str) -> psutil.Process | None:
    """A process of a local Ray that the driver has started and that lives."""
    for one in psutil.Process(sweep.process.pid).children(recursive=True):
        try:
            if one.name().startswith(name) and one.status() != psutil.STATUS_ZOMBIE:
                return one
        except psutil.NoSuchProcess:
            continue
    return None


def only_lines_of_the_sweep(said: str) -> None:
    """That nothing but lines with a time stands before the table of results."""
    assert "Traceback" not in said
    before = said.split("\nStudy s ")[0].splitlines()
    assert [line for line in before if not re.match(r"\d\d:\d\d:\d\d \S", line)] == []


def said_to_go_on(sweep: Sweep) -> int:
    """How many trials were taken up again; -1 before two were begun."""
    said = sweep.said()
    return said.count(" goes on: ") if "trial 1: " in said else -1


def ends_with_its_results(sweep: Sweep, folder: Path, why: str) -> str:
    """That the driver says in its last line why it ends; all that it has said."""
    assert sweep.ends() == 1
    said = sweep.said()
    assert "Traceback" not in said
    assert re.search(why, said.splitlines()[-1])
    assert (folder / "multirun" / "s" / "trials.csv").exists()
    return said


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
def test_a_local_ray_that_dies_is_started_again(vital: str, why: str, tmp_path: Path) -> None:
    with in_mid_sweep(tmp_path, ASKED, LONG) as sweep:
        killed = process_of_ray(sweep, vital)
        assert killed
        killed.kill()
        assert sweep.ends() == 0, sweep.said()
        said = sweep.said()
    check_complete(tmp_path, 4)
    assert f"warning: Ray is started again: {why}\n" in said
    only_lines_of_the_sweep(said)
    again = events(tmp_path / "multirun" / "s", "TrialRetried")
    assert [(one["number"], one["times"]) for one in again] == [(0, 0), (1, 0)]  # none is to blame


@pytest.mark.faults
def test_trials_for_which_there_is_no_memory_are_run_again_as_often_as_they_may(
    tmp_path: Path,
) -> None:
    """Ray's memory monitor, told that all of the memory is in use, kills whatever runs."""
    full = {"RAY_memory_usage_threshold": "0.01", "RAY_memory_monitor_refresh_ms": "100"}
    asked = [*ASKED, "hydra.sweeper.n_trials=2", "study.max_retries=1"]
    with Sweep(tmp_path, asked, LONG, full) as sweep:
        ends_with_its_results(sweep, tmp_path, "every trial failed|all failed|2 trials failed")
        said = sweep.said()
    assert re.search(r"killed due to the node running low on memory \(.* limit\)\n", said)
    only_lines_of_the_sweep(said)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("init.nonsense=1", r"init: .*RuntimeError: Unknown keyword argument\(s\): .*nonsense"),
        ("init.num_gpus=1", "init: .*ValueError: Attempting to start raylet with 1 GPU, but CUDA_"),
        ("init._temp_dir=/proc/no", "init: Ray does not start: FileNotFoundError.*/proc/no"),
        ("remote.num_gpus=1", "remote.num_gpus: 1 given, allowed: 0 at most here, as CUDA_VISIBLE"),
    ],
)
def test_a_ray_that_cannot_be_started_is_told_in_a_line(
    given: str, told: str, tmp_path: Path
) -> None:
    asked = [*ASKED, f"++hydra.launcher.ray.{given}"]
    with Sweep(tmp_path, asked, environment={"CUDA_VISIBLE_DEVICES": ""}) as sweep:
        assert sweep.ends() == 1
    begun, line = sweep.said().splitlines()
    assert begun.endswith("Ray starts")
    assert re.match(rf"hydra\.launcher\.ray\.{told}", line)
    assert not (tmp_path / "multirun" / "s" / "study.db").exists()  # nothing was begun


@pytest.mark.faults
def test_a_long_path_of_temporary_files_is_no_hindrance(tmp_path: Path) -> None:
    long = tmp_path / (90 * "d")
    long.mkdir()
    said = swept(tmp_path, *ASKED, environment={"TMPDIR": str(long)})
    assert "Ray's own files are in /tmp/ugro-" in said
    check_complete(tmp_path, 4)


@pytest.mark.faults
def test_a_local_ray_that_dies_again_and_again_ends_the_sweep_in_order(tmp_path: Path) -> None:
    with Sweep(tmp_path, ASKED, {"steps": 20, "seconds": 2}) as sweep:
        for times in range(4):
            wait_for(lambda: said_to_go_on(sweep) == 2 * times)  # noqa: B023
            killed = process_of_ray(sweep, "raylet")
            assert killed
            killed.kill()
        why = "^Ray has ended 4 times while no trial got on: its raylet ended with exit code -9$"
        said = ends_with_its_results(sweep, tmp_path, why)
    assert " Continue with: python " in said
    only_lines_of_the_sweep(said)
    swept(tmp_path, *ASKED, faults=LONG)
    check_complete(tmp_path, 4)


def lost() -> None:
    for one in psutil.Process().children(recursive=True):
        if one.name().startswith(("raylet", "gcs_server", "ray::")):
            one.kill()


def headless() -> None:
    for one in psutil.Process().children(recursive=True):
        if one.name().startswith("gcs_server"):
            one.kill()


@pytest.mark.faults
@pytest.mark.parametrize(
    ("end", "client"),
    [(lost, False), (headless, False), (lost, True)],
    ids=["all", "head", "client"],
)
def test_a_cluster_that_goes_away_ends_the_sweep_in_order(
    end: Callable[[], None],
    client: bool,
    nodes: Nodes,  # noqa: F811
    tmp_path: Path,
) -> None:
    nodes.add(num_cpus=2)
    address = nodes.client if client else nodes.address
    asked = [
        "study.name=s",
        SPACE,
        "hydra.sweeper.n_trials=4",
        "hydra/launcher=ray_cluster",
        "hydra.launcher.secrets=[FAULTS]",
        f"hydra.launcher.ray.init.address={address}",
        TWO_SLOTS[1],
    ]
    with in_mid_sweep(tmp_path, asked, {"steps": 200, "seconds": 0.3}) as sweep:
        end()
        why = f"^the Ray cluster at {address} is gone: "
        said = ends_with_its_results(sweep, tmp_path, why)
    assert " Continue with: python " in said
    only_lines_of_the_sweep(said)
    swept(tmp_path, *ASKED, faults=LONG)
    check_complete(tmp_path, 4)
