"""What is done when a sweep ends, however it ends? Its results are written, shown and copied."""

import logging
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from ugro.sweep.drivers import active_study

log = logging.getLogger(__name__)


class WriteResults(Callback):
    """Writes the study's results into its folder, prints the summary, copies what is kept."""

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Also after Ctrl-C, SIGTERM or an error; not where the command was refused."""
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
            log.error("The results in %s are not written (%s); later: make analyze", folder, why)
            return
        except Exception:  # Hydra would turn it into a warning that nobody reads
            log.exception("The results in %s could not be written; try: make analyze", folder)
            return
        finally:
            send_the_rest()
        if config.study.artifacts is None:
            return
        try:
            upload(study, folder, storage, config.study.artifacts)
        except Exception:
            log.exception("%s could not be copied to study.artifacts", folder)
