"""Fixtures: a server of every flavour, clients in both protocols, a space to work in.

`--flavour redis-7.0` (repeatable) or FLAVOURS=redis-7.0,valkey-9.1 restricts the matrix;
WF_SERVER=/path/to/redis-server puts one server of yours in its place.
"""

import os
import resource
import subprocess
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
import redis

from clocks import Clock, build_shim
from event_stream import tell
from servers import BINARIES, MODULE, Server
from space import Space

SERVERS_OF_TEST = pytest.StashKey[list[Server]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--flavour", action="append", choices=list(BINARIES), help="only this server")


def pytest_configure(config: pytest.Config) -> None:
    if not MODULE.exists():
        raise pytest.UsageError(f"{MODULE} does not exist: run make build")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def flavours(config: pytest.Config) -> list[str]:
    """The flavours that were asked for, all of them if none was."""
    asked = config.getoption("--flavour") or list(filter(None, os.environ.get("FLAVOURS", "").split(",")))
    return asked or list(BINARIES)


def pytest_report_header(config: pytest.Config) -> list[str]:
    def version(flavour: str) -> str:
        return subprocess.run([BINARIES[flavour], "--version"], capture_output=True, text=True).stdout.strip()

    return [f"{flavour}: {version(flavour)}" for flavour in flavours(config)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "flavour" in metafunc.fixturenames:
        metafunc.parametrize("flavour", flavours(metafunc.config), scope="session")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failing test shows the end of its servers' logs."""
    report = yield
    if report.failed:
        for server in item.stash.get(SERVERS_OF_TEST, []):
            report.sections.append((f"log of {server.flavour}", server.log_tail()))
    return report


class SharedServer:
    """The long-lived server of one flavour: replaced when a test broke it, reset after each test."""

    def __init__(self, flavour: str):
        self._flavour = flavour
        self._server: Server | None = None
        self._config: dict[str, str] = {}

    def get(self) -> Server:
        if self._server is None:
            self._server = Server(self._flavour).start()
            self._config = self._server.client().config_get("*")
        return self._server

    def reset(self) -> None:
        """Leaves an empty server with its first configuration, or none if it is not well."""
        server = self.get()
        try:
            server.check()
            server.close_clients()
            client = server.client()
            client.execute_command("FLUSHALL", "SYNC")
            for name, value in client.config_get("*").items():
                if self._config.get(name) != value:
                    client.config_set(name, self._config[name])
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        if self._server is not None:
            self._server.discard()
            self._server = None


@pytest.fixture(scope="session")
def shared_servers() -> Iterator[dict[str, SharedServer]]:
    shared = {flavour: SharedServer(flavour) for flavour in BINARIES}
    yield shared
    for server in shared.values():
        server.discard()


@pytest.fixture
def server(request: pytest.FixtureRequest, flavour: str, shared_servers: dict[str, SharedServer]) -> Iterator[Server]:
    """The shared server of the flavour, empty. Not for tests that stop or reconfigure it for good."""
    shared = shared_servers[flavour]
    server = shared.get()
    request.node.stash.setdefault(SERVERS_OF_TEST, []).append(server)
    yield server
    shared.reset()


@pytest.fixture
def fresh_server(request: pytest.FixtureRequest, flavour: str) -> Iterator[Callable[..., Server]]:
    """A maker of servers for this test alone: `fresh_server("appendonly yes", replica_of=other)`."""
    made: list[Server] = []
    request.node.stash.setdefault(SERVERS_OF_TEST, [])

    def make(*config: str, replica_of: Server | None = None, module: Path | None = MODULE) -> Server:
        server = Server(flavour, *config, module=module)
        made.append(server)
        request.node.stash[SERVERS_OF_TEST].append(server)
        server.start()
        return server.replicate_from(replica_of) if replica_of else server

    yield make
    try:
        for server in made:
            server.check()
    finally:
        for server in made:
            server.discard()


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_shim(tmp_path_factory.mktemp("clock"))


@pytest.fixture
def clock(shim: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The wall clock of all servers that are started after it is asked for."""
    monkeypatch.setenv("LD_PRELOAD", str(shim))
    monkeypatch.setenv("WF_CLOCK", str(tmp_path / "clock"))
    return Clock(tmp_path / "clock")


@pytest.fixture
def r(server: Server) -> redis.Redis:
    """A client of the shared server in RESP3, where maps are dictionaries."""
    return server.client()


@pytest.fixture
def events(server: Server) -> Space:
    """A space that tells a stream what happens."""
    return tell(server)


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def resp(request: pytest.FixtureRequest) -> int:
    """Both protocols, for tests in which the shape of the reply matters."""
    return request.param


@pytest.fixture
def jobs(r: redis.Redis) -> Space:
    """The space `jobs` on the shared server."""
    return Space(r, "jobs")
