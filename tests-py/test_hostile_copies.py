"""After random vectors, with whole keys copied, renamed and moved in between, every copy is equal:
on a replica that followed, on one that comes now, after a reload, and after loading the AOF.

This is where a command that replicates something else than it did would show.
"""

import os
import random
from collections.abc import Callable

import redis

from files import rewrite_aof
from servers import Server
from space import Space
from vectors import Vectors, stock, wrapped
from wire import Wire, commands, encode

SEED = int(os.environ.get("WF_FUZZ_SEED", 0)) or random.SystemRandom().randrange(2**32)
ROUNDS = 5
BATCHES = 8
BATCH = 200

WHOLE_KEYS = [
    commands(["COPY", "jobs", "copy", "REPLACE"]),
    commands(["RENAME", "jobs", "more"], ["COPY", "more", "jobs"]),
    commands(["COPY", "more", "moved", "DB", 1, "REPLACE"], ["SWAPDB", 0, 1], ["SWAPDB", 0, 1]),
    commands(["MULTI"], ["DEL", "jobs"], ["COPY", "copy", "jobs"], ["EXEC"]),
    commands(["UNLINK", "copy"]),
]


def whole_digest(client: redis.Redis) -> bytes:
    return client.execute_command("DEBUG", "DIGEST")


def test_random_vectors_leave_equal_copies(fresh_server: Callable[..., Server]) -> None:
    print(f"replay with WF_FUZZ_SEED={SEED}")
    primary = fresh_server("appendonly yes", "aof-use-rdb-preamble no", "workflow.max-types 60000")
    replica = fresh_server(replica_of=primary)
    control, copy = primary.client(), replica.client()
    vectors, wire = Vectors(SEED), Wire(primary)
    client_id = int(wire.ask(encode("CLIENT", "ID"))[1:-2])
    seen = set()
    for turn in range(ROUNDS):
        for batch in range(BATCHES):
            stock(Space(control, "jobs"), vectors, turn * BATCHES + batch + 1)
            drawn = [wrapped(vectors.one(), vectors.random.randrange(8)) for _ in range(BATCH)]
            drawn.insert(vectors.random.randrange(BATCH), vectors.random.choice(WHOLE_KEYS))
            wire.ask(b"".join(drawn), stuck=lambda: control.client_unblock(client_id))
        # Nothing expires while the copies are compared.
        control.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
        replica.wait_in_sync(primary)
        seen.add(whole_digest(control))
        assert whole_digest(copy) == whole_digest(control), f"round {turn}"
        control.execute_command("CLIENT", "UNPAUSE")
    assert len(seen) == ROUNDS
    wire.close()

    # In a pause nothing happens by itself, and from the first loading on no lease runs out.
    control.config_set("workflow.grace-ms", 3_600_000)
    control.execute_command("CLIENT", "PAUSE", 600_000, "WRITE")
    control.execute_command("DEBUG", "RELOAD")
    before = whole_digest(control)
    for reload in ("LOADAOF", "RELOAD"):
        control.execute_command("DEBUG", reload)
        assert whole_digest(control) == before, f"after DEBUG {reload}"
    rewrite_aof(primary)
    control.execute_command("DEBUG", "LOADAOF")
    assert whole_digest(control) == before, "after a rewrite"
    late = fresh_server(replica_of=primary)
    assert whole_digest(late.client()) == before
