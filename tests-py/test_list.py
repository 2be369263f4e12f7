"""WF.LIST: pages through the workflows of a space with a cursor that survives changes."""

import contextlib
from typing import Any

import pytest
import redis

from history import BINARY, HOUR
from refusals import refused
from servers import Server
from space import Space
from waiting import eventually, now_ms
from workflows import chain, diamond, loose, single, task, workflow


def ids(found: list[dict[str, Any]]) -> list[str]:
    return sorted(one["id"] for one in found)


def one_of_each_state(jobs: Space) -> None:
    """Workflows named after their state; `down` has failed and runs down."""
    for state in ("completed", "failed", "down", "running", "paused"):
        jobs.push({**loose(2, type=state), "name": f"is {state}"}, "ID", state)
        tokens = [claimed.token for claimed in jobs.claim("w", "TYPES", 1, state, "COUNT", 2, "LEASE", HOUR)]
        match state:
            case "completed":
                jobs.complete(*tokens)
            case "failed" | "down":
                jobs.fail(tokens[0])
                if state == "failed":
                    jobs.complete(tokens[1])
            case "paused":
                jobs.pause("ID", state)


def test_what_is_told_of_a_workflow(jobs: Space) -> None:
    before = now_ms()
    jobs.push({**diamond(), "name": "nightly"}, "ID", "w")
    (seen,) = jobs.listed()
    assert list(seen) == ["id", "name", "state", "created", "finished", "size"]
    assert before <= seen.pop("created") <= now_ms()
    assert seen == {"id": "w", "name": "nightly", "state": "running", "finished": None, "size": 4}
    jobs.work_off("w")
    (seen,) = jobs.listed()
    assert (seen["state"], seen["finished"]) == ("completed", jobs.get("w")["finished"])
    jobs.push({**single(), "name": None}, "ID", BINARY)
    (reply,) = [one for one in jobs.call("LIST")[1] if one[b"id"] != b"w"]
    assert (reply[b"id"], reply[b"name"]) == (BINARY, None)


def test_maps_are_flat_in_resp2(server: Server, jobs: Space) -> None:
    jobs.push(single())
    jobs.fail(jobs.claim_one("w").token)
    for options in ([], ["FAILED"]):
        cursor, found = server.client(2).execute_command("WF.LIST", "jobs", *options)
        _, (as_map,) = server.client(3).execute_command("WF.LIST", "jobs", *options)
        assert (cursor, len(found)) == (b"0", 1)
        assert found[0][::2] == list(as_map)
        assert found[0][1::2] == list(as_map.values())


def test_by_state(jobs: Space) -> None:
    one_of_each_state(jobs)
    assert ids(jobs.listed("STATE", "running")) == ["running"]
    assert ids(jobs.listed("STATE", "paused")) == ["paused"]
    assert ids(jobs.listed("STATE", "completed")) == ["completed"]
    assert ids(jobs.listed("STATE", "failed")) == ["down", "failed"]
    assert ids(jobs.listed("STATE", "cancelled")) == []
    assert ids(jobs.listed("state", "RUNNING")) == ["running"]
    for seen in jobs.listed():
        assert seen["state"] == jobs.state(seen["id"])
    with refused("ERR", "STATE"):
        jobs.listed("STATE", "asleep")


def test_by_type_name_and_both(jobs: Space) -> None:
    jobs.push({**workflow(task("a", type="x"), task("b", type="y")), "name": "nightly-a"}, "ID", "xy")
    jobs.push({**workflow(task("a", type="y")), "name": "nightly-b"}, "ID", "y")
    jobs.push({**workflow(task("a", type="x")), "name": "hourly"}, "ID", "x")
    jobs.push({**single(type=""), "name": None}, "ID", "nothing")
    jobs.complete(jobs.claim_one("w", "TYPES", 1, "y").token)
    cases: dict[tuple[Any, ...], list[str]] = {
        ("TYPE", "x"): ["x", "xy"],
        ("TYPE", "y"): ["xy", "y"],
        ("TYPE", ""): ["nothing"],
        ("TYPE", "unseen"): [],
        ("PREFIX", "nightly"): ["xy", "y"],
        ("PREFIX", "nightly-a"): ["xy"],
        ("PREFIX", "nightly-a and more"): [],
        ("PREFIX", "Nightly"): [],
        ("PREFIX", "x"): [],
        ("TYPE", "x", "PREFIX", "nightly"): ["xy"],
        ("TYPE", "x", "PREFIX", "nightly", "STATE", "running", "NEWER", HOUR, "OLDER", 0): ["xy"],
        ("TYPE", "x", "STATE", "completed"): [],
    }
    for options, expected in cases.items():
        for count in ([], ["COUNT", 1], ["COUNT", 100]):
            assert ids(jobs.listed(*options, *count)) == expected, options


