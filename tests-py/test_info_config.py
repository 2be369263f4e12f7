"""What an operator sees and sets: INFO workflow, CONFIG workflow.*, warnings, memory."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import redis

from blocked import Queue
from history import HOUR
from refusals import refused
from servers import CRASH, MODULE, Server
from space import Space
from workflows import chain, loose, single, task, workflow

MEGABYTE = 1 << 20


def info(client: redis.Redis) -> dict[str, Any]:
    return {name.removeprefix("workflow_"): value for name, value in client.info("workflow").items()}


# INFO


def test_info_counts_what_all_spaces_hold(server: Server, jobs: Space) -> None:
    other = Space(server.client(db=3), "other")
    jobs.push(chain(3))
    jobs.push(single(), "PAUSED")
    other.push(loose(2))
    bad = other.claim_one("w", "LEASE", HOUR)
    other.fail(bad.token)
    done = jobs.claim_one("w", "LEASE", HOUR)
    jobs.complete(done.token)
    jobs.claim_one("w", "LEASE", HOUR)
    shown = info(jobs.client)
    assert {name: value for name, value in shown.items() if name.startswith(("spaces", "workflows", "tasks"))} == {
        "spaces": 2,
        "spaces_incomplete": 0,
        "workflows_running": 1,
        "workflows_paused": 1,
        "workflows_completed": 0,
        "workflows_failed": 1,
        "workflows_cancelled": 0,
        "tasks_waiting": 2,
        "tasks_delayed": 0,
        "tasks_ready": 0,
        "tasks_running": 1,
        "tasks_completed": 1,
        "tasks_failed": 1,
        "tasks_skipped": 0,
        "tasks_cancelled": 1,
    }
    assert 200 < shown["memory_bytes"] < MEGABYTE


@pytest.mark.parametrize(
    "remove",
    [["DEL", "jobs", "copy"], ["UNLINK", "jobs", "copy"], ["FLUSHALL"], ["FLUSHALL", "ASYNC"], ["FLUSHDB", "ASYNC"]],
    ids=" ".join,
)
def test_info_forgets_what_is_removed(server: Server, jobs: Space, remove: list[str]) -> None:
    jobs.push(loose(100))
    for i in range(200):
        jobs.push(single(f"shape {i}"))
    jobs.client.copy("jobs", "copy")
    jobs.client.execute_command("DEBUG", "RELOAD")
    # What was there before may still be being freed in the background.
    server.wait_until(lambda: info(jobs.client)["tasks_ready"] == 600, what="both spaces and nothing else")
    jobs.client.execute_command(*remove)

    def nothing_left() -> bool:
        shown = info(jobs.client)
        return shown["spaces"] == shown["tasks_ready"] == shown["workflows_running"] == shown["memory_bytes"] == 0

    server.wait_until(nothing_left, what="the figures to go back to nothing")


def test_info_after_what_replaces_a_space(server: Server, jobs: Space) -> None:
    jobs.push(loose(5))
    payload = jobs.client.dump("jobs")
    jobs.client.restore("jobs", 0, payload, replace=True)
    jobs.client.rename("jobs", "new")
    jobs.client.copy("new", "jobs", replace=True)
    jobs.client.rename("new", "jobs")
    jobs.client.swapdb(0, 1)
    with pytest.raises(redis.ResponseError):
        jobs.client.restore("bad", 0, payload[:-20] + payload[-10:])

    def held() -> tuple[int, int]:
        shown = info(jobs.client)
        return shown["spaces"], shown["tasks_ready"]

    server.wait_until(lambda: held() == (1, 5), what="the replaced ones to be freed")
    jobs.client.set("jobs", "x")
    jobs.client.swapdb(0, 1)
    server.wait_until(lambda: info(jobs.client)["spaces"] == 1, what="the replaced ones to be freed")
    jobs.client.set("jobs", "x")
    server.wait_until(lambda: info(jobs.client)["spaces"] == 0, what="the last one to be freed")


def test_info_counts_what_happens(server: Server, jobs: Space) -> None:
    before = info(jobs.client)
    wid = jobs.push(loose(3))
    jobs.claim("w", "COUNT", 3, "LEASE", 1)
    server.wait_until(lambda: set(jobs.states(wid).values()) == {"ready"}, what="leases to run out")
    after = info(jobs.client)
    assert after["leases_expired"] == before["leases_expired"] + 3
    assert after["effects_applied"] >= before["effects_applied"] + 3
    assert after["sweeps"] > before["sweeps"]


def test_info_counts_what_time_does(server: Server, jobs: Space) -> None:
    before = info(jobs.client)
    jobs.push(single(type="t", timeout_ms=1, max_attempts=2, backoff={"delay_ms": 0}), "ID", "attempt")
    jobs.claim_one("w", "TYPES", 1, "t", "LEASE", 60_000)
    jobs.push(single(type="p", max_deliveries=1))
    jobs.claim_one("killed", "TYPES", 1, "p")
    jobs.recover("killed")
    jobs.push(single(), "TIMEOUT", 1, "ID", "over")
    server.wait_until(lambda: jobs.get("over")["state"] == "failed", what="the deadline")
    server.wait_until(lambda: jobs.states("attempt")["only"] == "ready", what="the attempt to time out")
    after = info(jobs.client)
    counted = ("attempts_timed_out", "attempts_retried", "poisoned_tasks", "deadlines_passed")
    assert {name: after[name] - before[name] for name in counted} == dict.fromkeys(counted, 1)


def test_info_counts_waiting_clients(server: Server, jobs: Space) -> None:
    queue = Queue(server)
    waiters = queue.joins(3)
    assert info(jobs.client)["waiting_clients"] == 3
    jobs.push(single())
    waiters[0].names()
    assert info(jobs.client)["waiting_clients"] == 2
    waiters[1].vanish()
    queue.wait_until_blocked(1)
    assert info(jobs.client)["waiting_clients"] == 1


def test_info_counts_clients_that_wait_for_workflows(server: Server, jobs: Space) -> None:
    queue = Queue(server)
    for wid in ("a", "b"):
        jobs.push(single(), "ID", wid)
    ended, killed = queue.awaits("a"), queue.awaits("b", "a")
    assert (info(jobs.client)["awaiting_clients"], info(jobs.client)["waiting_clients"]) == (2, 0)
    jobs.delete("a")
    ended.reply()
    assert info(jobs.client)["awaiting_clients"] == 1
    killed.vanish()
    queue.wait_until_blocked(0)
    assert info(jobs.client)["awaiting_clients"] == 0


def test_the_section_is_in_everything_and_alone(r: redis.Redis) -> None:
    assert "workflow_spaces" in r.info("everything")
    assert set(r.info("workflow")) == {name for name in r.info("workflow") if name.startswith("workflow_")}
    assert "workflow_spaces" not in r.info("memory")


# Eviction


def test_a_policy_that_could_evict_a_space_is_warned_of(fresh_server: Callable[..., Server]) -> None:
    server = fresh_server("maxmemory-policy allkeys-lru")
    warning = "evict"
    assert warning in info(server.client())["eviction_warning"]
    assert server.log().count("may evict") == 1
    for policy in ("noeviction", "volatile-lru"):
        server.client().config_set("maxmemory-policy", policy)
        assert "eviction_warning" not in info(server.client())
    for policy in ("allkeys-random", "allkeys-lfu"):
        server.client().config_set("maxmemory-policy", policy)
        assert warning in info(server.client())["eviction_warning"]
    assert server.log().count("may evict") == 2


def test_no_warning_where_there_is_no_danger(fresh_server: Callable[..., Server]) -> None:
    server = fresh_server()
    assert "eviction_warning" not in info(server.client())
    assert "may evict" not in server.log()


# CONFIG

SETTINGS: dict[str, tuple[int, int, int]] = {
    "default-lease-ms": (1, 60_000, 30 * 24 * HOUR),
    "grace-ms": (0, 10_000, HOUR),
    "max-tasks": (1, 200_000, (1 << 20) - 1),
    "max-edges": (0, 1_000_000, (1 << 24) - 1),
    "max-payload-bytes": (0, MEGABYTE, 512 * MEGABYTE),
    "max-input-bytes": (0, MEGABYTE, 512 * MEGABYTE),
    "max-result-bytes": (0, MEGABYTE, 512 * MEGABYTE),
    "max-error-bytes": (0, 65_536, 512 * MEGABYTE),
    "max-count": (1, 10_000, 1_000_000),
    "max-types": (1, 10_000, 65_535),
    "default-max-attempts": (1, 1, 65_535),
    "default-max-deliveries": (1, 5, 65_535),
    "retain-completed-ms": (0, 24 * HOUR, 10 * 365 * 24 * HOUR),
    "retain-failed-ms": (0, 7 * 24 * HOUR, 10 * 365 * 24 * HOUR),
    "retain-count": (0, 2**32 - 1, 2**32 - 1),
    "retain-bytes": (0, 1 << 40, 1 << 40),
    "events-maxlen": (0, 100_000, 2**32 - 1),
}


def test_these_are_all_settings_with_their_defaults(r: redis.Redis) -> None:
    expected = {f"workflow.{name}": str(default) for name, (_, default, _) in SETTINGS.items()}
    expected["workflow.grace-ms"] = "0"
    assert r.config_get("workflow.*") == expected


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_range_of_a_setting(r: redis.Redis, setting: str) -> None:
    name, (least, default, most) = f"workflow.{setting}", SETTINGS[setting]
    for value in (least, most, default):
        r.config_set(name, value)
        assert r.config_get(name) == {name: str(value)}
    empty = [] if setting.endswith("-bytes") else [""]  # For sizes the server reads that as 0.
    for value in (least - 1, most + 1, "x", "1.5", 2**64, -1, *empty):
        with pytest.raises(redis.ResponseError):
            r.config_set(name, value)
            pytest.fail(f"{value} was taken as {r.config_get(name)}")
    assert r.config_get(name) == {name: str(default)}


def test_sizes_can_be_written_with_a_unit(r: redis.Redis) -> None:
    r.config_set("workflow.max-payload-bytes", "2mb")
    assert r.config_get("workflow.max-payload-bytes") == {"workflow.max-payload-bytes": str(2 * MEGABYTE)}


def test_settings_of_the_file_hold_and_can_be_rewritten(fresh_server: Callable[..., Server]) -> None:
    server = fresh_server("workflow.max-tasks 7", "workflow.max-payload-bytes 1kb")
    shown = server.client().config_get("workflow.*")
    assert (shown["workflow.max-tasks"], shown["workflow.max-payload-bytes"]) == ("7", "1024")
    server.client().config_set("workflow.max-types", 9)
    server.client().config_rewrite()
    written = (server.directory / "server.conf").read_text()
    assert "workflow.max-types 9" in written and "workflow.max-tasks 7" in written


@pytest.mark.parametrize("line", ["workflow.max-tasks 0", "workflow.max-tasks x", "workflow.colour red"])
def test_a_server_does_not_start_with_a_bad_setting(flavour: str, line: str) -> None:
    server = Server(flavour, line)
    try:
        with pytest.raises(AssertionError, match="did not start"):
            server.start()
        assert re.search("configuration|setting", server.log(), re.IGNORECASE), "the reason is in the log"
        assert CRASH.search(server.log()) is None
    finally:
        server.discard()


def test_loaded_into_a_running_server_with_its_settings(fresh_server: Callable[..., Server]) -> None:
    server = fresh_server("enable-module-command yes", module=None)
    client = server.client()
    client.execute_command("MODULE", "LOADEX", str(MODULE), "CONFIG", "workflow.max-tasks", 5)
    assert client.config_get("workflow.max-tasks") == {"workflow.max-tasks": "5"}
    jobs = Space(client, "jobs")
    jobs.push(loose(5))
    with refused("LIMIT", "max-tasks"):
        jobs.push(loose(6))
    with pytest.raises(redis.ResponseError):
        client.execute_command("MODULE", "UNLOAD", "workflow")
    assert jobs.stats()["tasks"]["ready"] == 5


LONG = "x" * 11


def two_types(jobs: Space) -> None:
    jobs.push(workflow(task("a", type="a"), task("b", type="b")))


def result(jobs: Space) -> None:
    jobs.push(single())
    jobs.complete(jobs.claim_one("w").token, "RESULT", LONG)


def error(jobs: Space) -> None:
    jobs.push(single())
    jobs.fail(jobs.claim_one("w").token, "ERROR", LONG)


LIMITS: dict[str, tuple[str, int, Callable[[Space], Any]]] = {
    "max-tasks": ("LIMIT", 2, lambda jobs: jobs.push(loose(3))),
    "max-edges": ("LIMIT", 1, lambda jobs: jobs.push(chain(3))),
    "max-payload-bytes": ("LIMIT", 10, lambda jobs: jobs.push(single(payload=LONG))),
    "max-input-bytes": ("LIMIT", 10, lambda jobs: jobs.push(single(), "INPUT", LONG)),
    "max-result-bytes": ("LIMIT", 10, result),
    "max-error-bytes": ("LIMIT", 10, error),
    "max-types": ("LIMIT", 1, two_types),
}


@pytest.mark.parametrize("setting", LIMITS)
def test_a_limit_holds_and_is_named(jobs: Space, setting: str) -> None:
    code, value, exceed = LIMITS[setting]
    exceed(jobs)
    jobs.client.flushall()
    jobs.client.config_set(f"workflow.{setting}", value)
    with refused(code, setting):
        exceed(jobs)
    jobs.client.config_set(f"workflow.{setting}", value + 1)
    jobs.client.flushall()
    exceed(jobs)


def test_max_count_bounds_count(jobs: Space) -> None:
    jobs.client.config_set("workflow.max-count", 5)
    assert jobs.claim("w", "COUNT", 5) == []
    with refused("ERR", "COUNT"):
        jobs.claim("w", "COUNT", 6)


def test_what_was_taken_in_under_wider_limits_stays(jobs: Space) -> None:
    jobs.push(workflow(*(task(f"t{i}", type=f"type {i}", payload="x" * 100) for i in range(9))), "INPUT", "x" * 100)
    claimed = jobs.claim_one("w", "LEASE", HOUR)
    jobs.complete(claimed.token, "RESULT", "x" * 100)
    for setting in ("max-tasks", "max-edges", "max-payload-bytes", "max-input-bytes", "max-result-bytes", "max-types"):
        jobs.client.config_set(f"workflow.{setting}", 1)
    before = jobs.get("1", "TASKS")
    jobs.client.execute_command("DEBUG", "RELOAD")
    jobs.client.restore("copy", 0, jobs.client.dump("jobs"))
    assert jobs.get("1", "TASKS") == Space(jobs.client, "copy").get("1", "TASKS") == before
    assert len(jobs.work_off("w")) == 8


# Memory


def used(client: redis.Redis) -> int:
    return client.info("memory")["used_memory"]


def is_measured(server: Server) -> bool:
    """With libc's malloc the server does not know what its blocks really take."""
    return str(server.client().info("memory")["mem_allocator"]).startswith("jemalloc")


