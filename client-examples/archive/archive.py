"""Moves finished workflows with their results from a space into PostgreSQL.

    python archive.py --key {jobs} --stream {jobs}events --database "host=db dbname=archive"

It reads the space's stream of events (WF.CONFIG key SET events) as a member of a consumer group. Run as
many as you like, each under a name of its own, and kill any of them at any moment: no workflow is lost
and none is there twice. For that, each workflow goes through these steps, and only in this order:

1. WF.GET key id TASKS, page by page;
2. INSERT and COMMIT. The row is named by space, id and the time of the push, so that to insert it
   again changes nothing;
3. in one script: WF.DELETE, if the workflow is still what was archived, and XACK.

Whoever dies between two of them leaves an entry that was not acknowledged. It is read again under the same
name, or taken over by another (XAUTOCLAIM) when nobody has acknowledged it for `--reclaim-ms`. What the
stream forgot before it was read (`events-maxlen`), and what finished before there was a stream, is found by
WF.LIST at every start, after every lost connection, and when an entry was trimmed unacknowledged.
"""

import argparse
import logging
import signal
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import psycopg
import redis

from table import SCHEMA, Row, fields, insert, row_of

log = logging.getLogger("archive")

ENDED = (b"workflow.completed", b"workflow.failed", b"workflow.cancelled")
FINAL_STATES = (b"completed", b"failed", b"cancelled")
TROUBLE = (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError, redis.ReadOnlyError, psycopg.OperationalError)
# At a time: one transaction, and at most so many results in memory.
BATCH = 100

# A workflow that was retried since it was archived is another one by now: it stays, and is archived again
# when it ends again. An entry is acknowledged in either case. KEYS: space, stream.
FORGET = """
local found = redis.call('WF.GET', KEYS[1], ARGV[2])
local same = 0
for i = 1, found and #found or 0, 2 do
    if found[i] == 'created' and tostring(found[i + 1]) == ARGV[3] then same = same + 1 end
    if found[i] == 'finished' and tostring(found[i + 1]) == ARGV[4] then same = same + 1 end
end
if same == 2 then redis.call('WF.DELETE', KEYS[1], ARGV[2]) end
if ARGV[5] then redis.call('XACK', KEYS[2], ARGV[1], ARGV[5]) end
return same == 2
"""

# An entry's id, or None for what was found by WF.LIST, and the id of the workflow.
Found = tuple[bytes | None, bytes]


