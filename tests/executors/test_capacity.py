"""Number of trials that fit on nodes."""

import platform
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ugro.errors import UserError
from ugro.executors.capacity import Capacity, config_key, count_fitting, maximum, resources_of

SMALL = {"CPU": 3, "GPU": 1, "memory": 8e9}
LARGE = {"CPU": 16, "GPU": 4, "memory": 64e9, "accelerator_type:H100": 1, "disk": 2}


@pytest.mark.parametrize(
    ("remote", "count"),
    [
        ({"num_cpus": 1}, 3 + 2 * 16),
        ({"num_cpus": 2}, 1 + 2 * 8),  # the third processor of the small node stays idle
        ({"num_cpus": 1, "num_gpus": 1}, 1 + 2 * 4),
        ({"num_cpus": 1, "num_gpus": 2}, 2 * 2),
        ({"num_cpus": 0.5, "num_gpus": 0.5}, 2 + 2 * 8),
        ({"num_gpus": 0.4}, 2 + 2 * 8),  # a share cannot span two GPUs: two per GPU, not 2.5
        ({"num_gpus": 0.3}, 3 + 2 * 12),
        ({"num_cpus": 1, "memory": 16 * 10**9}, 2 * 4),
        ({"num_cpus": 1, "resources": {"disk": 1}}, 2 * 2),
        ({"num_cpus": 8, "accelerator_type": "H100"}, 2 * 2),
        ({"num_cpus": 1, "resources": None, "memory": None}, 3 + 2 * 16),
        ({"num_cpus": 17}, 0),
    ],
)
def test_a_trial_does_not_span_nodes(remote: dict[str, object], count: int) -> None:
    assert count_fitting(resources_of(remote), [SMALL, LARGE, LARGE]) == count


@given(
    st.sampled_from([0.05, 0.1, 0.125, 0.2, 0.25, 0.3, 0.35, 0.5, 0.7, 0.9]),
    st.integers(0, 8),
    st.integers(0, 64),
)
def test_shares_fill_each_gpu_without_exceeding_it(share: float, gpus: int, cpus: int) -> None:
    node = {"GPU": gpus, "CPU": cpus}
    each = count_fitting({"GPU": share}, [{"GPU": 1}])
    assert each * share <= 1 + 1e-9 < (each + 1) * share + 2e-9
    assert count_fitting({"GPU": share}, [node]) == each * gpus
    assert count_fitting({"GPU": share, "CPU": 1}, [node]) == min(each * gpus, cpus)


def test_the_largest_amounts_on_any_node_are_reported() -> None:
    requested = resources_of({"num_cpus": 17, "num_gpus": 1})
    assert maximum(requested, [SMALL, LARGE]) == {"CPU": 16, "GPU": 4}
    assert maximum(requested, []) == {"CPU": 0, "GPU": 0}


def test_a_resource_has_a_configuration_key() -> None:
    assert config_key("GPU") == "hydra.launcher.ray.remote.num_gpus"
    assert config_key("disk") == "hydra.launcher.ray.remote.resources.disk"


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_the_error_mentions_gpus_hidden_by_the_environment(
    hidden: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = Capacity({"CPU": 1.0, "GPU": 1.0}, is_local=True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    with pytest.raises(UserError) as raised:
        local.count([{"CPU": 4.0}])
    assert str(raised.value) == (
        "hydra.launcher.ray.remote.num_gpus: 1 given, allowed: 0 at most here, "
        f"as CUDA_VISIBLE_DEVICES={hidden!r} hides all"
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with pytest.raises(UserError, match=r"0 at most here$"):
        local.count([{"CPU": 4.0}])


def test_a_cluster_warns_once_and_waits_for_a_node(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cluster = Capacity({"GPU": 1.0}, is_local=False)
    assert [cluster.count([{"CPU": 4.0}]) for _ in range(2)] == [1, 1]
    assert len(caplog.messages) == 1
    assert cluster.count([{"GPU": 2.0}]) == 2


@pytest.mark.parametrize(
    ("system", "machine", "is_local", "count"),
    [
        ("darwin", "arm64", True, 1),
        ("darwin", "x86_64", True, 4),
        ("linux", "arm64", True, 4),
        ("darwin", "arm64", False, 4),  # the cluster's nodes may have other devices
    ],
)
def test_a_mac_with_mps_has_a_single_slot(
    system: str,
    machine: str,
    is_local: bool,
    count: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert Capacity({"CPU": 2.0}, is_local).count([{"CPU": 8.0}]) == count
