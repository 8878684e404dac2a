"""The findings for programs: ``analysis/summary.json``, documented in docs/analysis.md."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ugro.analysis.findings.findings import Findings
from ugro.paths import write_atomically

FORMAT = 1  # increases when a key is renamed or removed


def write_summary(findings: Findings, path: Path) -> None:
    """Write the findings; equal findings give equal bytes."""
    write_atomically(path, json.dumps(summary(findings), indent=2, allow_nan=False) + "\n")


def summary(findings: Findings) -> dict[str, Any]:
    """Convert the findings to JSON values; NaN and infinity become null."""
    plain: dict[str, Any] = _plain({"format": FORMAT, **asdict(findings)})
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
