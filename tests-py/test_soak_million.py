"""A million tasks come and go, in every way there is, and leave nothing behind.

`WF_SOAK=n` makes 5 n rounds of a million tasks; `make test` makes each kind of round once, with fewer.
"""

import json
import re
from collections.abc import Callable, Iterator
from itertools import cycle, islice

import pytest

from remains import FACTOR, QUIET, Remains
from servers import Server
from space import Space
from waiting import now_ms
from wire import Wire, encode
from workflows import Document, chain, diamond, fan, loose, single, task, workflow

TASKS = 1_000_000 if FACTOR else 20_000
BATCH = 500
TOKEN = re.compile(rb"\r\n(\S+-\d+-[0-9a-f]{8})\r\n")
HOUR = 3_600_000


def shapes() -> Iterator[Document]:
    """Equal ones, small and large, with and without payloads, and every fifth like no other."""
    some = (
        chain(5, payload="p" * 30), diamond(), fan(50),
        loose(10, max_attempts=2, backoff={"kind": "exponential", "delay_ms": 1, "max_ms": 5}, timeout_ms=HOUR),
    )  # fmt: skip
    number = 0
    while True:
        yield from some
        number += 1
        yield workflow(*(task(f"own {number}-{place}", type=f"type {number % 100}") for place in range(10)))


def each(tokens: list[bytes], *words: str) -> Iterator[str | bytes]:
    """Every token with these words behind it."""
    return (word for token in tokens for word in (token, *words))


