"""How many trials fit onto nodes, one by one."""

import platform
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ugro.errors import UserError
from ugro.executors.capacity import Capacity, fit, key_of, most, wanted_by

SMALL = {"CPU": 3, "GPU": 1, "memory": 8e9}
LARGE = {"CPU": 16, "GPU": 4, "memory": 64e9, "accelerator_type:H100": 1, "disk": 2}


@pytest.mark.parametrize(
    ("remote", "count"),
    [
        ({"num_cpus": 1}, 3 + 2 * 16),
        ({"num_cpus": 2}, 1 + 2 * 8),  # the third processor of the small node is of no use
        ({"num_cpus": 1, "num_gpus": 1}, 1 + 2 * 4),
        ({"num_cpus": 1, "num_gpus": 2}, 2 * 2),
        ({"num_cpus": 0.5, "num_gpus": 0.5}, 2 + 2 * 8),
        ({"num_gpus": 0.4}, 2 + 2 * 8),  # a share is of one GPU: two on each, not 2.5
        ({"num_gpus": 0.3}, 3 + 2 * 12),
        ({"num_cpus": 1, "memory": 16 * 10**9}, 2 * 4),
        ({"num_cpus": 1, "resources": {"disk": 1}}, 2 * 2),
        ({"num_cpus": 8, "accelerator_type": "H100"}, 2 * 2),
        ({"num_cpus": 1, "resources": None, "memory": None}, 3 + 2 * 16),
        ({"num_cpus": 17}, 0),
    ],
)
def test_a_trial_lies_on_one_node(remote: dict[str, object], count: int) -> None:
    assert fit(wanted_by(remote), [SMALL, LARGE, LARGE]) == count


@given(
    st.sampled_from([0.05, 0.1, 0.125, 0.2, 0.25, 0.3, 0.35, 0.5, 0.7, 0.9]),
    st.integers(0, 8),
    st.integers(0, 64),
)
def test_shares_fill_each_gpu_and_never_more(share: float, gpus: int, cpus: int) -> None:
    node = {"GPU": gpus, "CPU": cpus}
    each = fit({"GPU": share}, [{"GPU": 1}])
    assert each * share <= 1 + 1e-9 < (each + 1) * share + 2e-9
    assert fit({"GPU": share}, [node]) == each * gpus
    assert fit({"GPU": share, "CPU": 1}, [node]) == min(each * gpus, cpus)


def test_what_fits_nowhere_is_compared_with_the_best_node() -> None:
    wanted = wanted_by({"num_cpus": 17, "num_gpus": 1})
    assert most(wanted, [SMALL, LARGE]) == {"CPU": 16, "GPU": 4}
    assert most(wanted, []) == {"CPU": 0, "GPU": 0}


def test_a_resource_is_named_by_its_key() -> None:
    assert key_of("GPU") == "hydra.launcher.ray.remote.num_gpus"
    assert key_of("disk") == "hydra.launcher.ray.remote.resources.disk"


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_where_the_environment_hides_all_gpus_the_refusal_says_so(
    hidden: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Capacity({"CPU": 1.0, "GPU": 1.0}, is_local=True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    with pytest.raises(UserError) as told:
        here.count([{"CPU": 4.0}])
    assert str(told.value) == (
        "hydra.launcher.ray.remote.num_gpus: 1 given, allowed: 0 at most here, "
        f"as CUDA_VISIBLE_DEVICES={hidden!r} hides all"
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with pytest.raises(UserError, match=r"0 at most here$"):
        here.count([{"CPU": 4.0}])


def test_on_a_cluster_that_is_said_once_and_a_node_is_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    there = Capacity({"GPU": 1.0}, is_local=False)
    assert [there.count([{"CPU": 4.0}]) for _ in range(2)] == [1, 1]
    assert len(caplog.messages) == 1
    assert there.count([{"GPU": 2.0}]) == 2


@pytest.mark.parametrize(
    ("system", "machine", "is_local", "count"),
    [
        ("darwin", "arm64", True, 1),
        ("darwin", "x86_64", True, 4),
        ("linux", "arm64", True, 4),
        ("darwin", "arm64", False, 4),  # of the cluster's nodes nothing is known
    ],
)
def test_apples_one_device_is_one_slot(
    system: str,
    machine: str,
    is_local: bool,
    count: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert Capacity({"CPU": 2.0}, is_local).count([{"CPU": 8.0}]) == count
