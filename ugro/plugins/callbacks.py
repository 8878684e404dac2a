"""Write, print and copy a study's results when a sweep ends."""

import logging
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from ugro.shell import command
from ugro.sweep.drivers import active_study

log = logging.getLogger(__name__)


class WriteResults(Callback):
    """Write a study's results to its folder, print its summary, copy its artifacts."""

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Run after Ctrl-C, SIGTERM or an error too; not if the command was refused."""
        folder = Path(config.study.dir)
        study = active_study(folder)
        if study is None:
            return
        from ugro.analysis.analyze import analyze
        from ugro.retries import one_line
        from ugro.study.storage import TROUBLE
        from ugro.sweep.upload import upload
        from ugro.tracking.exporter import finish as send_the_rest

        storage = config.hydra.sweeper.storage
        try:
            analyze(study, folder, whole=config.study.analysis)
        except TROUBLE as error:
            why = one_line(error.__cause__ or error)
            again = command("analyze")
            log.error("The results in %s are not written (%s); later: %s", folder, why, again)
            return
        except Exception:  # Hydra would turn it into a warning that nobody reads
            again = command("analyze")
            log.exception("The results in %s could not be written; try: %s", folder, again)
            return
        finally:
            send_the_rest()
        if config.study.artifacts is None:
            return
        try:
            upload(study, folder, storage, config.study.artifacts)
        except Exception:
            log.exception("%s could not be copied to study.artifacts", folder)
