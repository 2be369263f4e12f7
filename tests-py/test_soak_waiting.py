"""Clients that wait and stop waiting, in every way there is, leave nothing behind.

Half of them wait for tasks, half for a workflow to end. `WF_SOAK=n` makes 20,000 n cycles of one client.
"""

import json
import select
import socket
from collections.abc import Callable
from itertools import cycle

import pytest

from remains import FACTOR, QUIET, Remains
from servers import Server
from space import Space
from wire import encode
from workflows import loose, single

# Of each half.
CROWD = 100
CYCLES = 20_000 * FACTOR or 8_000
# Ways that are gone between two looks at what is left.
LOOK_EVERY = 75
NOBODY = 1

EMPTY = (b"*0\r\n",)
GIVEN = (b"*1\r\n*8\r\n",)
TOLD = (b"*1\r\n*",)
NO_SUCH = (b"*1\r\n*-1\r\n", b"*1\r\n$-1\r\n")
UNBLOCKED = (b"-UNBLOCKED ",)
HUNG_UP = (b"",)


class Client:
    """A connection that waits, is answered or is lost, and waits again."""

    def __init__(self, server: Server):
        self._server = server
        self._connect()

    def _connect(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self._server.port), timeout=30)
        self.socket.sendall(encode("CLIENT", "ID"))
        self.id = int(self.socket.recv(64)[1:-2])

    def send(self, *command: str | int) -> None:
        self.socket.sendall(encode(*command))

    def expect(self, answers: tuple[bytes, ...]) -> None:
        try:
            answer = self.socket.recv(1 << 16)
        except ConnectionResetError:
            answer = b""
        assert answer.startswith(answers) if answers != HUNG_UP else not answer, answer
        if not answer:
            self.hang_up()

    def hang_up(self) -> None:
        self.socket.close()
        self._connect()


