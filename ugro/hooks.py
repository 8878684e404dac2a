"""What is done when a sweep ends, however it ends? Its results are written, shown and copied."""

import logging
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

log = logging.getLogger(__name__)


class WriteResults(Callback):
    """Writes the study's results into its folder, prints the summary, copies what is kept."""

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Also after Ctrl-C, SIGTERM or an error; not where no trial was started."""
        folder = Path(config.study.dir)
        if config.study.dry_run or not folder.exists():
            return
        from ugro.analyze import analyze
        from ugro.record.study import read
        from ugro.upload import upload

        storage = config.hydra.sweeper.storage
        try:
            study = read(config.study.name, storage)
            analyze(study, folder)
        except Exception:  # Hydra would turn it into a warning that nobody reads
            log.exception("The results in %s could not be written; try: make analyze", folder)
            return
        if config.study.artifacts is None:
            return
        try:
            upload(study, folder, storage, config.study.artifacts)
        except Exception:
            log.exception("%s could not be copied to study.artifacts", folder)