def fill(space: Space, shapes: int, count: int, documents: Callable[[int], dict[str, Any]]) -> None:
    """`count` workflows of `shapes` shapes, quickly."""
    bodies = [json.dumps(documents(i)) for i in range(shapes)]
    for start in range(0, count, 500):
        with space.client.pipeline(transaction=False) as pipeline:
            for i in range(start, min(start + 500, count)):
                pipeline.execute_command("WF.PUSH", space.key, bodies[i % shapes])
            pipeline.execute()


FILLS: dict[str, tuple[int, Callable[[int], dict[str, Any]]]] = {
    "equal shapes": (1, lambda _: chain(10, payload="1234567")),
    "own shapes": (10_000, lambda i: workflow(*(task(f"task {n} of {i}", payload="1234567") for n in range(3)))),
}


@pytest.mark.parametrize("kind", FILLS)
def test_memory_usage_is_what_the_server_uses(fresh_server: Callable[..., Server], kind: str) -> None:
    server = fresh_server()
    jobs = Space(server.client(), "jobs")
    jobs.push(single())
    jobs.claim("w")
    jobs.client.delete("jobs")
    before = used(jobs.client)
    shapes, documents = FILLS[kind]
    fill(jobs, shapes, 10_000, documents)
    for _ in range(3):
        tasks = jobs.claim("w", "COUNT", 2_000, "LEASE", HOUR)
        jobs.complete(*(part for done in tasks[:1_000] for part in (done.token, "RESULT", "12345678")))
    grown = used(jobs.client) - before
    told = jobs.client.memory_usage("jobs", samples=0)
    assert abs(info(jobs.client)["memory_bytes"] - told) < 1_000, "INFO and MEMORY USAGE agree"
    tolerance = 0.25 if is_measured(server) else 0.5
    assert told == pytest.approx(grown, rel=tolerance), f"told {told}, grown {grown}"


