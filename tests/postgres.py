"""A PostgreSQL server of one's own, for as long as a test module runs."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

DEBIAN = Path("/usr/lib/postgresql")
USER, PASSWORD = "course", "s3cret word"
READY = "database system is ready to accept connections"
SECONDS = 60


def programs() -> Path | None:
    """The folder of the newest server's programs, or None."""
    found = sorted(DEBIAN.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    path = shutil.which("postgres")
    return found[-1].parent if found else Path(path).parent if path else None


class Server:
    """A server with a data directory in ``home``; it refuses to run as root.

    Args:
        home: a folder that is deleted by who made it.
    """

    def __init__(self, home: Path) -> None:
        bin_ = programs()
        assert bin_ is not None
        self.bin, self.home, self.data = bin_, home, home / "data"
        self.who = _unprivileged()
        if self.who is not None:
            shutil.chown(home, self.who, self.who)
        home.chmod(0o755)
        words = home / "password"
        words.write_text(PASSWORD)
        options = [f"--username={USER}", f"--pwfile={words}", "--auth-host=scram-sha-256"]
        options += ["--encoding=UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            [str(self.bin / "initdb"), "-D", str(self.data), *options],
            check=True,
            capture_output=True,
            timeout=SECONDS,
            cwd=home,
            user=self.who,
            group=self.who,
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and return when it says that it is ready."""
        options = ["-h", "127.0.0.1", "-p", str(self.port), "-k", str(self.home), "-F"]
        process = subprocess.Popen(
            [str(self.bin / "postgres"), "-D", str(self.data), *options],
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home,
            user=self.who,
            group=self.who,
        )
        late = threading.Timer(SECONDS, process.kill)
        late.start()
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if READY in line:
                break
        else:
            raise RuntimeError(f"PostgreSQL did not start: {''.join(said)}")
        late.cancel()
        threading.Thread(target=process.stderr.read, daemon=True).start()  # it must not block
        self.process = process

    def stop(self) -> None:
        """Stop it at once, whoever is connected."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(SECONDS)
            self.process = None

    def url(self, database: str, password: str = PASSWORD) -> str:
        """The address of a database as ``--db-url`` takes it."""
        quoted = password.replace(" ", "%20")
        return f"postgresql+psycopg://{USER}:{quoted}@127.0.0.1:{self.port}/{database}"

    def make(self, database: str, template: str = "template1") -> str:
        """Make a database, empty or a copy of another, and return its address."""
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        engine.dispose()
        return self.url(database)


def _unprivileged() -> str | None:
    """Who is to run the server: the user that Debian's package makes, where this one is root."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    return "nobody"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    """A server that runs."""
    with tempfile.TemporaryDirectory(prefix="postgres") as home:  # pytest's own are root's alone
        server = Server(Path(home))
        server.start()
        try:
            yield server
        finally:
            server.stop()
