import pytest

from ugro.errors import UserError
from ugro.sweep.preflight.memory import fits_gpu

GB = 1e9
TRIAL = {
    "weights": 6.8 * GB,
    "states": 2.1 * GB,
    "activations": 1.8 * GB,
    "process": 0.5 * GB,
    "memory": 11.2 * GB,
    "total_memory": 16 * GB,
}


def test_a_trial_fits_a_gpu_by_what_is_free() -> None:
    parts = "weights 6.8 GB, gradients and optimizer 2.1 GB, activations 1.8 GB, the process 0.5 GB"
    expected = f"fits 16 GB: 11.2 GB estimated, 4.8 GB free ({parts})"
    assert fits_gpu(TRIAL, 1, 16) == expected


def test_a_trial_does_not_fit_a_smaller_gpu_and_is_told_by_how_much() -> None:
    small = {**TRIAL, "total_memory": 8 * GB}
    with pytest.raises(UserError, match=r"^does not fit 8 GB: .*, 3\.2 GB too much .*batch_size"):
        fits_gpu(small, 1, 8)


def test_trials_that_share_a_gpu_have_a_part_of_it() -> None:
    with pytest.raises(UserError, match=r"^does not fit 8\.0 GB, 1/2 of 16 GB .*num_gpus"):
        fits_gpu(TRIAL, 2, 16)
    large = {**TRIAL, "total_memory": 24 * GB}
    assert fits_gpu(large, 2, 24).startswith("fits 12.0 GB, 1/2 of 24 GB")
    assert "0.8 GB free" in fits_gpu(large, 2, 24)
