"""WF.CONFIG: settings of one space, with the module's configuration behind them."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from files import rewrite_aof
from history import HOUR, digest
from refusals import refused
from servers import Server
from space import Space
from waiting import now_ms
from workflows import single, task, workflow

DAY = 24 * HOUR
TEN_YEARS = 10 * 365 * DAY

# Least, default, most.
SETTINGS: dict[str, tuple[int, int, int]] = {
    "default-lease-ms": (1, 60_000, 30 * DAY),
    "default-max-attempts": (1, 1, 65_535),
    "default-max-deliveries": (1, 5, 65_535),
    "retain-completed-ms": (0, DAY, TEN_YEARS),
    "retain-failed-ms": (0, 7 * DAY, TEN_YEARS),
    "retain-count": (0, 2**32 - 1, 2**32 - 1),
    "retain-bytes": (0, 2**40, 2**40),
    "events-maxlen": (0, 100_000, 2**32 - 1),
}
# `events` is no number: see test_events.py.
DEFAULTS: dict[str, Any] = {name: default for name, (_, default, _) in SETTINGS.items()} | {"events": ""}


def test_everything_in_force(jobs: Space) -> None:
    jobs.push(single())
    assert jobs.settings() == DEFAULTS


def test_set_and_get(jobs: Space) -> None:
    jobs.configure("default-lease-ms", 1234)
    assert jobs.client.type("jobs") == b"workflows", "a space is made for its settings"
    assert jobs.settings() == {**DEFAULTS, "default-lease-ms": 1234}
    jobs.configure("retain-count", 7, "retain-bytes", 8, "default-lease-ms", 9)
    assert jobs.settings() == {**DEFAULTS, "retain-count": 7, "retain-bytes": 8, "default-lease-ms": 9}
    jobs.configure("RETAIN-COUNT", 10)
    assert jobs.settings("retain-count") == {"retain-count": 10}


def test_patterns(jobs: Space) -> None:
    jobs.push(single())
    assert jobs.settings("retain-*").keys() == {name for name in SETTINGS if name.startswith("retain-")}
    assert jobs.settings("retain-[cb]o*").keys() == {"retain-completed-ms", "retain-count"}
    assert jobs.settings("*-ms").keys() == {name for name in SETTINGS if name.endswith("-ms")}
    assert jobs.settings("default-lease-m?") == {"default-lease-ms": 60_000}
    assert jobs.settings("colour") == {}
    assert jobs.settings("") == {}


def test_the_shape_of_the_reply(server: Server, jobs: Space) -> None:
    jobs.push(single())
    as_map = server.client(3).execute_command("WF.CONFIG", "jobs", "GET", "*")
    flat = server.client(2).execute_command("WF.CONFIG", "jobs", "GET", "*")
    assert isinstance(as_map, dict) and isinstance(flat, list)
    assert dict(zip(flat[::2], flat[1::2], strict=True)) == as_map
    assert server.client(2).execute_command("WF.CONFIG", "jobs", "SET", "retain-count", 5) == b"OK"


def test_a_missing_key(jobs: Space) -> None:
    assert jobs.settings("retain-count") in ({}, {"retain-count": DEFAULTS["retain-count"]})
    assert jobs.client.exists("jobs") == 0


@pytest.mark.parametrize("name", SETTINGS)
def test_the_range_of_a_setting(jobs: Space, name: str) -> None:
    least, default, most = SETTINGS[name]
    for value in (least, most):
        jobs.configure(name, value)
        assert jobs.settings(name) == {name: value}
    for value in (least - 1, most + 1, 2**63, -1):
        with refused("ERR", name, str(least), str(most)):
            jobs.configure(name, value)
    for value in ("x", "1.5", "", 2**64):
        with refused("ERR", name):
            jobs.configure(name, value)
    assert jobs.settings(name) == {name: most}
    jobs.configure(name, "default")
    assert jobs.settings(name) == {name: default}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_setting_of_the_module_behind_it(server: Server, jobs: Space, name: str) -> None:
    least, default, most = SETTINGS[name]
    module = f"workflow.{name}"
    assert jobs.client.config_get(module) == {module: str(default)}
    for value in (least - 1, most + 1, "x"):
        with pytest.raises(redis.ResponseError):
            jobs.client.config_set(module, value)
    for value in (least, most):
        jobs.client.config_set(module, value)
        assert jobs.client.config_get(module) == {module: str(value)}
    jobs.configure(name, most if name != "default-lease-ms" else 5)
    jobs.client.config_set(module, least + 2)
    assert jobs.settings(name) == {name: most if name != "default-lease-ms" else 5}
    jobs.configure(name, "DEFAULT")
    assert jobs.settings(name) == {name: least + 2}


def test_all_or_nothing(jobs: Space) -> None:
    for bad in (["retain-count", -1], ["colour", 1], ["retain-bytes", "x"]):
        with refused("ERR"):
            jobs.configure("default-lease-ms", 5, *bad)
        assert jobs.client.exists("jobs") == 0
    jobs.configure("default-lease-ms", 5)
    with refused("ERR", "retain-count"):
        jobs.configure("default-lease-ms", 6, "retain-count", "many")
    assert jobs.settings("default-lease-ms") == {"default-lease-ms": 5}


@pytest.mark.parametrize("name", ["colour", "grace-ms", "max-tasks", "workflow.retain-count", "", "retain-*"])
def test_what_is_no_setting_of_a_space(jobs: Space, name: str) -> None:
    with refused("ERR", name):
        jobs.configure(name, 5)
    assert jobs.client.exists("jobs") == 0


ARGUMENTS: list[list[Any]] = [
    [], ["SET"], ["SET", "retain-count"], ["SET", "retain-count", 5, "retain-bytes"], ["GET"], ["RESETSTAT"],
]  # fmt: skip


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
def test_arguments_that_make_no_sense(jobs: Space, arguments: list[Any]) -> None:
    with pytest.raises(redis.ResponseError):
        jobs.call("CONFIG", *arguments)
    assert jobs.client.exists("jobs") == 0


def test_the_other_type(jobs: Space) -> None:
    jobs.client.set("text", "x")
    for arguments in (["SET", "retain-count", 5], ["GET", "*"]):
        with refused("WRONGTYPE"):
            Space(jobs.client, "text").call("CONFIG", *arguments)


# What they do


def test_the_lease_of_a_claim(jobs: Space) -> None:
    other = Space(jobs.client, "other")
    jobs.configure("default-lease-ms", 2 * HOUR)
    for space, lease in ((jobs, 2 * HOUR), (other, 60_000)):
        space.push(workflow(task("default"), task("own", lease_ms=HOUR)))
        before = now_ms()
        default, own = space.claim("w", "COUNT", 2)
        after = now_ms()
        assert before + lease <= default.deadline <= after + lease
        assert before + HOUR <= own.deadline <= after + HOUR


def test_attempts_and_deliveries(jobs: Space) -> None:
    jobs.configure("default-max-attempts", 2, "default-max-deliveries", 1)
    wid = jobs.push(single())
    assert jobs.fail(jobs.claim_one("w").token, "RETRY", 0) == [2]
    assert jobs.fail(jobs.claim_one("w").token) == [1]
    own = jobs.push(single(max_attempts=1, max_deliveries=2))
    jobs.claim_one("w")
    jobs.recover("w")
    assert jobs.fail(jobs.claim_one("w").token) == [1]
    lost = jobs.push(single())
    jobs.claim_one("w")
    jobs.recover("w")
    assert {jobs.state(one) for one in (wid, own, lost)} == {"failed"}


def test_it_holds_for_what_is_there_already(jobs: Space) -> None:
    jobs.push(single())
    token = jobs.claim_one("w").token
    jobs.configure("default-max-attempts", 3)
    assert jobs.fail(token, "RETRY", 0) == [2]


# Where they are kept


def test_they_belong_to_the_space(fresh_server: Callable[..., Server]) -> None:
    primary = fresh_server("appendonly yes", "appendfsync always")
    replica = fresh_server(replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    values = {name: least + 5 for name, (least, _, _) in SETTINGS.items()}
    jobs.configure(*(part for setting in values.items() for part in setting))
    jobs.configure("retain-count", "default")
    expected = {**values, "retain-count": DEFAULTS["retain-count"], "events": ""}
    assert jobs.settings() == expected
    replica.wait_in_sync(primary)
    assert digest(replica.client()) == digest(jobs.client)
    replica.promote()
    assert Space(replica.client(), "jobs").settings() == expected

    jobs.client.copy("jobs", "copy")
    jobs.client.restore("restored", 0, jobs.client.dump("jobs"))
    jobs.client.execute_command("DEBUG", "RELOAD")
    for key in ("jobs", "copy", "restored"):
        assert Space(jobs.client, key).settings() == expected
    primary.restart(hard=True)
    client = primary.client()
    for preamble in ("no", "yes"):
        assert Space(client, "jobs").settings() == expected
        client.config_set("aof-use-rdb-preamble", preamble)
        rewrite_aof(primary)
        primary.restart(hard=True)
        client = primary.client()
    assert Space(client, "jobs").settings() == expected


def test_a_change_changes_the_digest_and_a_repeat_does_not(jobs: Space) -> None:
    jobs.push(single())
    seen = [digest(jobs.client)]
    for name, (least, _, _) in SETTINGS.items():
        jobs.configure(name, least + 5)
        seen.append(digest(jobs.client))
    assert len(set(seen)) == len(seen)
    jobs.configure(*(part for name, (least, _, _) in SETTINGS.items() for part in (name, least + 5)))
    assert digest(jobs.client) == seen[-1]
    jobs.configure(*(part for name in SETTINGS for part in (name, "default")))
    assert digest(jobs.client) == seen[0]


def test_what_changes_nothing_is_not_replicated(fresh_server: Callable[..., Server]) -> None:
    primary = fresh_server("repl-ping-replica-period 3600", "repl-timeout 7200")
    replica = fresh_server(replica_of=primary)
    jobs = Space(primary.client(), "jobs")
    jobs.configure("retain-count", 5)
    replica.wait_in_sync(primary)
    before = jobs.client.info("replication")["master_repl_offset"]
    jobs.configure("retain-count", 5)
    jobs.configure("retain-bytes", "default")
    jobs.settings()
    jobs.listed()
    jobs.listed("FAILED")
    assert jobs.client.info("replication")["master_repl_offset"] == before
    with refused("READONLY"):
        Space(replica.client(), "jobs").configure("retain-count", 6)
