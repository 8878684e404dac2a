from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from ugro.config import typed
from ugro.errors import UserError
from ugro.space.composition import without_hydra
from ugro.sweep.plan import Plan
from ugro.sweep.preflight.preflight import disk

from ...disks import mounted
from ...spaces import Feasible

MIB = 2**20


def plan(feasible: Feasible, **settings: Any) -> Plan:
    space = feasible("lora.r=4,8")
    trial = space.composer.compose({}).copy()
    for key, value in settings.items():
        OmegaConf.update(trial, key, value, merge=False)
    return Plan(trial, typed(without_hydra(trial)), space, [], 10, {}, "RandomSampler")


def test_insufficient_disk_space_is_reported(
    feasible: Feasible, composed: Callable[..., DictConfig], tmp_path: Path
) -> None:
    """Ten adapters with two checkpoints of three times their size: 70 times an adapter."""
    with mounted(tmp_path / "disk", "size=32m") as small:
        folder = small / "multirun" / "s"
        with pytest.raises(UserError, match=r"make room"):
            disk(plan(feasible), 0.5 * MIB, MIB, folder)
        text = disk(plan(feasible), 0.4 * MIB, 0.8 * MIB, folder)
        assert f"{small} has" in text
        assert disk(plan(feasible, **{"study.keep_checkpoints": "none"}), 0.5 * MIB, MIB, folder)
        scheduler = composed("study.name=s", "scheduler=promotion_asha").scheduler
        pauses = {"study.keep_checkpoints": "none", "scheduler": scheduler}
        with pytest.raises(UserError, match="make room"):  # all trials may be paused
            disk(plan(feasible, **pauses), 0.5 * MIB, MIB, folder)
        (small / "ballast").write_bytes(bytes(8 * MIB))
        with pytest.raises(UserError, match="make room"):
            disk(plan(feasible), 0.4 * MIB, 0.8 * MIB, folder)
        assert not folder.exists()


def test_a_read_only_folder_is_reported(feasible: Feasible, tmp_path: Path) -> None:
    with (
        mounted(tmp_path / "disk", "ro") as disk_of_it,
        pytest.raises(UserError, match=r"^study\.dir: .* a folder that can be written"),
    ):
        disk(plan(feasible), 0.0, 0.0, disk_of_it / "s")
