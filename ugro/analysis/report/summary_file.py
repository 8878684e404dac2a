"""What of the findings can other programs read? ``analysis/summary.json``: docs/analysis.md."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ugro.analysis.findings.findings import Findings
from ugro.paths import write_atomically

FORMAT = 1  # counts up when a key is renamed or taken away


def write_summary(findings: Findings, path: Path) -> None:
    """Write the findings; the same ones give the same bytes."""
    write_atomically(path, json.dumps(summary(findings), indent=2, allow_nan=False) + "\n")


def summary(findings: Findings) -> dict[str, Any]:
    """The findings as plain values; what is no number in JSON, such as infinity, is null."""
    told = {"format": FORMAT, **asdict(findings)}
    plain: dict[str, Any] = _plain(told)
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
