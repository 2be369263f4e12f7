"""Workers that freeze, vanish, do not read, or come in crowds at one moment."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from blocked import Queue
from fixtures import Count, Fresh
from history import HOUR, digest
from proxy import Proxy
from servers import Server
from space import Space
from waiting import eventually, now_ms
from wire import Wire, encode
from workflows import loose, single

# A worker of its own process: it claims, says so, and completes when it is told to.
WORKER = """
    import sys, redis
    client = redis.Redis(port=int(sys.argv[1]), protocol=3)
    (task,) = client.execute_command("WF.CLAIM", "jobs", "frozen", "LEASE", sys.argv[2])
    print(task[0].decode(), flush=True)
    sys.stdin.readline()
    for command in (["WF.EXTEND", "jobs", "60000"], ["WF.COMPLETE", "jobs"], ["WF.FAIL", "jobs"]):
        print(client.execute_command(*command, task[0])[0], flush=True)
"""


@contextmanager
def worker(server: Server, lease: int) -> Iterator[subprocess.Popen[str]]:
    code = textwrap.dedent(WORKER)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code, str(server.port), str(lease)], **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_worker_that_freezes_beyond_its_lease(server: Server, jobs: Space) -> None:
    """Its task went to another; when it wakes it changes nothing, and is told so."""
    wid = jobs.push(single())
    with worker(server, 200) as frozen:
        token = frozen.stdout.readline().strip()
        os.kill(frozen.pid, signal.SIGSTOP)
        server.wait_until(lambda: jobs.states(wid)["only"] == "ready", what="the lease to end")
        other = jobs.claim_one("other", "LEASE", HOUR)
        before = digest(jobs.client)
        frozen.stdin.write("go on\n")
        frozen.stdin.flush()
        os.kill(frozen.pid, signal.SIGCONT)
        assert [frozen.stdout.readline().strip() for _ in range(3)] == ["0", "0", "0"]
        assert digest(jobs.client) == before
    assert other.token != token
    assert jobs.complete(other.token) == [1]


def test_a_worker_that_freezes_and_wakes_in_time(server: Server, jobs: Space) -> None:
    wid = jobs.push(single())
    with worker(server, HOUR) as frozen:
        assert frozen.stdout.readline()
        os.kill(frozen.pid, signal.SIGSTOP)
        frozen.stdin.write("go on\n")
        frozen.stdin.flush()
        os.kill(frozen.pid, signal.SIGCONT)
        assert [frozen.stdout.readline().strip() for _ in range(3)] == ["1", "1", "0"]
    assert jobs.state(wid) == "completed"


@pytest.mark.parametrize("blocked", [True, False])
def test_a_claim_too_large_for_the_output_buffer_comes_back(server: Server, jobs: Space, blocked: bool) -> None:
    """The server hangs up on the client; its tasks are handed out again when their leases end."""
    jobs.client.config_set("client-output-buffer-limit", "normal 262144 0 0")
    document = loose(400, payload="x" * 4000, max_deliveries=9)
    wire = Wire(server)
    claim = encode("WF.CLAIM", "jobs", "greedy", "COUNT", 400, "LEASE", 300, "BLOCK", 60_000)
    if blocked:
        wire.send(claim)
        server.wait_until(lambda: jobs.client.info("clients")["blocked_clients"] == 1, what="it to wait")
        wid = jobs.push(document)
    else:
        wid = jobs.push(document)
        wire.send(claim)
    server.wait_until(lambda: jobs.stats()["lease_expiries"] == 400, what="the leases to end")
    assert set(jobs.states(wid).values()) == {"ready"}
    with pytest.raises((ConnectionError, AssertionError)):
        assert wire.ask(b""), "it was hung up on"
    wire.close()
    for _ in range(40):
        tasks = jobs.claim("modest", "COUNT", 10)
        assert jobs.complete(*[task.token for task in tasks]) == [1] * 10
    assert jobs.state(wid) == "completed"


def test_a_client_that_does_not_read(server: Server, jobs: Space) -> None:
    """Thousands of claims whose answers nobody reads: what fits is handed out, and all of it comes back."""
    jobs.client.config_set("client-output-buffer-limit", "normal 1048576 0 0")
    wid = jobs.push(loose(2000, payload="x" * 2000, max_deliveries=9))
    wire = Wire(server)
    claim = encode("WF.CLAIM", "jobs", "deaf", "COUNT", 20, "LEASE", 400)
    try:
        wire.send(claim * 100)
    except ConnectionError:
        pass
    eventually(lambda: jobs.stats()["lease_expiries"] > 0, what="a lease to end")
    server.wait_until(lambda: set(jobs.states(wid).values()) == {"ready"}, what="all to come back")
    wire.close()


def test_half_open_connections(server: Server, jobs: Space) -> None:
    """Those who wait behind a dead wire are served, as nobody can know; their tasks come back."""
    proxy = Proxy(server.port)
    try:
        dead = [redis.Redis(port=proxy.port, protocol=3).connection_pool.get_connection() for _ in range(5)]
        for number, connection in enumerate(dead):
            connection.send_command("WF.CLAIM", "jobs", f"dead-{number}", "BLOCK", 0, "LEASE", 300)
        server.wait_until(lambda: jobs.client.info("clients")["blocked_clients"] == 5, what="five to wait")
        proxy.fall_silent()
        wid = jobs.push(loose(5))
        assert set(jobs.states(wid).values()) == {"running"}
        names = [jobs.claim_one("alive", "BLOCK", 10_000, "LEASE", HOUR).name for _ in range(5)]
        assert sorted(names) == [f"t{n}" for n in range(5)]
        assert {task["lost"] for task in jobs.tasks(wid).values()} == {1}
    finally:
        proxy.close()


def test_thousands_of_leases_that_end_in_one_moment(fresh_server: Fresh, count: Count) -> None:
    """In turns, between which commands are answered; each is counted once; replica and AOF agree."""
    server = fresh_server("appendonly yes", "appendfsync everysec")
    replica = fresh_server(replica_of=server)
    spaces = [Space(server.client(), f"jobs-{number}") for number in range(4)]
    for space in spaces:
        space.push(loose(5_000, max_deliveries=9))
    for space in spaces:
        claimed = space.claim("w", "COUNT", 5_000, "LEASE", 60_000)
        space.extend(800, *[task.token for task in claimed])
    count("leases that ended", 20_000)
    slowest, looker = 0, server.client()

    def over() -> bool:
        nonlocal slowest
        before = now_ms()
        looker.ping()
        slowest = max(slowest, now_ms() - before)
        return looker.info("workflow")["workflow_leases_expired"] == 20_000

    eventually(over, 20, "all to end", every=0.001)
    assert slowest < 500, f"a command waited for {slowest} ms"
    for space in spaces:
        assert space.stats()["lease_expiries"] == 5_000
        assert {task["lost"] for task in space.tasks("1").values()} == {1}
    replica.wait_in_sync(server)
    before = [digest(server.client(), space.key) for space in spaces]
    assert [digest(replica.client(), space.key) for space in spaces] == before
    server.restart(hard=True)
    assert [digest(server.client(), space.key) for space in spaces] == before