class Archiver:
    """One member of the group."""

    def __init__(self, client: redis.Redis, database: str, options: argparse.Namespace):
        self._redis, self._database = client, database
        self._key, self._stream = options.key, options.stream
        self._group, self._name = options.group, options.name
        self._reclaim_ms, self._once = options.reclaim_ms, options.once
        self._forget = client.register_script(FORGET)
        self._stop = False

    def stop(self, *_: Any) -> None:
        """After the batch in hand."""
        self._stop = True

    def run(self) -> None:
        """Until it is stopped; with `--once`, until nothing is left to do."""
        while not self._stop:
            try:
                with psycopg.connect(self._database) as connection:
                    return self._work(connection)
            except TROUBLE as trouble:
                log.warning("starts over in a second: %s", trouble)
                time.sleep(1)

    def reached(self, point: str) -> None:
        """Called between the steps; a test dies here."""

    def _work(self, database: psycopg.Connection) -> None:
        with database.transaction():
            database.execute(SCHEMA)
        self._join()
        self._catch_up(database)
        # What this name read in an earlier life and did not acknowledge.
        while self._handle(database, self._read("0")):
            pass
        while not self._stop:
            taken, trimmed = self._take_over()
            if trimmed:
                self._catch_up(database)
            entries = taken or self._read(">")
            if not self._handle(database, entries) and self._once:
                return

    def _join(self) -> None:
        try:
            self._redis.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def _read(self, after: str) -> list[Any]:
        wait = 1 if self._once else 1_000
        reply = self._redis.xreadgroup(self._group, self._name, {self._stream: after}, count=BATCH, block=wait)
        return reply[0][1] if reply else []

    def _take_over(self) -> tuple[list[Any], bool]:
        """Entries of members that are gone, and whether some were trimmed before anybody acknowledged them."""
        reply = self._redis.xautoclaim(
            self._stream, self._group, self._name, min_idle_time=self._reclaim_ms, count=BATCH
        )
        return reply[1], bool(reply[2])

    def _catch_up(self, database: psycopg.Connection) -> None:
        """All that is finished, whatever the stream says."""
        for state in FINAL_STATES:
            cursor = b"0"
            while not self._stop:
                cursor, page = self._redis.execute_command(
                    "WF.LIST", self._key, "STATE", state, "CURSOR", cursor, "COUNT", BATCH
                )
                workflows = (dict(zip(found[::2], found[1::2], strict=True)) for found in page)
                self._move(database, [(None, found[b"id"]) for found in workflows if found[b"finished"] is not None])
                if cursor == b"0":
                    break

    def _handle(self, database: psycopg.Connection, entries: Iterable[tuple[bytes, Any]]) -> bool:
        """Entries as the stream gives them; false when there are none."""
        found: list[Found] = []
        others: list[bytes] = []
        trimmed = False
        for entry, fields in entries:
            trimmed |= not fields
            ours = fields and fields.get(b"space") == self._key.encode()
            if ours and fields.get(b"event") in ENDED:
                found.append((entry, fields[b"workflow"]))
            else:
                others.append(entry)
        if others:
            self._redis.xack(self._stream, self._group, *others)
        self._move(database, found)
        if trimmed:
            self._catch_up(database)
        return bool(found or others)

    def _move(self, database: psycopg.Connection, found: list[Found]) -> None:
        """The three steps, for some workflows at once."""
        if not found:
            return
        self.reached("read")
        rows = list(self._rows(found))
        self.reached("got")
        with database.transaction():
            # In one order, so that two members that move the same ones do not wait for each other in a circle.
            for row in sorted((row for _, _, row in rows if row), key=lambda row: row.id):
                insert(database, row)
                self.reached("inserted")
            self.reached("before commit")
        self.reached("committed")
        for entry, workflow, row in rows:
            created, finished = (row.pushed, row.finished) if row else (0, 0)
            arguments = [self._group, workflow, created, finished, *([entry] if entry else [])]
            self._forget(keys=[self._key, self._stream], args=arguments)
            self.reached("forgotten")

    def _rows(self, found: list[Found]) -> Iterator[tuple[bytes | None, bytes, Row | None]]:
        """What there is to insert; nothing where the workflow is gone, or runs again."""
        with self._redis.pipeline(transaction=False) as pipeline:
            for _, workflow in found:
                pipeline.execute_command("WF.GET", self._key, workflow, "TASKS")
            for (entry, workflow), reply in zip(found, pipeline.execute(), strict=True):
                yield entry, workflow, row_of(self._key.encode(), list(self._pages(workflow, reply)))

    def _pages(self, workflow: bytes, page: Any) -> Iterator[Any]:
        """The replies that show all tasks of a workflow, of which the first is there."""
        yield page
        while (place := fields(page or []).get("next")) is not None:
            page = self._redis.execute_command("WF.GET", self._key, workflow, "TASKS", "FROM", place)
            yield page


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Move finished workflows into PostgreSQL.")
    parser.add_argument("--url", default="redis://127.0.0.1:6379")
    parser.add_argument("--key", default="{jobs}", help="the space")
    parser.add_argument("--stream", default="{jobs}events", help="its stream of events")
    parser.add_argument("--group", default="archive", help="the consumer group")
    parser.add_argument("--name", default=socket.gethostname(), help="of this member of the group")
    parser.add_argument("--database", default="", help="a connection string of libpq")
    parser.add_argument("--reclaim-ms", type=int, default=60_000, help="after which an entry is somebody else's")
    parser.add_argument("--once", action="store_true", help="leave when nothing is left to do")
    return parser


def main(kind: type[Archiver] = Archiver, options: argparse.Namespace | None = None) -> int:
    options = options or arguments().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    client = redis.Redis.from_url(options.url, protocol=2, socket_timeout=30)
    archiver = kind(client, options.database, options)
    signal.signal(signal.SIGTERM, archiver.stop)
    signal.signal(signal.SIGINT, archiver.stop)
    archiver.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