@pytest.mark.parametrize("empty", ["WF.DELETE", "DEL", "UNLINK", "FLUSHALL ASYNC"])
def test_memory_comes_back(fresh_server: Callable[..., Server], empty: str) -> None:
    """The first round leaves the buffers that are kept for later commands, the second nothing."""
    server = fresh_server()
    jobs = Space(server.client(), "jobs")

    def live_and_go() -> int:
        before = used(jobs.client)
        first = int(jobs.push(single()))
        fill(jobs, 2_000, 5_000, lambda i: workflow(task(f"a {i}", payload="x" * 50), task("b", [f"a {i}"])))
        tasks = jobs.claim("w", "COUNT", 5_000, "LEASE", HOUR)
        jobs.complete(*(part for done in tasks[:2_000] for part in (done.token, "RESULT", "r" * 50)))
        grown = used(jobs.client) - before
        if empty == "WF.DELETE":
            assert jobs.delete(*range(first, first + 5_001)) == 5_001
            assert sum(jobs.stats()["workflows"].values()) == 0
        else:
            jobs.client.execute_command(*empty.split(), *([] if "FLUSH" in empty else ["jobs"]))
        return grown

    def freed() -> bool:
        pending = jobs.client.info("memory")["lazyfree_pending_objects"]
        return pending == info(jobs.client)["workflows_running"] == 0

    live_and_go()
    server.wait_until(freed, what="the first round to end")
    before = used(jobs.client)
    assert live_and_go() > MEGABYTE
    server.wait_until(lambda: used(jobs.client) - before < 60_000, what="all memory to come back")


def test_a_claim_and_its_completion_leave_nothing_behind(fresh_server: Callable[..., Server]) -> None:
    """Leases, tokens, worker names: what was needed for the work is not kept when it is deleted."""
    server = fresh_server()
    jobs = Space(server.client(), "jobs")

    def life(turn: int) -> None:
        wids = [jobs.push(chain(2)) for _ in range(20)]
        for _ in range(2):
            tasks = jobs.claim(f"worker {turn}", "COUNT", 20, "LEASE", HOUR)
            jobs.complete(*(part for done in tasks for part in (done.token, "RESULT", "r")))
        jobs.delete(*wids)

    for turn in range(10):
        life(turn)
    before = jobs.client.memory_usage("jobs")
    for turn in range(10, 120):
        life(turn)
    assert jobs.client.memory_usage("jobs") <= before + 2_000
