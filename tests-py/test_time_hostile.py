"""RESTORE of damaged payloads that hold everything that waits: an error, or a space that works.

As test_hostile_payloads.py, with a space full of retries, delays, timeouts, dead letters and
retention. WF_FUZZ_BYTES=all tries all 255 other values of each byte.
"""

import random

import pytest

from dumps import Dump
from history import HOUR
from servers import Server
from space import Space
from test_hostile_payloads import EVERY_VALUE, SEED, tried, works
from waiting import eventually
from wire import Wire
from workflows import chain, loose, single, task, workflow


@pytest.fixture
def dump(server: Server, jobs: Space) -> Dump:
    """A small space with something of everything that waits for a time."""
    jobs.client.config_set("rdbcompression", "no")
    jobs.push(chain(2, type="d"), "DELAY", HOUR, "TIMEOUT", 9 * HOUR, "RETAIN", HOUR)
    jobs.push({**single(type="d", delay_ms=HOUR), "timeout_ms": 10 * HOUR}, "ID", "text-id", "PAUSED")
    backoff = {"kind": "linear", "delay_ms": HOUR, "max_ms": 2 * HOUR, "jitter": 0.5}
    jobs.push({**loose(3, timeout_ms=HOUR), "defaults": {"max_attempts": 3, "max_deliveries": 4, "backoff": backoff}})
    one, two, three = jobs.claim("w", "COUNT", 3, "LEASE", HOUR)
    assert jobs.fail(one.token, "ERROR", "e", two.token, "RETRY", 0) == [2, 2]
    assert jobs.recover("w") == [three.token]
    jobs.claim("you", "COUNT", 1, "LEASE", HOUR)
    jobs.push(workflow(task("a", type="f"), task("b", type="f"), task("c", ["a"], type="f")), "ID", "failed")
    a, b = jobs.claim("f", "TYPES", 1, "f", "COUNT", 2, "LEASE", HOUR)
    jobs.fail(a.token, "ERROR", "a", b.token, "NORETRY")
    assert jobs.retry("failed", "TASK", "b") == 1
    jobs.push(single(type="v", max_deliveries=1), "ID", "expired")
    jobs.claim_one("killed", "TYPES", 1, "v", "LEASE", HOUR)
    jobs.recover("killed")
    jobs.push(single(type="c"), "ID", "completed")
    jobs.complete(jobs.claim_one("w", "TYPES", 1, "c").token, "RESULT", "r")
    jobs.push(single(type="o"), "ID", "over", "TIMEOUT", 1)
    eventually(lambda: jobs.state("over") == "failed", what="a deadline")
    jobs.configure("default-lease-ms", 5, "retain-count", 100)
    made = Dump(jobs.client.dump("jobs"))
    assert 300 < len(made.body) < 2048, f"{len(made.body)} bytes"
    return made


def test_truncated_at_every_byte(server: Server, dump: Dump) -> None:
    wire = Wire(server)
    taken, refused = tried(wire, dump.truncated())
    assert (taken, refused) == (0, len(dump.body)), "half a space was taken"
    works(server, dump)
    wire.close()


@pytest.mark.timeout(3600 if EVERY_VALUE else 180)
def test_any_byte_changed(server: Server, dump: Dump) -> None:
    def values(byte: int) -> set[int]:
        some = {byte ^ 1 << bit for bit in range(0, 8, 2)} | {0, 0xFF, 0x80, (byte + 1) % 256, (byte - 1) % 256}
        return set(range(256)) if EVERY_VALUE else some

    wire = Wire(server)
    taken, refused = tried(wire, dump.every_byte_changed(values))
    assert taken > 100 and refused > 1000, f"{taken} taken, {refused} refused"
    works(server, dump)
    wire.close()


def test_many_bytes_changed_inserted_and_removed(server: Server, dump: Dump) -> None:
    print(f"replay with WF_FUZZ_SEED={SEED}")
    wire = Wire(server)
    _, refused = tried(wire, dump.damaged(random.Random(SEED), 3_000))
    assert refused > 1000
    works(server, dump)
    wire.close()
