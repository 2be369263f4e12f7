"""What servers know about the commands: documentation, flags, keys, ACL categories, out of memory."""

import json
from typing import Any

import pytest
import redis

from history import HOUR
from refusals import refused
from servers import Server
from space import Space, plain
from workflows import chain, loose, single

# Name: arity, flags, key flags, categories, for all there are.
COMMANDS: dict[str, tuple[int, set[str], set[str], set[str]]] = {
    "WF.PUSH": (-3, {"write", "denyoom"}, {"RW", "insert"}, {"write", "workflow"}),
    "WF.DEFINE": (4, {"write", "denyoom"}, {"RW", "insert"}, {"write", "workflow"}),
    "WF.START": (-3, {"write", "denyoom"}, {"RW", "access", "update"}, {"write", "workflow"}),
    "WF.UNDEFINE": (-3, {"write"}, {"RW", "delete"}, {"write", "workflow"}),
    "WF.DEFINITIONS": (-2, {"readonly"}, {"RO", "access"}, {"read", "workflow"}),
    "WF.ADD": (4, {"write", "denyoom"}, {"RW", "access", "update"}, {"write", "workflow"}),
    "WF.CLAIM": (-3, {"write", "blocking"}, {"RW", "access", "update"}, {"write", "blocking", "workflow"}),
    "WF.COMPLETE": (-3, {"write"}, {"RW", "access", "update"}, {"write", "workflow"}),
    "WF.FAIL": (-3, {"write"}, {"RW", "access", "update"}, {"write", "workflow"}),
    "WF.SIGNAL": (-4, {"write"}, {"RW", "access", "update"}, {"write", "workflow"}),
    "WF.EXTEND": (-4, {"write"}, {"RW", "access", "update"}, {"write", "workflow"}),
    "WF.PAUSE": (-3, {"write"}, {"RW", "access", "update"}, {"write", "workflow"}),
    "WF.RELEASE": (-3, {"write"}, {"RW", "access", "update"}, {"write", "workflow"}),
    "WF.RECOVER": (-3, {"write"}, {"RW", "access", "update"}, {"write", "workflow"}),
    "WF.GET": (-3, {"readonly"}, {"RO", "access"}, {"read", "workflow"}),
    "WF.DELETE": (-3, {"write"}, {"RW", "delete"}, {"write", "workflow"}),
    "WF.WAIT": (-3, {"readonly", "blocking"}, {"RO", "access"}, {"read", "blocking", "workflow"}),
    "WF.STATS": (2, {"readonly"}, {"RO", "access"}, {"read", "workflow"}),
    "WF.GRAPH": (-3, {"readonly"}, {"RO", "access"}, {"read", "workflow"}),
    "WF.WHY": (-3, {"readonly"}, {"RO", "access"}, {"read", "workflow"}),
    "WF.WORKERS": (2, {"readonly"}, {"RO", "access"}, {"read", "workflow"}),
    "WF.LIST": (-2, {"readonly"}, {"RO", "access"}, {"read", "workflow"}),
    "WF.CANCEL": (-3, {"write"}, {"RW", "access", "update"}, {"write", "workflow"}),
    "WF.RETRY": (-3, {"write", "denyoom"}, {"RW", "access", "update"}, {"write", "workflow"}),
    "WF.CONFIG": (-4, {"write"}, {"RW", "insert"}, {"write", "workflow"}),
    "WF.APPLY": (-3, {"write", "admin", "noscript"}, {"RW", "insert"}, {"write", "admin", "dangerous"}),
}

# What hints show, by the tokens and names of the arguments.
ARGUMENTS: dict[str, set[str]] = {
    "WF.PUSH": {"workflow", "ID", "NX", "INPUT", "PRIORITY", "PAUSED", "DELAY", "AT", "TIMEOUT", "RETAIN"},
    "WF.DEFINE": {"name", "workflow"},
    "WF.START": {"name", "ID", "NX", "INPUT", "PRIORITY", "PAUSED", "DELAY", "AT", "TIMEOUT", "RETAIN"},
    "WF.UNDEFINE": {"name"},
    "WF.DEFINITIONS": {"PATTERN"},
    "WF.ADD": {"token", "tasks"},
    "WF.CLAIM": {"worker", "TYPES", "COUNT", "BLOCK", "LEASE", "MAXPRIORITY", "WITHRESULTS"},
    "WF.COMPLETE": {"token", "RESULT", "SKIP"},
    "WF.FAIL": {"token", "ERROR", "RETRY", "NORETRY"},
    "WF.SIGNAL": {"id", "task", "RESULT", "FAIL"},
    "WF.EXTEND": {"token"},
    "WF.PAUSE": {"ID", "TYPE", "ALL"},
    "WF.RELEASE": {"ID", "TYPE", "ALL"},
    "WF.RECOVER": {"worker", "RESUME", "LEASE"},
    "WF.GET": {"id", "TASKS", "FROM", "COUNT"},
    "WF.DELETE": {"id"},
    "WF.WAIT": {"id", "BLOCK"},
    "WF.STATS": set(),
    "WF.WHY": {"id", "task"},
    "WF.GRAPH": {"id", "DOT", "MERMAID"},
    "WF.WORKERS": set(),
    "WF.LIST": {"FAILED", "STATE", "TYPE", "PREFIX", "OLDER", "NEWER", "CURSOR", "COUNT"},
    "WF.CANCEL": {"id", "REASON"},
    "WF.RETRY": {"id", "TASK"},
    "WF.CONFIG": {"SET", "GET", "name", "value", "pattern"},
    "WF.APPLY": {"effect"},
}


