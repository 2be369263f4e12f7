"""Random argument vectors over all commands: the server lives, and everything works afterwards.

WF_FUZZ_VECTORS sets how many all servers get together (default a million), WF_FUZZ_SEED
replays a run. The vectors go through a plain connection, through MULTI and through Lua.
"""

import os
import random

from history import live
from servers import BINARIES, Server
from space import Space
from vectors import Vectors, stock, wrapped
from wire import Wire, encode

VECTORS = int(os.environ.get("WF_FUZZ_VECTORS", 1_000_000))
SEED = int(os.environ.get("WF_FUZZ_SEED", 0)) or random.SystemRandom().randrange(2**32)
BATCH = 400


def test_random_vectors(server: Server) -> None:
    print(f"replay with WF_FUZZ_SEED={SEED}")
    vectors = Vectors(SEED)
    space = Space(server.client(), "jobs")
    wire = Wire(server)
    control = server.client()
    client_id = int(wire.ask(encode("CLIENT", "ID"))[1:-2])
    good = bad = 0
    count = VECTORS // len(BINARIES)
    for turn in range(-(-count // BATCH)):
        stock(space, vectors, turn)
        batch = b"".join(wrapped(vectors.one(), vectors.random.randrange(8)) for _ in range(BATCH))
        # A claim that waits with nobody pushing: end its wait.
        answer = wire.ask(batch, stuck=lambda: control.client_unblock(client_id))
        good += answer.count(b"\r\n*") + answer.count(b"\r\n:")
        bad += answer.count(b"-ERR ") + answer.count(b"-INVALID ") + answer.count(b"-LIMIT ")
        assert b"WF.APPLY is" in answer or turn < 5
    assert good > count / 20 and bad > count / 20, f"{good} good and {bad} bad answers: the vectors prove nothing"
    wire.close()
    server.check()
    space.client.flushall()
    live(server, Space(space.client, "jobs"))
