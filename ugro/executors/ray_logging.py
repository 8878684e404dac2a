"""Send what Ray has to say into the sweep's log, not onto the terminal."""

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
    """To be called before Ray is started.

    Of a worker that was lost Ray prints a dozen lines by a function for which it has no setting, in
    2.60 at least; with another name of that function they would be on the terminal again.
    """
    from ray._private import worker
    from ray.util.client.logsclient import LogstreamClient

    use_root_handlers("ray")
    use_root_handlers(
        LogstreamClient.__module__
    )  # else warnings that it is sent are printed as they are
    printed = worker.print_to_stdstream

    def told(data: Mapping[str, Any], ignore_prefix: bool) -> None:
        if data.get("pid") == "raylet":
            log.warning("%s", "\n".join(data["lines"]))
        else:  # a worker's output, which is asked for by log_to_driver
            printed(data, ignore_prefix)

    worker.print_to_stdstream = told
    # What Ray's client server prints is streamed here, too.
    LogstreamClient.stdstream = lambda _, level, msg: log.info("%s", msg.rstrip())


def brief(error: Exception) -> str:
    """Cut an error down to its first sentence, and to the memory that its node had.

    The whole, often a paragraph of advice, goes into the log.
    """
    whole = str(error).strip()
    log.warning("%s", whole)
    told = SENTENCE_ENDS.split(whole, maxsplit=1)[0].rstrip(".")
    memory = MEMORY.search(whole)
    return f"{told} ({memory[0]})" if memory else told