def has_categories(client: redis.Redis) -> bool:
    """Modules can put commands into categories from Redis 7.2 on; here that is all but 7.0."""
    return not str(client.info("server")["redis_version"]).startswith("7.0")


def test_these_are_all_commands(r: redis.Redis) -> None:
    listed = r.execute_command("COMMAND LIST", "FILTERBY", "MODULE", "workflow")
    assert {name.decode().upper() for name in listed} == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_command_info(r: redis.Redis, command: str) -> None:
    arity, flags, key_flags, categories = COMMANDS[command]
    (info,) = plain(r.execute_command("COMMAND INFO", command))
    name, given_arity, given_flags, first, last, step, given_categories, _, key_specs, _ = info
    assert (name.upper(), given_arity, first, last, step) == (command, arity, 1, 1, 1)
    assert flags <= set(given_flags)
    assert set(given_flags) - flags <= {"module", "fast"}
    (spec,) = key_specs
    assert set(spec["flags"]) == key_flags
    assert spec["begin_search"] == {"type": "index", "spec": {"index": 1}}
    assert spec["find_keys"] == {"type": "range", "spec": {"lastkey": 0, "keystep": 1, "limit": 0}}
    if has_categories(r):
        speed = {"fast" if "fast" in given_flags else "slow"}
        assert {category.lstrip("@") for category in given_categories} == categories | speed


@pytest.mark.parametrize("command", COMMANDS)
def test_command_docs_are_complete(r: redis.Redis, command: str) -> None:
    ((_, docs),) = plain(r.execute_command("COMMAND DOCS", command)).items()
    assert docs["summary"] and docs["summary"][0].isupper() and len(docs["summary"]) < 100
    assert docs["since"].count(".") == 2
    assert "O(" in docs["complexity"]
    assert docs["module"] == "workflow"
    key, *rest = docs["arguments"]
    assert (key["name"], key["type"], key["key_spec_index"]) == ("key", "key", 0)

    named: set[str] = set()

    def look_at(arguments: list[dict[str, Any]]) -> None:
        for argument in arguments:
            named.update({argument["name"], argument.get("token", "")})
            assert argument["summary"]
            if "token" in argument:
                assert argument["token"].isupper()
            look_at(argument.get("arguments", []))

    look_at(rest)
    assert ARGUMENTS[command] <= named


@pytest.mark.parametrize("command", COMMANDS)
def test_command_getkeys(r: redis.Redis, command: str) -> None:
    arguments = ["a"] * (abs(COMMANDS[command][0]) - 2)
    assert r.execute_command("COMMAND GETKEYS", command, "jobs", *arguments) == [b"jobs"]
    ((key, flags),) = plain(r.execute_command("COMMAND GETKEYSANDFLAGS", command, "jobs", *arguments))
    assert (key, set(flags)) == ("jobs", COMMANDS[command][2])


def test_the_category_of_our_own(r: redis.Redis) -> None:
    if not has_categories(r):
        with refused("ERR", "workflow"):
            r.execute_command("ACL CAT", "workflow")
        return
    listed = {name.decode().upper() for name in r.execute_command("ACL CAT", "workflow")}
    assert listed == set(COMMANDS) - {"WF.APPLY"}


# ACL


class User:
    """A user with rules of a test's own."""

    def __init__(self, server: Server, *rules: str):
        self.admin = server.client()
        self.admin.execute_command("ACL", "SETUSER", "someone", "reset", "on", "nopass", *rules)
        self.client = server.client(username="someone", password="any")

    def may(self, *command: Any) -> bool:
        try:
            self.client.execute_command(*command)
        except redis.exceptions.NoPermissionError:
            return False
        except redis.ResponseError:
            return True
        return True


