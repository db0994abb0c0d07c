"""A real PostgreSQL on a temporary folder and a free port; root starts it as another user, as it demands."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from standalone.ports import free_port

START_SECONDS = 60.0


def programs() -> Path | None:
    """The folder of Debian's newest PostgreSQL programs, or where PATH has them; None where there are none."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = shutil.which("initdb")
    return folders[-1].parent if folders else Path(found).parent if found else None


class PostgresqlServer:
    """Holds one database `library` for the user `library`; `start` and `stop` may be called in turns."""

    def __init__(self, binaries: Path) -> None:
        self.port = free_port(17432)
        self._binaries = binaries
        # Not in pytest's folder, which only its owner may enter.
        self._folder = Path(tempfile.mkdtemp(prefix="starweave-postgresql-"))
        self._user = _unprivileged_user() if os.geteuid() == 0 else None
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        self._run("initdb", "-D", str(self._data), "-U", "library", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def url(self, database: str = "postgres") -> str:
        """The URL of one of its databases."""
        return f"postgresql://library@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Starts it and waits until it takes connections."""
        options = f"-p {self.port} -k {self._folder} -h 127.0.0.1 -c fsync=off -c max_connections=60"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", str(self._data), "-l", log, "-w", "-t", str(START_SECONDS), "-o", options, "start")

    def stop(self) -> None:
        """Stops it at once; connections break."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")

    def create(self, database: str) -> str:
        """Makes an empty database and returns its URL."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "library", "-T", "template0", database)
        return self.url(database)

    def close(self) -> None:
        """Stops it and removes its folder."""
        if (self._data / "postmaster.pid").exists():
            self.stop()
        for _ in range(50):
            shutil.rmtree(self._folder, ignore_errors=True)
            if not self._folder.exists():
                return
            time.sleep(0.1)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._binaries / program), *arguments],
            user=self._user,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program != "pg_ctl" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stdout}")


def _unprivileged_user() -> str:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL does not run as root, and there is neither a user postgres nor nobody.")