class Cycles:
    """One server, the clients, and the ways in which their waits end."""

    def __init__(self, server: Server):
        self.server = server
        self.control = server.client()
        self.jobs = Space(self.control, "jobs")
        self.workers: list[Client] = []
        self.watchers: list[Client] = []
        self.ways = (
            self.work, self.script, self.time, self.unblock, self.unblock_with_an_error, self.kill, self.hang_up,
            self.leave_half_way, self.deletion, self.unlink, self.rename, self.overwrite, self.flush, self.flush_async,
            self.role,
        )  # fmt: skip

    def leave(self) -> None:
        """All clients go; what the server holds for them is not looked at."""
        for client in (*self.workers, *self.watchers):
            client.socket.close()
        self.workers, self.watchers = [], []
        self.server.wait_until(lambda: self.control.info("clients")["connected_clients"] == 1, what="them to leave")

    def run(self, way: Callable[[], None]) -> None:
        self._come()
        self.wid = self.jobs.push(single("watched", type="watched"))
        block = 1 if way == self.time else 0
        for client in self.workers:
            client.send("WF.CLAIM", "jobs", f"worker {client.id % 7}", "BLOCK", block, "TYPES", 1, "work")
        for client in self.watchers:
            client.send("WF.WAIT", "jobs", self.wid, "BLOCK", block)
        if way != self.time:
            self.all_wait(2 * CROWD)
        way()
        self.all_wait(0)
        self.control.delete("jobs", "gone")

    def all_wait(self, count: int) -> None:
        self.server.wait_until(lambda: self.control.info("clients")["blocked_clients"] == count, 30, f"{count} to wait")

    def expect(self, workers: tuple[bytes, ...], watchers: tuple[bytes, ...]) -> None:
        for client in self.workers:
            client.expect(workers)
        for client in self.watchers:
            client.expect(watchers)

    # The ways

    def work(self) -> None:
        self.jobs.push(loose(CROWD))
        self.jobs.call("CANCEL", self.wid)
        self.expect(GIVEN, TOLD)

    def time(self) -> None:
        self.expect(EMPTY, TOLD)

    def unblock(self) -> None:
        self._tell_each("CLIENT", "UNBLOCK")
        self.expect(EMPTY, TOLD)

    def unblock_with_an_error(self) -> None:
        self._tell_each("CLIENT", "UNBLOCK", last=("ERROR",))
        self.expect(UNBLOCKED, UNBLOCKED)

    def kill(self) -> None:
        self._tell_each("CLIENT", "KILL", "ID")
        self.expect(HUNG_UP, HUNG_UP)

    def hang_up(self) -> None:
        for client in (*self.workers, *self.watchers):
            client.hang_up()

    def leave_half_way(self) -> None:
        """Work and the end of its client in one turn."""
        with self.control.pipeline(transaction=True) as pipeline:
            pipeline.execute_command("WF.PUSH", "jobs", json.dumps(loose(CROWD)))
            pipeline.execute_command("WF.CANCEL", "jobs", self.wid)
            for client in (*self.workers, *self.watchers):
                pipeline.execute_command("CLIENT", "KILL", "ID", client.id)
            pipeline.execute()
        for client in (*self.workers, *self.watchers):
            client.hang_up()

    def deletion(self) -> None:
        self._removed("DEL", "jobs")

    def unlink(self) -> None:
        self._removed("UNLINK", "jobs")

    def rename(self) -> None:
        self._removed("RENAME", "jobs", "gone")

    def overwrite(self) -> None:
        self.control.execute_command("SET", "jobs", "a string")
        for client in self.watchers:
            client.expect((b"-WRONGTYPE ",))
        self._removed("DEL", "jobs", watchers=())

    def flush(self) -> None:
        self._removed("FLUSHALL", "SYNC")

    def flush_async(self) -> None:
        self._removed("FLUSHALL", "ASYNC")

    def role(self) -> None:
        self.control.execute_command("REPLICAOF", "127.0.0.1", NOBODY)
        self.control.execute_command("REPLICAOF", "NO", "ONE")
        self.expect(UNBLOCKED, UNBLOCKED)
        self.expect(HUNG_UP, HUNG_UP)

    def script(self) -> None:
        """Who waits is looked at after it."""
        push = f"for _ = 1, {CROWD} do redis.call('WF.PUSH', KEYS[1], ARGV[2]) end "
        cancel = "redis.call('WF.CANCEL', KEYS[1], ARGV[1])"
        self.control.eval(push + cancel, 1, "jobs", self.wid, json.dumps(single()))
        self.expect(GIVEN, TOLD)

    def _come(self) -> None:
        for half in (self.workers, self.watchers):
            half += [Client(self.server) for _ in range(CROWD - len(half))]

    def _tell_each(self, *first: str, last: tuple[str, ...] = ()) -> None:
        with self.control.pipeline(transaction=False) as pipeline:
            for client in (*self.workers, *self.watchers):
                pipeline.execute_command(*first, client.id, *last)
            pipeline.execute()

    def _removed(self, *command: str, watchers: tuple[bytes, ...] = NO_SUCH) -> None:
        """Who waits for a workflow that is gone is told; who waits for tasks goes on waiting."""
        self.control.execute_command(*command)
        for client in self.watchers if watchers else ():
            client.expect(watchers)
        readable, _, _ = select.select([client.socket for client in self.workers], [], [], 0)
        assert readable == []
        self.jobs.push(loose(CROWD))
        for client in self.workers:
            client.expect(GIVEN)


@pytest.mark.timeout(120 * max(1, FACTOR))
def test_clients_that_wait_leave_nothing_behind(
    fresh_server: Callable[..., Server], record_property: Callable[[str, object], None]
) -> None:
    server = fresh_server(*QUIET)
    cycles = Cycles(server)
    remains = Remains(server, cycles.control, first=1)
    done = 0
    for place, way in enumerate(cycle(cycles.ways), 1):
        cycles.run(way)
        done += 2 * CROWD
        if place % LOOK_EVERY == 0 or done >= CYCLES:
            cycles.leave()
            remains.look(f"{done:,} waits")
        if done >= CYCLES:
            break
    record_property("count waits that ended", done)
    print(f"{done:,} waits: {remains}")