DOCUMENT = json.dumps(single())
CALLS: dict[str, list[Any]] = {
    "WF.PUSH": [DOCUMENT],
    "WF.DEFINE": ["nightly", DOCUMENT],
    "WF.START": ["nightly"],
    "WF.UNDEFINE": ["nightly"],
    "WF.DEFINITIONS": [],
    "WF.ADD": ["1-0-00000000", "[]"],
    "WF.CLAIM": ["w"],
    "WF.COMPLETE": ["1-0-00000000"],
    "WF.FAIL": ["1-0-00000000"],
    "WF.SIGNAL": ["1", "only"],
    "WF.EXTEND": [1000, "1-0-00000000"],
    "WF.PAUSE": ["ALL"],
    "WF.RELEASE": ["ALL"],
    "WF.RECOVER": ["w"],
    "WF.GET": ["1"],
    "WF.WAIT": ["1"],
    "WF.DELETE": ["1"],
    "WF.STATS": [],
    "WF.WHY": ["1"],
    "WF.GRAPH": ["1"],
    "WF.WORKERS": [],
    "WF.LIST": [],
    "WF.CANCEL": ["1"],
    "WF.RETRY": ["1"],
    "WF.CONFIG": ["SET", "retain-count", 5],
}
LOOKING = [
    "WF.DEFINITIONS", "WF.GET", "WF.WAIT", "WF.STATS", "WF.WHY", "WF.GRAPH", "WF.WORKERS", "WF.LIST",
]  # fmt: skip


@pytest.fixture
def rules(server: Server) -> Any:
    """Makes a user; it is gone afterwards."""
    yield lambda *given: User(server, *given)
    server.client().execute_command("ACL", "DELUSER", "someone")


def test_key_patterns_hold(rules: Any) -> None:
    user = rules("+@all", "~team:*")
    for command, arguments in CALLS.items():
        assert user.may(command, "team:jobs", *arguments)
        assert not user.may(command, "jobs", *arguments)


def test_who_may_only_read_can_look(rules: Any) -> None:
    user = rules("+@all", "%R~jobs")
    assert [command for command in CALLS if user.may(command, "jobs", *CALLS[command])] == LOOKING


def test_who_may_only_write_can_push_and_delete(rules: Any) -> None:
    """All others hand out something that is in the key."""
    user = rules("+@all", "%W~jobs")
    allowed = [command for command in CALLS if user.may(command, "jobs", *CALLS[command])]
    assert allowed == ["WF.PUSH", "WF.DEFINE", "WF.UNDEFINE", "WF.DELETE", "WF.CONFIG"]


def test_single_commands_can_be_allowed(rules: Any) -> None:
    producer = rules("~*", "+wf.push", "+wf.get")
    assert [command for command in CALLS if producer.may(command, "jobs", *CALLS[command])] == ["WF.PUSH", "WF.GET"]


def test_categories_allow_and_forbid(r: redis.Redis, rules: Any) -> None:
    if not has_categories(r):
        pytest.skip("this server cannot put module commands into categories")
    for given, allowed in (
        (["+@workflow"], set(CALLS)),
        (["+@all", "-@workflow"], set()),
        (["+@all", "-@write"], set(LOOKING)),
        (["+@all", "-@blocking"], set(CALLS) - {"WF.CLAIM", "WF.WAIT"}),
        (["+@read"], set(LOOKING)),
        (["+@all", "-@dangerous"], set(CALLS)),
    ):
        user = rules("~*", *given)
        assert {command for command in CALLS if user.may(command, "jobs", *CALLS[command])} == allowed, given
    assert not rules("~*", "+@all", "-@dangerous").may("WF.APPLY", "jobs", "pause", "all", "-")
    assert not rules("~*", "+@workflow").may("WF.APPLY", "jobs", "pause", "all", "-")


# Out of memory


def test_out_of_memory_refuses_work_that_comes_and_takes_work_that_is_done(jobs: Space) -> None:
    jobs.push(chain(3))
    jobs.push(loose(3))
    jobs.define("weekly", single())
    first = jobs.claim_one("w", "LEASE", HOUR)
    jobs.client.config_set("maxmemory", 1)
    try:
        with refused("OOM"):
            jobs.push(single())
        with refused("OOM"):
            jobs.define("nightly", single())
        with refused("OOM"):
            jobs.start("weekly")
        with refused("OOM"):
            jobs.call("ADD", first.token, '[{"name": "more"}]')
        second = jobs.claim_one("w", "LEASE", HOUR)
        assert jobs.complete(first.token, "RESULT", "r" * 1000) == [1]
        assert jobs.extend(HOUR, second.token) == [1]
        assert jobs.recover("w") == [second.token]
        failed = jobs.claim_one("w", "TYPES", 1, "work")
        assert jobs.fail(failed.token, "ERROR", "e") == [1]
        assert jobs.pause("ALL") == jobs.release("ALL") == 1
        assert jobs.stats()["tasks"]["completed"] == 1
        assert jobs.delete("1") == 1
        assert jobs.undefine("weekly") == 1
        assert jobs.client.eval("return #redis.call('WF.CLAIM', KEYS[1], 'w')", 1, "jobs") in (0, 1)
    finally:
        jobs.client.config_set("maxmemory", 0)
    assert jobs.push(single()) == "3"
