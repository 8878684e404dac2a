import os

import pytest
import torch

from ugro.config import Dtype
from ugro.errors import UserError
from ugro.trial import hardware

on_cpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


def test_the_threads_are_those_that_were_allotted(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    hardware.use_allotted_threads()
    assert torch.get_num_threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    hardware.use_allotted_threads()
    assert torch.get_num_threads() == 2
    monkeypatch.delenv("OMP_NUM_THREADS")
    hardware.use_allotted_threads()
    assert torch.get_num_threads() == os.cpu_count()
    torch.set_num_threads(before)


@on_cpu
def test_a_cpu_trains_in_float32_unless_forced() -> None:
    assert hardware.precision(Dtype.auto) is torch.float32
    assert hardware.precision(Dtype.bf16) is torch.bfloat16
    with pytest.raises(UserError, match=r"^training\.dtype: 'fp16' given, allowed: "):
        hardware.precision(Dtype.fp16)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_trains_in_bfloat16_where_it_can() -> None:
    expected = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    assert hardware.precision(Dtype.auto) is expected


@on_cpu
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs Linux")
def test_peak_memory_is_of_this_trial_not_of_the_process() -> None:
    hardware.reset_peak_memory()
    before = hardware.peak_memory_mb()
    held = torch.ones(64, 2**20, dtype=torch.float32)  # 256 MiB
    peak = hardware.peak_memory_mb()
    assert 200 < peak - before < 400
    del held
    hardware.reset_peak_memory()
    assert hardware.peak_memory_mb() < peak - 200
