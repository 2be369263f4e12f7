"""Dead letters: WF.LIST FAILED shows the tasks that failed for good."""

from typing import Any

import pytest

from history import HOUR
from refusals import refused
from servers import Server
from space import Space
from waiting import eventually, now_ms
from workflows import chain, loose, single, task, workflow

FIELDS = {"workflow", "name", "type", "error", "attempts", "failures", "lost", "worker", "failed"}


def fail_one(jobs: Space, wid: str | None = None, error: str = "no", **fields: Any) -> str:
    """A workflow whose only task has failed for good; its id."""
    wid = jobs.push(single(**{"type": "dead", **fields}), *(["ID", wid] if wid else []))
    token = jobs.claim_one("w", "TYPES", 1, fields.get("type", "dead"), "LEASE", HOUR).token
    assert jobs.fail(token, "ERROR", error, "NORETRY") == [1]
    return wid


def names(letters: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(letter["workflow"], letter["name"]) for letter in letters]


def later(since: int, by: int = 30) -> int:
    """Waits until the clock has gone on; the time it is then."""
    eventually(lambda: now_ms() > since + by, what="time to pass")
    return now_ms()


# The list


def test_what_a_dead_letter_says(jobs: Space) -> None:
    wid = jobs.push(workflow(task("load", type="etl", max_attempts=2, backoff={"delay_ms": 0}), name="nightly"))
    jobs.claim_one("crashed")
    jobs.recover("crashed")
    jobs.fail(jobs.claim_one("a", "LEASE", HOUR).token, "ERROR", "first")
    before = now_ms()
    jobs.fail(jobs.claim_one("b", "LEASE", HOUR).token, "ERROR", "disk full")
    (letter,) = jobs.listed("FAILED")
    assert letter.keys() == FIELDS
    assert before <= letter.pop("failed") <= now_ms()
    assert letter == {
        "workflow": wid,
        "name": "load",
        "type": "etl",
        "error": "disk full",
        "attempts": 3,
        "failures": 2,
        "lost": 1,
        "worker": "b",
    }


def test_newest_first(jobs: Space) -> None:
    jobs.push(loose(3), "ID", "three")
    fail_one(jobs, "first")
    one, two = jobs.claim("w", "COUNT", 2)
    later(now_ms(), 1)
    jobs.fail(one.token)
    later(now_ms(), 1)
    fail_one(jobs, "last")
    later(now_ms(), 1)
    jobs.fail(two.token)
    assert names(jobs.listed("FAILED")) == [("three", "t1"), ("last", "only"), ("three", "t0"), ("first", "only")]


def test_what_failed_in_one_call_and_one_millisecond_has_an_order(jobs: Space) -> None:
    for _ in range(20):
        jobs.push(single())
    tokens = [claimed.token for claimed in jobs.claim("w", "COUNT", 20)]
    jobs.fail(*tokens)
    expected = [(token.rsplit("-", 2)[0], "only") for token in reversed(tokens)]
    assert names(jobs.listed("FAILED")) == expected
    assert names(jobs.listed("FAILED", "COUNT", 3)) == expected, "across pages too"


def test_each_cause_has_its_own_error(server: Server, jobs: Space) -> None:
    jobs.push(single("lost", max_deliveries=1), "ID", "lost")
    jobs.claim_one("killed", "LEASE", 1)
    server.wait_until(lambda: jobs.state("lost") == "failed", what="the lease to run out")
    jobs.push(single("slow", timeout_ms=20), "ID", "slow")
    jobs.claim_one("sluggish", "LEASE", HOUR)
    server.wait_until(lambda: jobs.state("slow") == "failed", what="the timeout")
    fail_one(jobs, "failed", "own words")
    assert [(letter["workflow"], letter["error"], letter["worker"]) for letter in jobs.listed("FAILED")] == [
        ("failed", "own words", "w"),
        ("slow", "timed out after 20 ms", "sluggish"),
        ("lost", "lost 1 times without an acknowledgement, last by killed", "killed"),
    ]
    assert jobs.stats()["dead"] == 3


def test_what_is_no_dead_letter(jobs: Space) -> None:
    jobs.push(chain(3, max_attempts=2), "ID", "w")
    assert jobs.fail(jobs.claim_one("w").token, "RETRY", HOUR) == [2]
    assert jobs.listed("FAILED") == []
    jobs.push(chain(3), "ID", "v")
    jobs.fail(jobs.claim_one("w").token)
    assert names(jobs.listed("FAILED")) == [("v", "t0")], "and not what was cancelled behind it"


def test_filters(jobs: Space) -> None:
    for wid, name, kind in (("1a", "alpha", "x"), ("2a", "alpine", "y"), ("3b", "beta", "x"), ("4n", None, "y")):
        jobs.push({**single(type=kind), "name": name}, "ID", wid)
        jobs.fail(jobs.claim_one("w").token)
    cases: dict[tuple[Any, ...], list[str]] = {
        (): ["4n", "3b", "2a", "1a"],
        ("TYPE", "x"): ["3b", "1a"],
        ("TYPE", "unseen"): [],
        ("PREFIX", "al"): ["2a", "1a"],
        ("PREFIX", "alpha"): ["1a"],
        ("PREFIX", "1"): [],
        ("PREFIX", ""): ["4n", "3b", "2a", "1a"],
        ("TYPE", "x", "PREFIX", "al"): ["1a"],
        ("NEWER", HOUR): ["4n", "3b", "2a", "1a"],
        ("OLDER", HOUR): [],
        ("OLDER", 0): ["4n", "3b", "2a", "1a"],
        ("OLDER", 0, "NEWER", HOUR, "TYPE", "y"): ["4n", "2a"],
    }
    for options, expected in cases.items():
        for count in ([], ["COUNT", 1], ["COUNT", 3]):
            assert [letter["workflow"] for letter in jobs.listed("FAILED", *options, *count)] == expected, options