def test_by_age(jobs: Space) -> None:
    jobs.push(single(), "ID", "old")
    created = jobs.get("old")["created"]
    eventually(lambda: now_ms() > created + 400, what="time to pass")
    jobs.push(single(), "ID", "young")
    half = (now_ms() - created) // 2
    assert ids(jobs.listed("OLDER", half)) == ["old"]
    assert ids(jobs.listed("NEWER", half)) == ["young"]
    assert ids(jobs.listed("OLDER", 0)) == ids(jobs.listed("NEWER", HOUR)) == ["old", "young"]
    assert ids(jobs.listed("OLDER", HOUR)) == []


def test_count_is_how_many_are_looked_at(jobs: Space) -> None:
    for number in range(100):
        jobs.push(single(type="odd" if number % 10 else "rare"))
    assert len(jobs.page()[1]) <= 10
    assert len(jobs.page("COUNT", 25)[1]) <= 25
    cursor, calls, found = "0", 0, []
    while True:
        cursor, page = jobs.page("TYPE", "rare", "CURSOR", cursor)
        calls, found = calls + 1, found + page
        if cursor == "0":
            break
    assert len(found) == 10
    assert calls >= 10, "an empty page is no end"
    assert ids(jobs.listed("COUNT", 7)) == ids(jobs.listed("COUNT", 10_000)) == sorted(map(str, range(1, 101)))


def test_a_cursor_survives_changes(jobs: Space) -> None:
    """What is there from first to last is listed exactly once, whatever comes and goes meanwhile."""
    kept = {jobs.push(single(), "ID", f"kept {number}") for number in range(150)}
    gone = [jobs.push(single(), "ID", f"gone {number}") for number in range(150)]
    cursor, found, turn = "0", [], 0
    while True:
        cursor, page = jobs.page("COUNT", 7, "CURSOR", cursor)
        found += [one["id"] for one in page]
        if cursor == "0":
            break
        turn += 1
        jobs.delete(*gone[2 * turn : 2 * turn + 2])
        jobs.push(single(), "ID", f"new {turn}")
        jobs.push(single(f"shape {turn}"))
        jobs.complete(jobs.claim_one("w").token)
        if turn % 5 == 0:
            jobs.pause("ID", f"kept {turn}")
    listed = [one for one in found if one in kept]
    assert sorted(listed) == sorted(kept)
    assert len(found) == len(set(found)), "an id that was not used again is not listed twice"


def test_while_everything_is_replaced(jobs: Space) -> None:
    for number in range(50):
        jobs.push(single(), "ID", f"a{number}")
    kept = jobs.push(single(), "ID", "kept")
    cursor, page = jobs.page("COUNT", 5)
    found = [one["id"] for one in page]
    jobs.delete(*(f"a{number}" for number in range(50)))
    for number in range(500):
        jobs.push(single(), "ID", f"b{number}")
    while cursor != "0":
        cursor, page = jobs.page("COUNT", 5, "CURSOR", cursor)
        found += [one["id"] for one in page]
    assert len(found) == len(set(found))
    assert kept in found


def test_the_end_of_a_workflow_is_no_end_of_the_list(jobs: Space) -> None:
    """Retention takes finished ones away while somebody pages."""
    for number in range(60):
        jobs.push(single(), "ID", f"w{number}", *(["RETAIN", 0] if number % 2 else []))
    cursor, page = jobs.page("COUNT", 10)
    found = ids(page)
    tokens = [claimed.token for claimed in jobs.claim("w", "COUNT", 60)]
    jobs.complete(*tokens)
    while cursor != "0":
        cursor, page = jobs.page("COUNT", 10, "CURSOR", cursor)
        found += ids(page)
    assert {f"w{number}" for number in range(0, 60, 2)} <= set(found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "99999999999999999999999", "0x10", "\x00"])
def test_what_is_no_cursor(jobs: Space, cursor: str) -> None:
    jobs.push(single())
    for failed in ([], ["FAILED"]):
        with refused("ERR", "invalid cursor"):
            jobs.page(*failed, "CURSOR", cursor)


@pytest.mark.parametrize(
    "cursor", ["1", "7", "4294967295", "4294967296", "9223372036854775807", "18446744073709551615"]
)
def test_a_cursor_of_somewhere_else_does_no_harm(server: Server, jobs: Space, cursor: str) -> None:
    for _ in range(3):
        jobs.push(chain(2))
    jobs.fail(jobs.claim_one("w").token)
    for failed in ([], ["FAILED"]):
        with contextlib.suppress(redis.ResponseError):
            jobs.page(*failed, "CURSOR", cursor)
    assert len(jobs.listed()) == 3
    server.check()


def test_it_is_only_read(fresh_server: Any) -> None:
    primary = fresh_server()
    jobs = Space(primary.client(), "jobs")
    one_of_each_state(jobs)
    replica = fresh_server(replica_of=primary)
    copy = Space(replica.client(), "jobs")
    assert ids(copy.listed()) == ids(jobs.listed())
    assert copy.listed("FAILED") == jobs.listed("FAILED")