class Rounds:
    """Fills the space `jobs` with so many tasks and empties it, each way in a method."""

    def __init__(self, server: Server, make_server: Callable[..., Server]):
        self.server, self.make_server = server, make_server
        self.control = server.client()
        self.jobs = Space(self.control, "jobs")
        self.tasks = 0
        self.ways = (
            self.worked_off, self.delete, self.unlink, self.workflow_by_workflow, self.failed_and_cancelled,
            self.kept_too_long, self.too_many_kept, self.flush_async, self.overwritten, self.moved_and_swapped,
            self.copied_and_restored, self.expired, self.resynced,
        )  # fmt: skip

    def push(self, *options: str | int, tasks: int = TASKS) -> None:
        pushed, wire = 0, Wire(self.server)
        documents = shapes()
        while pushed < tasks:
            batch = list(islice(documents, BATCH))
            bodies = (json.dumps(document) for document in batch)
            answer = wire.ask(b"".join(encode("WF.PUSH", "jobs", body, *options) for body in bodies))
            assert b"\r\n-" not in answer and not answer.startswith(b"-"), answer[:200]
            pushed += sum(len(document["tasks"]) for document in batch)
        wire.close()
        self.tasks += pushed

    def work(self, act: Callable[[list[bytes]], tuple[str | bytes | int, ...]]) -> None:
        """Claims all there is and does something with the tokens, until there is no more."""
        wire = Wire(self.server)
        while tokens := TOKEN.findall(wire.ask(encode("WF.CLAIM", "jobs", "w", "COUNT", 10_000, "LEASE", HOUR))):
            answer = wire.ask(encode(*act(tokens)))
            assert answer.startswith(b"*"), answer[:200]
        wire.close()

    def all_go(self) -> None:
        """Finished workflows are removed a few at a time."""
        self.server.wait_until(lambda: self.jobs.page() == ("0", []), 60, "all to go")
        self.control.delete("jobs")

    # The ways

    def worked_off(self) -> None:
        """They are gone when they are done."""
        self.push("RETAIN", 0)
        self.work(lambda tokens: ("WF.COMPLETE", "jobs", *tokens))
        self.all_go()

    def failed_and_cancelled(self) -> None:
        self.push("RETAIN", 0)
        ids = [one["id"] for one in self.jobs.listed("COUNT", 10_000)]
        for start in range(0, len(ids) // 2, 1_000):
            self.jobs.call("CANCEL", *ids[start : min(start + 1_000, len(ids) // 2)], "REASON", "why not")
        self.work(lambda tokens: ("WF.FAIL", "jobs", *each(tokens, "ERROR", "e" * 40, "NORETRY")))
        self.all_go()

    def kept_too_long(self) -> None:
        """They are kept with their results until their time is over."""
        self.push("RETAIN", 1)
        self.work(lambda tokens: ("WF.COMPLETE", "jobs", *each(tokens, "RESULT", "r" * 20)))
        self.all_go()

    def too_many_kept(self) -> None:
        self.push("RETAIN", HOUR)
        self.jobs.configure("retain-count", 100)
        self.work(lambda tokens: ("WF.COMPLETE", "jobs", *each(tokens, "RESULT", "r" * 20)))
        self.server.wait_until(self._keeps_no_more, 60, "no more than may be kept")
        self.control.delete("jobs")

    def workflow_by_workflow(self) -> None:
        self.push()
        self.jobs.claim("holds some", "COUNT", 1_000)
        while ids := [one["id"] for one in self.jobs.page("COUNT", 1_000)[1]]:
            assert self.jobs.delete(*ids) == len(ids)
        self.control.delete("jobs")

    def delete(self) -> None:
        self.push()
        self.jobs.claim("holds some", "COUNT", 1_000)
        self.control.delete("jobs")

    def unlink(self) -> None:
        self.push()
        self.control.unlink("jobs")

    def flush_async(self) -> None:
        self.push()
        self.control.execute_command("FLUSHALL", "ASYNC")

    def overwritten(self) -> None:
        self.push()
        self.control.set("jobs", "a string")
        self.control.delete("jobs")

    def expired(self) -> None:
        self.push()
        self.control.pexpireat("jobs", now_ms() + 1)
        self.server.wait_until(lambda: not self.control.exists("jobs"), what="its end")

    def moved_and_swapped(self) -> None:
        self.push()
        self.control.rename("jobs", "renamed")
        self.control.move("renamed", 1)
        self.control.swapdb(0, 1)
        assert self.control.dbsize() == 1
        self.control.execute_command("FLUSHDB", "ASYNC")

    def copied_and_restored(self) -> None:
        self.push(tasks=TASKS // 3)
        self.control.copy("jobs", "copied")
        self.control.restore("restored", 0, self.control.dump("jobs"))
        self.control.execute_command("DEBUG", "RELOAD")
        self.control.delete("jobs", "copied")
        self.control.unlink("restored")
        self.tasks += 2 * TASKS // 3

    def resynced(self) -> None:
        """It becomes a replica of a server that has a copy, and of one that has nothing."""
        self.push()
        other, empty = self.make_server(), self.make_server()
        other.replicate_from(self.server)
        other.promote()
        Space(other.client(), "jobs").push(single())
        self.control.execute_command("WF.PUSH", "jobs", json.dumps(single()))
        self.server.replicate_from(other)
        assert self.control.exists("jobs") == 1
        self.server.replicate_from(empty)
        assert self.control.dbsize() == 0
        self.server.promote()
        other.discard()
        empty.discard()
        # What a connection takes is not all counted as that of clients.
        self.server.close_clients()

    def _keeps_no_more(self) -> bool:
        return self.jobs.stats()["workflows"]["completed"] <= 100


@pytest.mark.timeout(300 * max(1, FACTOR))
def test_a_million_tasks_leave_nothing_behind(
    fresh_server: Callable[..., Server], record_property: Callable[[str, object], None]
) -> None:
    # The backlog is the server's: small, and there from the start.
    server = fresh_server(*QUIET, "repl-backlog-size 16kb", "repl-backlog-ttl 1")
    rounds = Rounds(server, fresh_server)
    remains = Remains(server, rounds.control, first=len(rounds.ways))
    for way in islice(cycle(rounds.ways), 5 * FACTOR or len(rounds.ways)):
        way()
        remains.look(way.__name__)
    record_property("count tasks that came and went", rounds.tasks)
    print(f"{rounds.tasks:,} tasks: {remains}")
