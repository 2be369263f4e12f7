"""Files that a version of the module wrote, to be loaded by every later one: tests-py/golden.

    REDIS_WORKFLOW_MODULE=.../libredisworkflow.so python golden_files.py 0.1-first

makes a set of them with the module of that day: the same spaces as an RDB file, as the effects that
made them, as an AOF that was rewritten without and with an RDB preamble, and `expected.json`, what
clients saw. A set is written once, before the version that follows it, and never again.
"""

import json
import sys
from pathlib import Path
from typing import Any

from files import aof_files, rewrite_aof
from history import HOUR, ids_of, live, portrait
from servers import Server
from space import Space, text
from workflows import chain, loose, single

GOLDEN = Path(__file__).resolve().parent / "golden"

# Where each space stands: database and key.
PLACES = {"a long life": (0, "jobs"), "everything paused": (3, "halted")}
MONTH = 30 * 24 * HOUR


def space_at(server: Server, place: str) -> Space:
    db, key = PLACES[place]
    return Space(server.client(db=db), key)


def make(name: str) -> None:
    directory = GOLDEN / name
    directory.mkdir()
    # The oldest server writes what all can read.
    server = Server("redis-7.0", "appendonly yes", "appendfsync always", "aof-use-rdb-preamble no").start()
    try:
        jobs, halted = (space_at(server, place) for place in PLACES)
        live(server, jobs)
        halted.push(chain(2), "ID", "running")
        halted.push(single(type="x"), "ID", "paused", "PAUSED")
        halted.push(single(delay_ms=HOUR), "ID", "delayed", "DELAY", HOUR, "TIMEOUT", MONTH)
        halted.push(loose(1), "ID", "10")
        halted.delete("10")
        held = halted.claim_one("w", "LEASE", MONTH)
        halted.pause("TYPE", "x")
        halted.pause("ALL")
        effects = b"".join(path.read_bytes() for path in aof_files(server, "incr"))

        jobs.client.config_set("aof-use-rdb-preamble", "yes")
        rewrite_aof(server)
        live(server, jobs)
        first = jobs.push(chain(3), "PRIORITY", 0)
        done = jobs.claim_one("w", "LEASE", MONTH)
        jobs.complete(done.token, "RESULT", "kept")
        next_one = jobs.claim_one("w", "LEASE", MONTH)
        assert (done.workflow, next_one.workflow) == (first, first)
        since = b"".join(path.read_bytes() for path in aof_files(server, "incr"))
        (base,) = aof_files(server, "base")
        (directory / "preamble.aof").write_bytes(base.read_bytes() + since)
        (directory / "effects.aof").write_bytes(effects + since)

        jobs.client.config_set("aof-use-rdb-preamble", "no")
        rewrite_aof(server)
        (base,) = aof_files(server, "base")
        (directory / "snapshot.aof").write_bytes(base.read_bytes())
        jobs.client.save()
        (directory / "dump.rdb").write_bytes((server.directory / "dump.rdb").read_bytes())

        seen: dict[str, Any] = {
            "tokens": {"completed": done.token, "running": next_one.token, "halted": held.token},
            "next id": {"a long life": int(first) + 1, "everything paused": 11},
            "spaces": {},
        }
        for place, ids in (
            ("a long life", ids_of(jobs, 200)),
            ("everything paused", [b"running", b"paused", b"delayed"]),
        ):
            workflows, stats = portrait(space_at(server, place), ids)
            space = space_at(server, place)
            seen["spaces"][place] = {
                "ids": [text(wid) for wid in ids],
                "workflows": workflows,
                "stats": stats,
                "dead": space.listed("FAILED"),
                "settings": space.settings(),
            }
        (directory / "expected.json").write_text(lines(seen) + "\n")
    finally:
        server.discard()


def lines(value: Any, depth: int = 4) -> str:
    """JSON with a line for each workflow, not for each figure."""
    if depth and isinstance(value, dict):
        return "{" + ",\n".join(f"{json.dumps(key)}: {lines(item, depth - 1)}" for key, item in value.items()) + "}"
    if depth and isinstance(value, list):
        return "[" + ",\n".join(lines(item, 0) for item in value) + "]"
    return json.dumps(value)


if __name__ == "__main__":
    make(sys.argv[1])
