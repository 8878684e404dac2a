"""Pages of one file: template, style, scripts and plotly.js are inside, and nothing is loaded.

The page's Content-Security-Policy allows its own scripts by their hashes and no others.
"""

import base64
import hashlib
import shlex
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from ugro.analysis.confirmation.verdicts import digits, with_spread
from ugro.analysis.figures.drawing.theme import DARK, template
from ugro.formatting import number, share
from ugro.redaction import redacted

STYLE, FIGURES_SCRIPT = "report.css", "figures.js"


def render(name: str, scripts: Sequence[str], context: Mapping[str, Any]) -> str:
    """Render a page; texts from outside are escaped, in scripts too.

    Args:
        name: of the template, beside this module
        scripts: of the page's own, beside this module, in order
        context: of the template
    """
    code = [get_plotlyjs(), "\n".join(map(_text, (FIGURES_SCRIPT, *scripts)))]
    own = {
        "style": Markup(_text(STYLE)),
        "scripts": [Markup(script) for script in code],
        "allowed": [_hash(script) for script in code],
        "theme": {"dark": DARK, "template": template().to_plotly_json()},
    }
    return _environment().get_template(name).render({**own, **context})


def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_text),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
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
    return environment


def _setting(value: Any) -> str:
    """Format a setting as YAML writes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return number(value)


def _text(name: str) -> str:
    return (files("ugro.analysis.report") / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """The source expression of a script in a Content-Security-Policy."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
