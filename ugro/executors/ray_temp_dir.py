"""Choose a folder for Ray's temporary files whose socket paths are short enough."""

import logging
import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import cast

from omegaconf import DictConfig, OmegaConf

from ugro.errors import UserError, fault

SHORT = "/tmp"
MAX_SOCKET_PATH = 103 if sys.platform == "darwin" else 107  # bytes
SUFFIX_LENGTH = len("/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store.10")
log = logging.getLogger(__name__)


def with_short_paths(init: DictConfig) -> DictConfig:
    """Return the arguments of ``ray.init``, with another folder if the default path is too long.

    Raises:
        UserError: the configured folder is too long.
    """
    if init.get("address") != "local":
        return init
    from ray._common.utils import get_default_ray_temp_dir

    longest = MAX_SOCKET_PATH - SUFFIX_LENGTH
    given = init.get("_temp_dir")
    if len(os.fsencode(given or get_default_ray_temp_dir())) <= longest:
        return init
    if given:
        allowed = f"a path of at most {longest} bytes, as Ray's sockets are below it"
        raise UserError(fault("hydra.launcher.ray.init._temp_dir", given, allowed))
    short = str(_own_folder() / "ray")
    log.info("Ray's temporary files are in %s, because the path of TMPDIR is too long", short)
    return cast(DictConfig, OmegaConf.merge(init, {"_temp_dir": short}))


def _own_folder() -> Path:
    """Return a folder that only this user can enter; a folder of the same name may be foreign."""
    folder = Path(SHORT, f"ugro-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        status = folder.lstat()
        open_to_others = stat.S_IMODE(status.st_mode) & 0o077
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or open_to_others:
            return Path(tempfile.mkdtemp(prefix="ugro-", dir=SHORT))
    return folder
