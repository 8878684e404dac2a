"""Read the log ``run-ID.wandb`` of a run of Weights & Biases, which an offline run consists of.

It is a log in LevelDB's format: blocks of 32 KiB with records that may be split, each a message of
W&B's protocol. https://github.com/google/leveldb/blob/main/doc/log_format.md
"""

import json
import struct
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from ugro.errors import UserError, fault
from ugro.study.importing.wandb_run import FINISHED, Run, flat, number

MAGIC = b":W&B"
START = 7  # bytes of the file's own header
HEADER, BLOCK = 7, 2**15  # bytes
FULL, LAST = 1, 4  # kinds of a record's parts; after both the record is complete


def run_of_log(path: Path) -> Run:
    """Read a run from its log.

    Args:
        path: of the log

    Raises:
        UserError: the package wandb is missing, or the file is damaged.
    """
    try:
        from google.protobuf.message import DecodeError
        from wandb.proto.wandb_internal_pb2 import Record
    except ImportError as error:
        allowed = "files with files/config.yaml, or to read this one: pip install wandb"
        raise UserError(fault("wandb", str(path), allowed)) from error
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    history: dict[int, dict[str, Any]] = {}
    name, state, began = path.parent.name, "running", None
    try:
        for data in _records(path):
            record = Record.FromString(data)
            match record.WhichOneof("record_type"):
                case "run":
                    name = record.run.display_name or name
                    began = datetime.fromtimestamp(record.run.start_time.seconds)
                    _update(config, record.run.config.update)
                case "config":
                    _update(config, record.config.update)
                case "summary":
                    _update(summary, record.summary.update)
                case "history":
                    _update(history.setdefault(record.history.step.num, {}), record.history.item)
                case "exit":
                    state = "failed" if record.exit.exit_code else FINISHED
    except (DecodeError, struct.error, ValueError) as error:
        raise UserError(fault("wandb", str(path), f"an undamaged log ({error})")) from error
    seconds = number(summary.get("_runtime"))
    return Run(
        name,
        state,
        flat(config),
        flat(summary),
        {step: flat(values) for step, values in history.items()},
        began,
        seconds,
    )


def _records(path: Path) -> Iterator[bytes]:
    """Yield the complete records; a run that was killed may have left a part of one."""
    data = path.read_bytes()
    if not data.startswith(MAGIC):
        raise ValueError("it does not begin as one")
    at, complete = START, b""
    while at + HEADER <= len(data):
        left = BLOCK - at % BLOCK
        if left < HEADER:  # the end of a block is padded
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        part = data[at + HEADER : at + HEADER + length]
        if len(part) < length:
            return
        at += HEADER + length
        complete += part
        if kind in (FULL, LAST):
            yield complete
            complete = b""


def _update(values: dict[str, Any], items: Iterable[Any]) -> None:
    for item in items:
        *path, last = item.nested_key or [item.key]
        inner = values
        for key in path:
            inner = inner.setdefault(key, {})
        inner[last] = json.loads(item.value_json)
