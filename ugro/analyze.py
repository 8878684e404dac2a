"""``python -m ugro.analyze``: the same as ``ugro analyze``."""

from ugro.cli.analyze import main
from ugro.cli.study_lookup import run

if __name__ == "__main__":
    run(main)
