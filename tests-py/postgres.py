"""A throwaway PostgreSQL: its own cluster in a directory of its own, on a socket in it, nothing else.

The server refuses to run as root; then it runs as the user `postgres`, or `nobody`.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from waiting import eventually


def binaries() -> Path:
    """Where Debian's package has the server's programs, or any other."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(shutil.which("initdb") or "")]
    assert found[-1].name == "initdb", "PostgreSQL is missing: make deps"
    return found[-1].parent


class Postgres:
    """The server. `stop` ends it and removes all it had."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="rw-postgres-"))
        self._as: list[str] = []
        if os.getuid() == 0:
            names = {user.pw_name for user in pwd.getpwall()}
            user = "postgres" if "postgres" in names else "nobody"
            shutil.chown(self.directory, user)
            self._as = ["setpriv", f"--reuid={user}", "--clear-groups", "--"]
        data = self.directory / "data"
        initdb = ["--auth=trust", "--username=test", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata", data]
        self._run("initdb", *initdb)
        self._log = (self.directory / "log").open("wb")
        settings = {"listen_addresses": "", "unix_socket_directories": self.directory, "fsync": "off"}
        given = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            [*self._as, binaries() / "postgres", "-D", data, *given],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, cwd=self.directory,
        )  # fmt: skip
        eventually(self._answers, 20, "PostgreSQL answers")

    def database(self, name: str) -> str:
        """A connection string of a new database."""
        self._run("createdb", "-h", self.directory, "-U", "test", name)
        return f"host={self.directory} user=test dbname={name}"

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        shutil.rmtree(self.directory)

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self.directory / "log").read_text()
        ask = [binaries() / "pg_isready", "-q", "-h", self.directory]
        return subprocess.run(ask, cwd=self.directory).returncode == 0

    def _run(self, program: str, *arguments: object) -> None:
        command = [*self._as, binaries() / program, *map(str, arguments)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=self.directory)
        assert done.returncode == 0, done.stderr
