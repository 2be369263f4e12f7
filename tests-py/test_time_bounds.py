"""What a great many waits cost: no command is held up, an idle server idles, memory comes back.

Measurements are repeated when the machine was busy: what the module does is in each of them, what
others do is not. WF_SOAK runs the memory test on all servers, not just on one.
"""

import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from servers import Server
from space import Space
from test_blocking_crowd import crowd
from waiting import now_ms, work_for
from workflows import loose, single

MANY = 100_000
HELD_UP_MS = 30
ATTEMPTS = 6

SOAK = bool(os.environ.get("WF_SOAK"))
ROUNDS = 10
TASKS = 1_000_000
MEGABYTE = 1 << 20


# Claims and completes ten thousand tasks or what there is; a client of Python would take longer.
WORK_OFF = """
for _ = 1, 10 do
    local tokens = {}
    for _, task in ipairs(redis.call('WF.CLAIM', KEYS[1], 'w', 'COUNT', 1000)) do
        tokens[#tokens + 1] = task[1]
    end
    if #tokens == 0 then return 0 end
    redis.call('WF.COMPLETE', KEYS[1], unpack(tokens))
end
return 1
"""


def push_many(space: Space, document: dict[str, Any], count: int, *options: Any) -> None:
    body = json.dumps(document)
    for start in range(0, count, 200):
        with space.client.pipeline(transaction=False) as pipeline:
            for _ in range(min(200, count - start)):
                pipeline.execute_command("WF.PUSH", space.key, body, *options)
            pipeline.execute()


def claim_all(space: Space, *options: Any) -> list[bytes]:
    tokens: list[bytes] = []
    while claimed := space.call("CLAIM", "w", "COUNT", 5_000, *options):
        tokens += [task[0] for task in claimed]
    return tokens


