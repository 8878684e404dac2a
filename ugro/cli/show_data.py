"""Print one document of the data as a trial sees it: ``ugro show-data data=... index=0``."""

import re
from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from rich.console import Console
from rich.text import Text

from ugro.cli.train import refuse_removed_keys
from ugro.config import Config, register_schema, typed
from ugro.config.training_length import row_length
from ugro.config.validation.validation import validate
from ugro.errors import UserError, fault
from ugro.formatting import counted, printable
from ugro.paths import configuration_folder
from ugro.trial.data.split import PARTS
from ugro.trial.example import MARKS, ShownDocument, ShownExample, show_document

TRAINED = "bold green"  # on a terminal


def main(arguments: list[str], console: Console | None = None) -> None:
    """Print the document.

    Args:
        arguments: ``index=NUMBER`` and ``part=train|eval|test`` or an evaluation set; others are
            overrides, as of ``ugro train``
        console: by default standard output

    Raises:
        UserError: the configuration is invalid, or the part has no such document.
    """
    own = {"index": "0", "part": "train"}
    overrides = []
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name in own:
            own[name] = value
        else:
            overrides.append(argument)
    if not re.fullmatch(r"-?\d+", own["index"]):
        raise UserError(fault("index", own["index"], "a number, from 0"))
    index = int(own["index"])
    config = _configuration(overrides)
    parts = (*PARTS, *config.data.eval_sets)
    if own["part"] not in parts:
        raise UserError(fault("part", own["part"], ", ".join(parts)))
    document = show_document(config, own["part"], index)
    _print(document, f"{own['part']} document {index}", config, console or Console())


def _configuration(overrides: Sequence[str]) -> Config:
    from ugro.plugins.sweeper import register_plugins

    flags = [one for one in overrides if one.startswith("-")]
    if flags:
        raise UserError(fault("argument", flags[0], "index=NUMBER, part=NAME and KEY=VALUE"))
    refuse_removed_keys(overrides)
    register_schema()
    register_plugins()
    try:
        with initialize_config_dir(config_dir=str(configuration_folder())):
            settings = typed(compose("config", ["study.name=show", *overrides]))
    except UserError:
        raise
    except HydraException as error:
        told = [error, error.__cause__] if error.__cause__ else [error]
        raise UserError(" ".join(str(one).splitlines()[0] for one in told)) from error
    validate(settings)
    return settings


def _print(document: ShownDocument, name: str, config: Config, console: Console) -> None:
    is_styled = console.is_terminal and not console.no_color
    legend = Text("trained text", TRAINED) if is_styled else Text("trained text".join(MARKS))
    lines = [Text(f"{name}: {document.place}, read as {document.format}; ").append_text(legend)]
    for number, example in enumerate(document.examples, start=1):
        several = f"example {number} of {len(document.examples)}: "
        trained = f", {example.trained:,} trained" if example.label is None else " and a label"
        counts = f"{counted(example.tokens, 'token')}{trained}"
        head = several if len(document.examples) > 1 else ""
        lines += [
            Text(f"{head}{counts}{_too_long(example, name, config)}"),
            Text(""),
            _styled(example) if is_styled else Text(printable(example.marked())),
            Text(""),
        ]
    for line in lines[:-1]:
        console.print(line, soft_wrap=True, highlight=False)


def _too_long(example: ShownExample, name: str, config: Config) -> str:
    size = row_length(config.data, of_training=name.startswith("train"))
    if example.is_running or example.tokens <= size:
        return ""
    return f"; longer than a row of {size:,}: data.too_long={config.data.too_long.name}"


def _styled(example: ShownExample) -> Text:
    styles = (TRAINED if piece.is_trained else "" for piece in example.pieces)
    texts = (printable(piece.text) for piece in example.pieces)
    return Text.assemble(*zip(texts, styles, strict=True))
