import os
from pathlib import Path

import pytest
import torch
from transformers import Trainer, TrainingArguments

from ugro.config import Dtype
from ugro.errors import UserError
from ugro.trial import hardware

from .small_models import small_model

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


@pytest.mark.parametrize(
    ("given", "used"), [("2,1", 2), (" 1 , 4", 1), ("0", None), ("many", None), ("-1", None)]
)
def test_openmp_lists_are_read_and_nonsense_is_told_once(
    given: str,
    used: int | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    hardware.use_allotted_threads()
    assert torch.get_num_threads() == (used or os.cpu_count())
    told = [] if used else [f"OMP_NUM_THREADS: {given!r} given, allowed: 1 or more; all "]
    assert [line.partition("all ")[0] + "all " for line in caplog.messages] == told
    torch.set_num_threads(before)


def test_a_build_for_an_accelerator_that_is_not_there_trains_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def current(check_available: bool = False) -> torch.device | None:
        """Return torch's answer in a CUDA build without a GPU."""
        return None if check_available else torch.device("cuda")

    monkeypatch.setattr(torch.accelerator, "current_accelerator", current)
    assert hardware.device() == torch.device("cpu")
    assert hardware.device_name() == "cpu"
    assert hardware.precision(Dtype.auto) is torch.float32


@pytest.mark.parametrize(
    ("there", "bf16", "auto"),
    [
        ("cuda", True, torch.bfloat16),
        ("cuda", False, torch.float16),  # a T4
        ("mps", True, torch.float32),
    ],
)
def test_bfloat16_is_used_only_where_it_is_real(
    there: str, bf16: bool, auto: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        torch.accelerator, "current_accelerator", lambda check_available: torch.device(there)
    )
    monkeypatch.setattr(
        torch.cuda,
        "is_bf16_supported",
        lambda including_emulation=True: bf16 or including_emulation,
    )
    assert hardware.precision(Dtype.auto) is auto
    assert hardware.precision(Dtype.fp16) is torch.float16  # forced


def test_metal_has_bfloat16_from_macos_14_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        torch.accelerator, "current_accelerator", lambda check_available: torch.device("mps")
    )
    monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", lambda major, minor: major <= 13)
    with pytest.raises(UserError, match=r"^training\.dtype: 'bf16' given, allowed: auto, fp32 or"):
        hardware.precision(Dtype.bf16)
    monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", lambda major, minor: major <= 15)
    assert hardware.precision(Dtype.bf16) is torch.bfloat16


def test_a_trial_uses_one_gpu_of_the_eight_that_it_sees(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)

    def arguments() -> TrainingArguments:
        return TrainingArguments(
            output_dir=str(tmp_path), per_device_train_batch_size=2, max_steps=1, report_to="none"
        )

    assert arguments().train_batch_size == 16  # transformers' own
    one = hardware.on_one_device(arguments())
    assert (one.n_gpu, one.train_batch_size, one.eval_batch_size) == (1, 2, 8)
    ids = torch.arange(64).reshape(8, 8)
    batches: list[torch.Size] = []
    model = small_model("llama").requires_grad_(True)
    model.register_forward_pre_hook(
        lambda _, __, given: batches.append(given["input_ids"].shape), with_kwargs=True
    )
    data = [{"input_ids": row, "labels": row} for row in ids]
    trainer = Trainer(model=model, args=one, train_dataset=data)
    trainer.train()
    assert batches == [(2, 8)]
    assert not isinstance(trainer.model_wrapped, torch.nn.DataParallel)


@on_cpu
def test_a_cpu_trains_in_float32_unless_forced() -> None:
    assert hardware.precision(Dtype.auto) is torch.float32
    assert hardware.precision(Dtype.bf16) is torch.bfloat16
    with pytest.raises(UserError, match=r"^training\.dtype: 'fp16' given, allowed: "):
        hardware.precision(Dtype.fp16)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_trains_in_bfloat16_where_it_can() -> None:
    real = torch.cuda.is_bf16_supported(including_emulation=False)
    expected = torch.bfloat16 if real else torch.float16
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