def delays(space: Space, at: int) -> Callable[[], bool]:
    push_many(space, loose(1_000), MANY // 1_000, "AT", at)
    return lambda: space.stats()["tasks"]["delayed"] == 0


def delays_of_small_ones(space: Space, at: int) -> Callable[[], bool]:
    push_many(space, loose(10), MANY // 10, "AT", at)
    return lambda: space.stats()["tasks"]["delayed"] == 0


def leases(space: Space, at: int) -> Callable[[], bool]:
    push_many(space, loose(1_000), MANY // 1_000)
    tokens = claim_all(space, "LEASE", 3_600_000)
    for start in range(0, len(tokens), 5_000):
        space.call("EXTEND", max(1, at - now_ms()), *tokens[start : start + 5_000])
    return lambda: space.stats()["tasks"]["running"] == 0


def deadlines(space: Space, at: int) -> Callable[[], bool]:
    push_many(space, loose(10), MANY // 10, "TIMEOUT", at - now_ms())
    return lambda: space.stats()["workflows"]["running"] == 0


def retention(space: Space, at: int) -> Callable[[], bool]:
    push_many(space, loose(10), MANY // 10)
    tokens = claim_all(space, "LEASE", 3_600_000)
    for start in range(0, len(tokens), 5_000):
        space.call("COMPLETE", *tokens[start : start + 5_000])
    space.configure("retain-completed-ms", 1)
    return lambda: space.stats()["workflows"]["completed"] == 0


# What happens at once, and how long it takes to set up.
WAITS: dict[str, tuple[Callable[[Space, int], Callable[[], bool]], int]] = {
    "delays": (delays, 1_500),
    "delays of small workflows": (delays_of_small_ones, 2_500),
    "leases": (leases, 2_500),
    "deadlines": (deadlines, 2_500),
    "retention": (retention, 0),
}


def longest_ping(server: Server, over: Callable[[], bool], timeout: float = 60) -> float:
    """Pings until everything has happened; the longest that one took, in milliseconds."""
    client = server.client()
    longest, end = 0.0, time.monotonic() + timeout
    while not over():
        assert time.monotonic() < end, "it does not come to an end"
        for _ in range(20):
            start = time.perf_counter()
            client.ping()
            longest = max(longest, time.perf_counter() - start)
    return longest * 1000


@pytest.mark.timeout(300)
@pytest.mark.parametrize("wait", WAITS)
def test_a_hundred_thousand_at_once_hold_no_command_up(fresh_server: Callable[..., Server], wait: str) -> None:
    set_up, ahead = WAITS[wait]
    server = fresh_server()
    seen = []
    for attempt in range(ATTEMPTS):
        space = Space(server.client(), f"jobs-{attempt}")
        over = set_up(space, now_ms() + ahead)
        seen.append(longest_ping(server, over))
        server.client().execute_command("FLUSHALL", "SYNC")
        if seen[-1] <= HELD_UP_MS:
            break
    print(f"longest pings: {seen} ms")
    assert min(seen) <= HELD_UP_MS, seen


def test_a_crowd_is_served_in_order_when_all_is_due_at_once(fresh_server: Callable[..., Server]) -> None:
    server = fresh_server("maxclients 5000")
    space = Space(server.client(), "jobs")
    with crowd(server, 1_000) as many:
        space.push(loose(800), "AT", now_ms() + 300)
        longest = longest_ping(server, lambda: space.stats()["tasks"]["running"] == 800)
        assert many.served() == list(range(800))
        print(f"longest ping: {longest} ms")


@pytest.mark.timeout(300)
def test_an_idle_server_with_a_million_delayed_tasks_idles(fresh_server: Callable[..., Server]) -> None:
    empty, full = fresh_server(), fresh_server()
    space = Space(full.client(), "jobs")
    push_many(space, loose(100_000), 10, "DELAY", 3_600_000)
    assert space.stats()["delayed"] == 1_000_000
    idles(empty, full)


def test_a_server_idles_when_a_timer_has_fired_and_the_next_is_far_away(fresh_server: Callable[..., Server]) -> None:
    """Redis 7.0 ran in circles when the next was more than 35 minutes away."""
    empty, full = fresh_server(), fresh_server()
    space = Space(full.client(), "jobs")
    for delay in (100, 3_600_000, 10**10):
        space.push(single(), "DELAY", delay)
    full.wait_until(lambda: space.stats()["delayed"] == 2, what="the first to be due")
    idles(empty, full)


def idles(empty: Server, full: Server) -> None:
    """With nothing to do now, a server takes no more of the processor than one that has nothing at all."""
    seen = []
    for _ in range(ATTEMPTS):
        before = [used_cpu(server) for server in (empty, full)]
        work_for(2)
        idle, waiting = (used_cpu(server) - was for server, was in zip((empty, full), before, strict=True))
        seen.append((round(idle, 4), round(waiting, 4)))
        if waiting <= 1.3 * idle + 0.002:
            break
    else:
        pytest.fail(f"seconds of CPU in 2 seconds, of an empty server and of this one: {seen}")
    print(f"seconds of CPU: {seen}")


def used_cpu(server: Server) -> float:
    info = server.client().info("cpu")
    return info["used_cpu_sys"] + info["used_cpu_user"]


@pytest.mark.timeout(300)
def test_memory_comes_back_with_retention_zero(fresh_server: Callable[..., Server], flavour: str) -> None:
    if not SOAK and flavour != "redis-7.0":
        pytest.skip("on one server, on all with WF_SOAK")
    # A log of slow commands would be what grows.
    server = fresh_server("slowlog-log-slower-than -1")
    space = Space(server.client(), "jobs")

    def one_round() -> int:
        push_many(space, loose(100), TASKS // 100, "RETAIN", 0)
        while space.client.eval(WORK_OFF, 1, "jobs"):
            pass
        server.wait_until(lambda: sum(space.stats()["workflows"].values()) == 0, 30, "everything to be removed")
        server.close_clients()
        space.client = server.client()
        return space.client.info("memory")["used_memory"]

    before = space.client.info("memory")["used_memory"]
    after = [one_round() for _ in range(ROUNDS)]
    print(f"bytes more than before: {[used - before for used in after]}")
    assert after[-1] - before <= MEGABYTE
    assert after[-1] - after[0] <= 64 * 1024, "nothing is added by a round"
    assert space.stats()["types"]["work"]["completed"] == ROUNDS * TASKS
