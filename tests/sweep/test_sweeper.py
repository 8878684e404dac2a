from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ugro.sweep import sweeper


def test_drivers_that_start_together_make_their_folder_together(tmp_path: Path) -> None:
    folder = tmp_path / "multirun" / "s"
    with ThreadPoolExecutor(8) as drivers:
        for made in drivers.map(sweeper._made, [folder] * 2000):
            assert made == folder
    assert list(folder.iterdir()) == []