def test_age_is_that_of_the_failure(jobs: Space) -> None:
    old = fail_one(jobs)
    jobs.push(single(), "ID", "between")
    failed = jobs.listed("FAILED")[0]["failed"]
    later(failed, 400)
    jobs.fail(jobs.claim_one("w").token)
    half = (now_ms() - failed) // 2
    assert [letter["workflow"] for letter in jobs.listed("FAILED", "NEWER", half)] == ["between"]
    assert [letter["workflow"] for letter in jobs.listed("FAILED", "OLDER", half)] == [old]


def test_a_missing_key_and_an_empty_space(jobs: Space, server: Server, resp: int) -> None:
    for options in ([], ["FAILED"], ["FAILED", "CURSOR", "0"]):
        assert server.client(resp).execute_command("WF.LIST", "jobs", *options) == [b"0", []]
    assert jobs.client.exists("jobs") == 0
    jobs.push(single())
    assert server.client(resp).execute_command("WF.LIST", "jobs", "FAILED") == [b"0", []]


def test_pages(jobs: Space) -> None:
    wids = [fail_one(jobs) for _ in range(25)]
    cursor, pages = "0", []
    while True:
        cursor, page = jobs.page("FAILED", "COUNT", 4, "CURSOR", cursor)
        pages.append([letter["workflow"] for letter in page])
        if cursor == "0":
            break
    assert [wid for page in pages for wid in page] == list(reversed(wids))
    assert max(len(page) for page in pages) == 4
    assert len(jobs.page("FAILED")[1]) == 10, "the default"


def test_a_cursor_survives_any_change(server: Server, jobs: Space) -> None:
    """What is there from the first page to the last is listed once, whatever comes, goes, or is retried."""
    wids = [fail_one(jobs, f"w{number:02}") for number in range(30)]
    cursor, first = jobs.page("FAILED", "COUNT", 10)
    assert [letter["workflow"] for letter in first] == wids[:-11:-1]

    fail_one(jobs, "new")
    jobs.delete(wids[20], wids[19], wids[5])
    assert jobs.retry(wids[18]) == 1
    assert jobs.retry(wids[25]) == 1
    jobs.client.execute_command("DEBUG", "RELOAD")
    jobs.client.rename("jobs", "moved")
    jobs = Space(jobs.client, "moved")
    jobs.fail(*(claimed.token for claimed in jobs.claim("w", "COUNT", 2)))

    rest = []
    while cursor != "0":
        cursor, page = jobs.page("FAILED", "COUNT", 3, "CURSOR", cursor)
        rest += [letter["workflow"] for letter in page]
    expected = [wid for wid in reversed(wids[:20]) if wid not in {wids[19], wids[18], wids[5]}]
    assert rest == expected


BAD_OPTIONS: dict[str, list[Any]] = {
    "COUNT": ["COUNT", 0],
    "COUNT above": ["COUNT", 10_001],
    "COUNT no number": ["COUNT", "all"],
    "OLDER": ["OLDER", -1],
    "NEWER": ["NEWER", "long"],
    "cursor": ["CURSOR", "nonsense"],
    "TYPE": ["TYPE"],
    "PREFIX": ["PREFIX"],
    "COLOUR": ["COLOUR", "red"],
}


@pytest.mark.parametrize("failed", [["FAILED"], []], ids=["FAILED", "workflows"])
@pytest.mark.parametrize("bad", BAD_OPTIONS)
def test_options_that_make_no_sense(jobs: Space, bad: str, failed: list[str]) -> None:
    jobs.push(single())
    with refused("ERR", bad.split()[0] if bad != "COLOUR" else ""):
        jobs.page(*failed, *BAD_OPTIONS[bad])


def test_state_is_not_for_dead_letters(jobs: Space) -> None:
    jobs.push(single())
    with refused("ERR"):
        jobs.page("FAILED", "STATE", "failed")


def test_dead_letters_come_back_in_order(fresh_server: Any) -> None:
    server = fresh_server("appendonly yes", "appendfsync always")
    jobs = Space(server.client(), "jobs")
    jobs.push(loose(5), "ID", "five")
    five = jobs.claim("w", "COUNT", 5, "LEASE", HOUR)
    for number in range(5):
        fail_one(jobs, f"w{number}", f"error {number}")
        jobs.fail(five[(3 * number) % 5].token, "ERROR", "of five")
    before = jobs.listed("FAILED")
    for reload in ("RELOAD", "LOADAOF"):
        jobs.client.execute_command("DEBUG", reload)
        assert jobs.listed("FAILED") == before
    replica = fresh_server(replica_of=server)
    assert Space(replica.client(), "jobs").listed("FAILED") == before
    jobs.client.copy("jobs", "copy")
    assert Space(jobs.client, "copy").listed("FAILED") == before
