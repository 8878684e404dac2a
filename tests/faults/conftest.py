"""A real PostgreSQL server that can be stopped and started again."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


class Postgresql:
    """A server of its own, in a folder of its own, heard on a socket there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.start()

    def start(self) -> None:
        """Start it, or go on where it was stopped."""
        import pgserver

        pgserver.PostgresServer._instances.clear()
        self._server = pgserver.get_server(self._folder, cleanup_mode=None)
        self.url = f"postgresql+psycopg://postgres@/postgres?host={self._folder}"

    def stop(self) -> None:
        """As if the machine had lost its power."""
        from pgserver.postgres_server import pg_ctl

        pg_ctl(["-m", "immediate", "stop"], pgdata=self._folder, user=self._server.system_user)


@pytest.fixture
def postgresql() -> Iterator[Postgresql]:
    """A PostgreSQL server."""
    pytest.importorskip("pgserver")
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # a socket's path must be short
    server = Postgresql(folder)
    yield server
    server.stop()
    shutil.rmtree(folder)
