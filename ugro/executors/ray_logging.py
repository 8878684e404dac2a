"""Redirect Ray's output from the terminal to the sweep's log."""

import logging
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from ugro.logs import use_root_handlers

SENTENCE_ENDS = re.compile(r"\.\s|\n")
MEMORY = re.compile(r"[\d.]+[KMGT]?B used / [\d.]+[KMGT]?B limit")
log = logging.getLogger("ray")


@cache
def redirect_to_log() -> None:
    """Redirect Ray's output; to be called before Ray starts.

    For a lost worker Ray prints a dozen lines with a function that has no setting, at least in
    2.60. If Ray renames that function, the lines appear on the terminal again.
    """
    from ray._private import worker
    from ray.util.client.logsclient import LogstreamClient

    use_root_handlers("ray")
    use_root_handlers(LogstreamClient.__module__)  # otherwise its warnings are printed
    print_output = worker.print_to_stdstream

    def redirect(data: Mapping[str, Any], ignore_prefix: bool) -> None:
        if data.get("pid") == "raylet":
            log.warning("%s", "\n".join(data["lines"]))
        else:  # output of a worker, requested with log_to_driver
            print_output(data, ignore_prefix)

    worker.print_to_stdstream = redirect
    # The output of Ray's client server is streamed to this process.
    LogstreamClient.stdstream = lambda _, level, msg: log.info("%s", msg.rstrip())


def first_sentence(error: Exception) -> str:
    """Shorten an error to its first sentence and the node's memory, if mentioned.

    The full text, often a paragraph of advice, is logged.
    """
    text = str(error).strip()
    log.warning("%s", text)
    sentence = SENTENCE_ENDS.split(text, maxsplit=1)[0].rstrip(".")
    memory = MEMORY.search(text)
    return f"{sentence} ({memory[0]})" if memory else sentence
