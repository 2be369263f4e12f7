"""Throwaway servers with the module loaded, of every flavour that the module supports.

A `Server` owns a directory, a loopback port and one process. It is started, stopped, killed and
restarted by a test, and `check()` says whether it is well: alive unless the test ended it, and its
log free of crash reports. Only processes started here are ever ended here.
"""

import atexit
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

import sanitizer
from waiting import eventually

ROOT = Path(__file__).resolve().parent.parent
MODULE = Path(os.environ.get("REDIS_WORKFLOW_MODULE", ROOT / "target/release/libredisworkflow.so"))
# The module as an earlier version of this repository builds it, where `make test` could build it.
OLDER = Path(os.environ.get("REDIS_WORKFLOW_OLDER_MODULE", ROOT / "target/older/libredisworkflow.so"))


def flavour_of(binary: str) -> str:
    """The name of a server that is not one of ours, such as redis-8.6, from what it says of itself."""
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"(Redis|Valkey) server v=(\d+\.\d+)", said)
    assert found, f"{binary} is no server: {said!r}"
    return f"{found[1].lower()}-{found[2]}"


BINARIES = {
    "redis-7.0": ROOT / ".servers/redis-7.0/redis-server",
    "redis-8.2": ROOT / ".servers/redis-8.2/redis-server",
    "valkey-9.1": ROOT / ".servers/valkey-9.1/valkey-server",
}
if own := os.environ.get("WF_SERVER"):
    BINARIES = {flavour_of(own): Path(own)}
START_SECONDS = 20
STOP_SECONDS = 20

# Below the range that the system hands to outgoing connections, so a port stays ours over a restart.
PORTS = range(17000, 32000)

DEFAULTS = (
    "bind 127.0.0.1",
    'save ""',
    "enable-debug-command yes",
    "repl-diskless-sync-delay 0",
    "workflow.grace-ms 0",
)

# The first one: a replica, or a file that is loaded, could not carry out what the primary did.
CRASH = re.compile(r"== CRITICAL ==|BUG REPORT START|ASSERTION FAILED|Guru Meditation|crashed by signal|panicked at|STACK TRACE")


