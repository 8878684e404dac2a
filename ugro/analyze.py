"""``python -m ugro.analyze``: the same as ``ugro analyze``."""

import sys

from ugro.cli.main import main

if __name__ == "__main__":
    main(["analyze", *sys.argv[1:]])
