"""Shares of a step, and impossible combinations of processes and devices."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ugro.config import Config
from ugro.config.parallel import batch_share
from ugro.config.training import TrainingConfig
from ugro.config.validation.validation import validate
from ugro.errors import UserError
from ugro.trial.data.rows import Schedule

COUNTS = st.integers(1, 12)


@hypothesis_settings(deadline=None)
@given(batch=COUNTS, accumulation=COUNTS, processes=COUNTS, steps=st.integers(1, 4))
def test_the_processes_share_each_step_evenly_or_not_at_all(
    batch: int, accumulation: int, processes: int, steps: int
) -> None:
    training = TrainingConfig(batch_size=batch, gradient_accumulation_steps=accumulation)
    rows = batch * accumulation
    order = np.arange(steps * rows)
    plan = Schedule(order, np.arange(steps + 1), 1.0, 0.0)
    try:
        share = batch_share(training, processes)
    except UserError:
        assert rows % processes or batch % (processes // np.gcd(processes, accumulation))
        return
    assert share.batch_size * share.gradient_accumulation_steps * processes == rows
    own = [plan.own_order(share, rank).reshape(steps, -1) for rank in range(processes)]
    for step in range(steps):  # each row once, in its step
        shared = sorted(row for each in own for row in each[step])
        assert shared == list(range(step * rows, (step + 1) * rows))


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (("training.processes=2",), "training.processes: 2 given, allowed: null with"),
        (
            ("training.parallel=ddp", "training.processes=0"),
            "training.processes: 0 given, allowed: 1 or more",
        ),
        (
            ("training.parallel=ddp", "training.processes=3", "training.batch_size=4"),
            "training.batch_size: 4 given, allowed: a multiple of 3",
        ),
        (
            ("training.parallel=fsdp", "quantization=torchao_int8"),
            "training.parallel: 'fsdp' given, allowed: ddp with quantization.method=torchao_int8",
        ),
        (
            ("training.parallel=fsdp", "lora.init_lora_weights=pissa"),
            "lora.init_lora_weights: 'pissa' given, allowed: true, false, gaussian, ortho",
        ),
        (
            ("training.parallel=fsdp", "lora.use_dora=true"),
            "lora.use_dora: True given, allowed: false with training.parallel=fsdp",
        ),
        (
            ("training.parallel=fsdp", "adapter=delora"),
            "adapter: 'delora' given, allowed: another with training.parallel=fsdp",
        ),
        (("model=smollm2_135m", "model.device_map=all"), "model.device_map: 'all' given, allowed"),
        (("model=tiny", "model.device_map=auto"), "model.device_map: 'auto' given, allowed: null"),
        (
            ("model=smollm2_135m", "model.device_map=auto", "adapter=adalora"),
            "model.device_map: 'auto' given, allowed: null with adapter=adalora",
        ),
        (
            ("model=smollm2_135m", "model.device_map=auto", "training.parallel=ddp"),
            "model.device_map: 'auto' given, allowed: null with training.parallel",
        ),
    ],
)
def test_what_cannot_be_is_refused(
    overrides: tuple[str, ...], line: str, settings: Callable[..., Config]
) -> None:
    with pytest.raises(UserError, match=line):
        validate(settings(*overrides))
