"""How many trials fit onto nodes, one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ugro.slots.capacity import fit, key_of, most, wanted_by

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
