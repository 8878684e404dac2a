"""A folder for Ray's temporary files, whose sockets lie deep below it and need short paths."""

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
LONGEST_PATH = 103 if sys.platform == "darwin" else 107  # bytes of a socket's
BELOW = len("/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store.10")
log = logging.getLogger(__name__)


def with_short_paths(init: DictConfig) -> DictConfig:
    """What ``ray.init`` is given, with another folder where the usual one's path is too long.

    Raises:
        UserError: the folder that is asked for is.
    """
    if init.get("address") != "local":
        return init
    from ray._common.utils import get_default_ray_temp_dir

    most = LONGEST_PATH - BELOW
    given = init.get("_temp_dir")
    if len(os.fsencode(given or get_default_ray_temp_dir())) <= most:
        return init
    if given:
        allowed = f"a path of at most {most} bytes, as Ray's sockets are below it"
        raise UserError(fault("hydra.launcher.ray.init._temp_dir", given, allowed))
    short = str(_own_folder() / "ray")
    log.info("Ray's own files are in %s: the path of TMPDIR is too long for them", short)
    return cast(DictConfig, OmegaConf.merge(init, {"_temp_dir": short}))


def _own_folder() -> Path:
    """A folder that nobody else can enter; one of that name may be anybody's."""
    folder = Path(SHORT, f"ugro-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        there = folder.lstat()
        open_to_others = stat.S_IMODE(there.st_mode) & 0o077
        if not stat.S_ISDIR(there.st_mode) or there.st_uid != os.getuid() or open_to_others:
            return Path(tempfile.mkdtemp(prefix="ugro-", dir=SHORT))
    return folder
