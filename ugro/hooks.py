"""What is done when a sweep ends, however it ends? Its results are written and shown."""

import logging
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

log = logging.getLogger(__name__)


class WriteResults(Callback):
    """Writes the study's results into its folder and prints the summary."""

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Also after Ctrl-C, SIGTERM or an error; not where no trial was started."""
        folder = Path(config.study.dir)
        if config.study.dry_run or not folder.exists():
            return
        from ugro.analyze import analyze
        from ugro.sweep.study import read

        try:
            analyze(read(config.study.name, config.hydra.sweeper.storage), folder)
        except Exception:  # Hydra would turn it into a warning that nobody reads
            log.exception("The results in %s could not be written; try: make analyze", folder)
