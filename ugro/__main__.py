"""``python -m ugro``: the same as ``ugro``."""

from ugro.cli.main import main

if __name__ == "__main__":
    main()
