"""A real PostgreSQL server in a temporary folder, reached by a socket in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from sqlalchemy import create_engine, text

USER = "postgres"
_WHERE_DEBIAN_KEEPS_IT = "/usr/lib/postgresql"


def binaries() -> Path | None:
    """Return the folder of `initdb` and `pg_ctl`; none where PostgreSQL is not installed."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    kept = sorted(Path(_WHERE_DEBIAN_KEEPS_IT).glob("*/bin/initdb"))
    return kept[-1].parent if kept else None


class Server:
    """A server that runs; every database is a new one."""

    def __init__(self, folder: Path) -> None:
        self._url = f"postgresql://{USER}@/{{}}?host={folder}"

    def new_database(self) -> str:
        """Return the URL of an empty database."""
        name = f"journal_{uuid4().hex}"
        engine = create_engine(self._url.format("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self._url.format(name)


@contextmanager
def running(tools: Path) -> Iterator[Server]:
    """Start a server and stop it again."""
    with tempfile.TemporaryDirectory(prefix="bulkhead-pg-") as name:  # a socket's path must be short
        folder = Path(name)
        if os.geteuid() == 0:  # it refuses to run as root
            shutil.chown(folder, USER)
        _run(tools / "initdb", "--pgdata", folder / "data", "--username", USER, "--auth", "trust", "--no-sync")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        control = (tools / "pg_ctl", "--pgdata", folder / "data", "--wait", "--silent")
        _run(*control, "--options", options, "--log", folder / "log", "start")
        try:
            yield Server(folder)
        finally:
            _run(*control, "--mode", "immediate", "stop")


def _run(*command: str | Path) -> None:
    user = USER if os.geteuid() == 0 else None
    subprocess.run([str(part) for part in command], check=True, user=user, cwd="/", stdout=subprocess.DEVNULL)
