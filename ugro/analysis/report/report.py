"""What does a person open who wants to know what came out? ``analysis/report.html``, one file.

Everything is in it, plotly.js and the data too: it works offline and can be sent by mail. The page
allows its own two scripts and no others, and loads nothing from anywhere.
"""

import base64
import hashlib
import shlex
import time
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from ugro.analysis.confirmation.confirmation import Confirmation
from ugro.analysis.findings.findings import Findings
from ugro.analysis.importance.importance import Importances
from ugro.analysis.tables import Tables
from ugro.formatting import number, share
from ugro.paths import BEST, write_atomically
from ugro.redaction import redacted
from ugro.shell import best_command

TEMPLATE, STYLE, SCRIPT = "report.html.j2", "report.css", "report.js"


def write_report(
    tables: Tables,
    importances: Sequence[Importances],
    findings: Findings,
    confirmation: Confirmation | None,
    path: Path,
) -> None:
    """Write the report, whatever there is to report.

    Args:
        tables: the study
        importances: of its keys
        findings: what a person wants to know first
        confirmation: of its best trials, where there was one
        path: of the file, in the folder ``analysis`` of the study's own
    """
    best = path.parents[1] / BEST
    again = best_command(path.parents[1])
    page = _page(tables, importances, findings, confirmation, again if best.exists() else "")
    write_atomically(path, page)


def _page(
    tables: Tables,
    importances: Sequence[Importances],
    findings: Findings,
    confirmation: Confirmation | None,
    again: str,
) -> str:
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    from ugro.analysis.interactive import look
    from ugro.analysis.interactive.drawn import drawn, told
    from ugro.analysis.pictures.subject import subject_of
    from ugro.analysis.report.failures import failures_of
    from ugro.analysis.report.first_screen import first_screen
    from ugro.analysis.report.how_run import how_run, utc
    from ugro.analysis.report.sections import sections_of
    from ugro.analysis.report.standing import standing
    from ugro.analysis.report.trial_list import trial_list

    subject = subject_of(tables, tuple(importances))
    sections = sections_of(subject, tuple(one.number for one in findings.front), confirmation)
    plotly, script = get_plotlyjs(), _text(SCRIPT)
    context = {
        "findings": findings,
        "importances": importances,
        "confirmation": confirmation,
        "first": first_screen(findings, confirmation),
        "standing": standing(findings),
        "sections": sections,
        "thinned": told(subject, drawn(subject)),
        "failures": failures_of(tables),
        "run": how_run(tables),
        "trials": trial_list(tables, findings.best.number if findings.best else None),
        "again": redacted(again),
        "written": utc(time.time()),
        "style": Markup(_text(STYLE)),
        "script": Markup(script),
        "plotly": Markup(plotly),
        "allowed": [_hash(plotly), _hash(script)],
        "look": {"dark": look.DARK, "template": look.template().to_plotly_json()},
    }
    return _rendered(context)


def _rendered(context: Mapping[str, Any]) -> str:
    """The page; what comes from outside is escaped, in scripts too."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    from ugro.analysis.confirmation.verdicts import digits, with_spread

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    environment.filters |= {
        "setting": _setting,
        "share": share,
        "redacted": redacted,
        "digits": digits,
        "with_spread": with_spread,
        "quoted": shlex.quote,
        # plotly escapes what would end a script.
        "figure": lambda panel: Markup(panel.figure.to_json(engine="json")),
    }
    return environment.from_string(_text(TEMPLATE)).render(context)


def _setting(value: Any) -> str:
    """As YAML has it, and no longer than it needs to be."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return number(value)


def _text(name: str) -> str:
    return (files("ugro.analysis.report") / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """As a Content-Security-Policy names a script that may run."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
