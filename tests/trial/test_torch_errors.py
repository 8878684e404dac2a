import errno
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.conftest import QUICK
from tests.disks import fill, mounted
from ugro.config import Config
from ugro.events.channel import Answer, channel
from ugro.events.trial_report import Report
from ugro.retries import is_disk_trouble
from ugro.trial.torch_errors import translated
from ugro.trial.trial import run_trial

MIB = 2**20


def test_memory_that_the_machine_has_not_got_is_a_memory_error() -> None:
    _, hard = before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 64 * MIB, hard))
    try:
        with pytest.raises(MemoryError, match="can't allocate memory"), translated():
            torch.ones(256 * MIB)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_memory_that_the_gpu_has_not_got_is_a_memory_error() -> None:
    with pytest.raises(MemoryError, match="CUDA out of memory"), translated():
        torch.empty(2**50, dtype=torch.uint8, device="cuda")


def test_a_disk_without_room_is_an_os_error_whichever_way_torch_says_it(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=1m") as disk:
        for zipped in (True, False):
            with (
                pytest.raises(OSError, match=r"unexpected pos|No space left") as error,
                translated(),
            ):
                torch.save(torch.ones(MIB), disk / "file.pt", _use_new_zipfile_serialization=zipped)
            assert error.value.errno == errno.ENOSPC
            assert is_disk_trouble(error.value)


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="must match"), translated():
        torch.ones(2) + torch.ones(3)


class FullFor:
    """A channel that fills the disk temporarily at a step."""

    def __init__(self, ballast: Path, step: int, seconds: float) -> None:
        self._ballast = ballast
        self._step = step
        self._seconds = seconds

    def report(self, report: Report) -> Answer:
        if report.step == self._step:
            fill(self._ballast)
            threading.Timer(self._seconds, self._ballast.unlink).start()
        return Answer.CONTINUE

    def interrupted(self) -> bool:
        return False


@pytest.mark.parametrize("step", [2, 4])  # then a checkpoint is written, then the adapter, too
def test_a_disk_that_is_full_for_a_while_changes_nothing(
    step: int, settings: Callable[..., Config], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = settings(*QUICK)
    calm = tmp_path / "calm"
    calm.mkdir()
    with mounted(tmp_path / "disk", "size=24m") as disk:
        began = time.monotonic()
        result = run_trial(config, disk, FullFor(disk / "ballast", step, 2.0))
        assert time.monotonic() - began > 2.0
        assert (disk / "adapter" / "adapter_model.safetensors").exists()
    assert "The checkpoint cannot be written, trying again" in caplog.text
    assert float(result) == float(run_trial(config, calm, channel()))
