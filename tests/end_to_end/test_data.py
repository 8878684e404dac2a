"""People's own data, through the command line."""

import json
from pathlib import Path

import pytest

from ..conftest import QUICK
from .studies import IN_PROCESS, TrainPy, table


@pytest.fixture
def asked(tmp_path: Path) -> list[str]:
    """A trial of a small file of records."""
    file = tmp_path / "records.jsonl"
    records = [
        {"prompt": f"{number} plus {number}: ", "completion": f"{2 * number}, no doubt"}
        for number in range(60)
    ]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return [*QUICK, "data=jsonl", f"data.train_files=[{file}]", "data.block_size=64"]


def test_packing_does_not_change_what_is_measured(
    asked: list[str], train_py: TrainPy, tmp_path: Path
) -> None:
    sweep = ["data.packing=bfd,wrapped,none", "study.name=packing", IN_PROCESS]
    done = train_py("-m", *asked, *sweep)
    assert done.returncode == 0, done.stderr
    rows = table(tmp_path / "multirun" / "packing")
    assert {row["data.packing"] for row in rows} == {"bfd", "wrapped", "none"}
    base = {row["base_eval_loss"] for row in rows}
    assert len(base) == 1
    assert all(float(row["eval_loss"]) < float(*base) for row in rows)


def test_a_malformed_record_is_one_line_with_its_place(
    asked: list[str], train_py: TrainPy, tmp_path: Path
) -> None:
    file = tmp_path / "records.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:7], '{"question": 1}', *lines[7:]]))
    done = train_py(*asked)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        f"error: {file}:8: ['question'] given, allowed: {{prompt"
    )
    assert "Traceback" not in done.stderr
    skipped = train_py(*asked, "data.bad_records=skip")
    assert skipped.returncode == 0, skipped.stderr
    assert f"1 malformed record skipped, the first: {file}:8" in skipped.stdout + skipped.stderr


def test_a_former_key_is_one_line_with_its_new_name(asked: list[str], train_py: TrainPy) -> None:
    done = train_py(*asked, "data.max_eval_blocks=4")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: data.max_eval_blocks: 4 given, allowed: its new name, data.max_eval_examples"
    ]
