"""Pages that a command serves on this machine: port, address, and the browser."""

import os
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Mapping

from ugro.errors import UserError, fault

HOST = "127.0.0.1"
START_SECONDS = 60.0  # in which a server answers


def port_of(given: Mapping[str, str], default: int) -> int:
    """Return the port of a command's ``port`` key.

    Raises:
        UserError: it is no port.
    """
    port = given.get("port", str(default))
    if not port.isdigit() or not 0 < int(port) < 2**16:
        raise UserError(fault("port", port, "1 to 65535"))
    return int(port)


def announce(address: str, what: str) -> None:
    """Print a page's address, and open it once its server answers if there is a desktop."""
    print(f"Open {address} ({what}); Ctrl-C ends the server.", flush=True)
    if has_desktop():
        threading.Thread(target=_open, args=[address], daemon=True).start()


def has_desktop() -> bool:
    """Report whether a browser can be shown: not over SSH, nor in a container."""
    if sys.platform == "darwin":
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open(address: str) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(address.partition("#")[0], timeout=5).close()
        except urllib.error.HTTPError:
            break  # it answers
        except OSError:
            time.sleep(0.5)
        else:
            break
    webbrowser.open(address)
