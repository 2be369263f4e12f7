"""RESTORE of damaged payloads with a right CRC: an error, or a space that works. The server lives.

The payload holds every kind of section. It is saved without compression, so that a changed byte
reaches the decoder as it is. WF_FUZZ_BYTES=all tries all 255 other values of each byte.
"""

import os
import random
from collections.abc import Iterable

import pytest

from dumps import Dump
from history import HOUR, digest
from servers import Server
from space import Space
from wire import Wire, commands, encode
from workflows import chain, diamond, fan, single, task, workflow

SEED = int(os.environ.get("WF_FUZZ_SEED", 0)) or random.SystemRandom().randrange(2**32)
EVERY_VALUE = os.environ.get("WF_FUZZ_BYTES") == "all"
BATCH = 200


@pytest.fixture
def dump(server: Server, jobs: Space) -> Dump:
    """A small space with something of everything."""
    jobs.client.config_set("rdbcompression", "no")
    for _ in range(2):
        jobs.push(diamond(), "INPUT", "in")
    jobs.push({**fan(2), "name": "own name"}, "ID", "text-id", "PRIORITY", 5)
    jobs.push(workflow(task("o", type="t", priority=1, lease_ms=HOUR, payload="p")), "PAUSED")
    jobs.push(chain(2, type="u"), "ID", "failed")
    jobs.push(single(type="v"), "ID", "completed")
    jobs.push(single(type="e"), "ID", "expired")
    bad = jobs.claim_one("w", "TYPES", 1, "u", "LEASE", HOUR)
    jobs.fail(bad.token, "ERROR", "e")
    done = jobs.claim_one("w", "TYPES", 1, "v", "LEASE", HOUR)
    jobs.complete(done.token, "RESULT", "r")
    late = jobs.claim_one("slow", "TYPES", 1, "e", "LEASE", 1)
    server.wait_until(lambda: jobs.states("expired") == {"only": "ready"}, what="the lease to run out")
    root, *_ = jobs.claim("w", "COUNT", 2, "LEASE", HOUR)
    jobs.complete(root.token, "RESULT", "root")
    jobs.recover("w")
    jobs.claim("you", "COUNT", 2, "LEASE", HOUR)
    jobs.pause("TYPE", "unseen")
    jobs.define("d", {**fan(2), "priority": 3, "timeout_ms": HOUR})
    jobs.start("d", "PAUSED")
    jobs.define("later", single(type="v", payload="p", delay_ms=HOUR))
    assert late.token
    made = Dump(jobs.client.dump("jobs"))
    assert 300 < len(made.body) < 2048, f"{len(made.body)} bytes"
    return made