def free_port() -> int:
    """A loopback port that nobody listens on right now."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def role(server: "Server") -> str:
    """`master` or `slave`, as the server itself says; nothing while it hangs up on us."""
    try:
        return server.client().info("replication")["role"]
    except redis.ConnectionError:
        return ""


class Server:
    """One server process, its directory and its clients."""

    # Behind the configuration file, on the command line.
    OPTIONS: tuple[str, ...] = ()

    def __init__(self, flavour: str, *config: str, module: Path | None = MODULE):
        self.flavour = flavour
        # What the next start loads.
        self.module = module
        self.directory = Path(tempfile.mkdtemp(prefix=f"rw-{flavour}-"))
        self.port = 0
        self._config = [line for line in (*DEFAULTS, *config) if module or not line.startswith("workflow.")]
        self._process: subprocess.Popen[bytes] | None = None
        self._ended_on_purpose = False
        self._wanted_in_log: tuple[str, ...] = ()
        self._clients: list[redis.Redis] = []
        atexit.register(self.discard)

    # Life of the process

    def start(self) -> "Server":
        """Starts the process and returns once it answers and has loaded its data."""
        for _ in range(5):
            self.port = self.port or free_port()
            self._spawn()
            if self._answers():
                return self
            if "already in use" not in self.log():
                break
            self._log_path.unlink()
            self.port = 0
        raise AssertionError(f"{self.flavour} did not start:\n{self.log_tail()}")

    def stop(self) -> None:
        """Ends the process as an operator would: SIGTERM, which saves if save points are set."""
        self._end(signal.SIGTERM)

    def kill9(self) -> None:
        """Ends the process as a crash would."""
        self._end(signal.SIGKILL)

    def expect_end(self) -> None:
        """Waits for the end of a process that was told to end by a command."""
        assert self._process is not None
        self._ended_on_purpose = True
        self._process.wait(STOP_SECONDS)

    def freeze(self) -> None:
        """Lets the process stand still, as a machine does that is out of memory."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def restart(self, hard: bool = False) -> "Server":
        """Ends the process, `hard` for SIGKILL, and starts it on the same data and port.

        Nothing that was answered is lost: with `appendfsync everysec` a write is put off while the disk is
        busy with the fsync before, so SIGKILL waits for it. Who wants the loss calls `kill9`.
        """
        if hard:
            self._wait_for_aof()
            self.kill9()
        else:
            self.stop()
        return self.start()

    def discard(self) -> None:
        """Ends the process if it runs and removes its files."""
        atexit.unregister(self.discard)
        self.close_clients()
        if self.alive():
            self._let_end() if sanitizer.RUNTIME else self.kill9()
        found = sanitizer.reports(self.directory)
        shutil.rmtree(self.directory, ignore_errors=True)
        assert not found, f"{self.flavour} ended, and this was found in it:\n{found}"

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    # Talking to it

    def client(self, resp: int = 3, **options: Any) -> redis.Redis:
        """A client that never repeats a command by itself and waits up to a minute for a reply."""
        settings: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.port,
            "protocol": resp,
            "socket_timeout": 60,
            "retry": Retry(NoBackoff(), 0),
            **options,
        }
        client = redis.Redis(**settings)
        self._clients.append(client)
        return client

    def close_clients(self) -> None:
        """Closes every client that was handed out."""
        for client in self._clients:
            client.connection_pool.disconnect()
            client.close()
        self._clients.clear()

    def wait_until(self, predicate: Callable[[], Any], timeout: float = 10, what: str = "the condition") -> Any:
        """`eventually`, with the end of the log in the failure."""
        try:
            return eventually(predicate, timeout, what)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.log_tail()}") from failure

    # Replication

    def replicate_from(self, primary: "Server") -> "Server":
        """Makes this server a replica of `primary` and waits until it has caught up."""
        self.client().execute_command("REPLICAOF", "127.0.0.1", primary.port)
        self.wait_in_sync(primary)
        return self

    def wait_in_sync(self, primary: "Server", timeout: float = 30) -> None:
        """Waits until this replica has applied everything that `primary` has sent."""
        ours, theirs = self.client(), primary.client()

        def in_sync() -> bool:
            info = ours.info("replication")
            return (
                info.get("master_link_status") == "up"
                and info["slave_repl_offset"] == theirs.info("replication")["master_repl_offset"]
            )

        self.wait_until(in_sync, timeout, "the replica in sync")

    def promote(self) -> None:
        """Makes this replica a primary."""
        self.client().execute_command("REPLICAOF", "NO", "ONE")

    # Its log

    def log(self) -> str:
        return self._log_path.read_text(errors="replace") if self._log_path.exists() else ""

    def log_tail(self, lines: int = 60) -> str:
        text = "\n".join(self.log().splitlines()[-lines:])
        return f"--- log of {self.flavour} on port {self.port} ---\n{text}"

    def want_in_log(self, *words: str) -> None:
        """Lines with these words are what the test is about, and no crash."""
        self._wanted_in_log += words

    def check(self) -> None:
        """Fails unless the process is alive, or the test ended it, and no crash is in the log."""
        lines = self.log().splitlines()
        crash = CRASH.search("\n".join(ln for ln in lines if not any(words in ln for words in self._wanted_in_log)))
        assert crash is None, f"{self.flavour} logged '{crash.group()}':\n{self.log_tail(150)}"
        found = sanitizer.reports(self.directory)
        assert not found, f"this was found in {self.flavour}:\n{found}"
        if not self._ended_on_purpose:
            assert self.alive(), f"{self.flavour} ended by itself:\n{self.log_tail(150)}"

    # Inside

    @property
    def _log_path(self) -> Path:
        return self.directory / "server.log"

    def _spawn(self) -> None:
        path = self.directory / "server.conf"
        own = [f"port {self.port}", f"dir {self.directory}", f"logfile {self._log_path}"]
        own += [f"loadmodule {self.module}"] if self.module else []
        path.write_text("\n".join([*own, *self._config]) + "\n")
        self._ended_on_purpose = False
        self._process = subprocess.Popen(
            [BINARIES[self.flavour], path, *self.OPTIONS],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            # As any service: a file that may not grow is an error of the write, not a signal.
            restore_signals=False,
            env=sanitizer.environment(self.directory),
        )

    def _answers(self) -> bool:
        """Waits until the process has loaded its data; false if it ended instead."""
        with self.client(socket_timeout=5) as probe:

            def settled() -> bool:
                try:
                    # INFO is answered while the data is loaded, too.
                    info = probe.info() if self.alive() else {}
                    return not self.alive() or (info["process_id"] == self.pid and not info.get("loading"))
                except (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError):
                    return False

            eventually(settled, START_SECONDS, f"an answer of {self.flavour}")
        return self.alive()

    def _wait_for_aof(self) -> None:
        """Waits until what was answered is in the AOF, if there is one."""
        client = self.client()
        self.wait_until(
            lambda: not client.info("persistence").get("aof_buffer_length"), what="an AOF that has everything"
        )

    def _let_end(self) -> None:
        """Ends the process so that it looks for leaks."""
        self.thaw()
        self.stop()

    def _end(self, with_signal: signal.Signals) -> None:
        assert self._process is not None
        self._ended_on_purpose = True
        self._process.send_signal(with_signal)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"{self.flavour} ignored {with_signal.name}:\n{self.log_tail()}") from None