def tried(wire: Wire, payloads: Iterable[bytes]) -> tuple[int, int]:
    """Restores each and, if it was taken, does everything with it. How many were taken, how many not."""
    afterwards = commands(
        ["DEBUG", "DIGEST-VALUE", "h"],
        ["WF.STATS", "h"],
        ["WF.WORKERS", "h"],
        ["WF.GRAPH", "h", "1"],
        *(["WF.WHY", "h", wid] for wid in ("1", "2", "text-id", "failed", "completed", "expired")),
        *(["WF.GET", "h", wid, "TASKS"] for wid in ("1", "2", "text-id", "failed", "completed", "expired")),
        ["MEMORY", "USAGE", "h"],
        ["COPY", "h", "c", "REPLACE"],
        ["DEBUG", "DIGEST-VALUE", "c"],
        ["WF.CLAIM", "h", "w", "COUNT", 4, "WITHRESULTS"],
        ["WF.RECOVER", "h", "you"],
        ["WF.PAUSE", "h", "ID", "1", "text-id"],
        ["WF.RELEASE", "h", "ALL"],
        ["WF.RELEASE", "h", "ID", "1", "text-id", "4"],
        ["WF.PUSH", "h", '{"tasks":[{"name":"a","type":"t"}]}'],
        ["WF.DEFINITIONS", "h"],
        ["WF.START", "h", "d"],
        ["WF.START", "h", "later"],
        ["WF.DEFINE", "h", "d", '{"tasks":[{"name":"a","type":"t"}]}'],
        ["WF.UNDEFINE", "h", "d"],
        ["WF.CLAIM", "h", "w", "COUNT", 100],
        ["WF.DELETE", "h", "1", "text-id", "failed"],
        ["DUMP", "h"],
        ["DEL", "h", "c"],
    )
    taken = refused = 0
    batch: list[bytes] = []

    def send() -> None:
        nonlocal taken, refused
        # First all restores, each deleted at once, to see which are taken; those are used then.
        answer = wire.ask(b"".join(encode("RESTORE", "h", 0, payload) + encode("DEL", "h") for payload in batch))
        verdicts = [line for line in answer.split(b"\r\n") if line and not line.startswith(b":")]
        assert len(verdicts) == len(batch), answer[:500]
        good = [payload for payload, verdict in zip(batch, verdicts, strict=True) if verdict == b"+OK"]
        assert all(verdict == b"+OK" or verdict.startswith(b"-ERR Bad data") for verdict in verdicts), set(verdicts)
        wire.ask(b"".join(encode("RESTORE", "h", 0, payload) + afterwards for payload in good))
        taken, refused = taken + len(good), refused + len(batch) - len(good)
        batch.clear()

    for payload in payloads:
        batch.append(payload)
        if len(batch) == BATCH:
            send()
    send()
    return taken, refused


def works(server: Server, dump: Dump) -> None:
    """The server is well and still takes the undamaged payload."""
    server.check()
    client = server.client()
    client.restore("again", 0, dump.with_body(dump.body))
    assert digest(client, "again") == digest(client, "jobs")


def test_truncated_at_every_byte(server: Server, dump: Dump) -> None:
    wire = Wire(server)
    taken, refused = tried(wire, dump.truncated())
    assert (taken, refused) == (0, len(dump.body)), "half a space was taken"
    works(server, dump)
    wire.close()


@pytest.mark.timeout(3600 if EVERY_VALUE else 120)
def test_any_byte_changed(server: Server, dump: Dump) -> None:
    def values(byte: int) -> set[int]:
        some = {byte ^ 1 << bit for bit in range(8)} | {0, 0xFF, 0x7F, 0x80, (byte + 1) % 256, (byte - 1) % 256}
        return set(range(256)) if EVERY_VALUE else some

    wire = Wire(server)
    taken, refused = tried(wire, dump.every_byte_changed(values))
    assert taken > 100 and refused > 1000, f"{taken} taken, {refused} refused"
    works(server, dump)
    wire.close()


def test_many_bytes_changed_inserted_and_removed(server: Server, dump: Dump) -> None:
    print(f"replay with WF_FUZZ_SEED={SEED}")
    wire = Wire(server)
    _, refused = tried(wire, dump.damaged(random.Random(SEED), 4_000))
    assert refused > 1000
    works(server, dump)
    wire.close()


def test_a_compressed_payload_changed(server: Server, dump: Dump) -> None:
    """As servers send it by default."""
    client = server.client()
    client.config_set("rdbcompression", "yes")
    Space(client, "jobs").push(fan(40))
    small = Dump(client.dump("jobs"))
    wire = Wire(server)
    _, refused = tried(wire, (small.changed(at, byte ^ 0x55) for at, byte in enumerate(small.body)))
    assert refused > 100
    works(server, small)
    wire.close()


def test_a_wrong_crc_is_refused_by_the_server(server: Server, dump: Dump) -> None:
    payload = bytearray(dump.with_body(dump.body))
    payload[-1] ^= 1
    wire = Wire(server)
    assert b"DUMP payload version or checksum are wrong" in wire.ask(encode("RESTORE", "h", 0, bytes(payload)))
    wire.close()
