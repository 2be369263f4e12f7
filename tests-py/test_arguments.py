"""What every command does with arguments it cannot take: an error that says which and why.

And an error changes nothing, and a missing key is not created by anything but a push.
"""

import json
from typing import Any

import pytest
import redis

from refusals import refused
from servers import Server
from space import Space
from workflows import loose, single

DOCUMENT = json.dumps(single())
TOKEN = "1-0-00000000"

# One well-formed call of every command, without the key.
CALLS: dict[str, list[Any]] = {
    "WF.PUSH": [DOCUMENT],
    "WF.DEFINE": ["nightly", DOCUMENT],
    "WF.START": ["nightly"],
    "WF.UNDEFINE": ["nightly"],
    "WF.DEFINITIONS": [],
    "WF.ADD": [TOKEN, "[]"],
    "WF.CLAIM": ["w"],
    "WF.COMPLETE": [TOKEN],
    "WF.FAIL": [TOKEN],
    "WF.EXTEND": [1000, TOKEN],
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
}

ON_MISSING: dict[str, Any] = {
    "WF.UNDEFINE": 0,
    "WF.DEFINITIONS": [],
    "WF.ADD": -1,
    "WF.CLAIM": [],
    "WF.COMPLETE": [-1],
    "WF.FAIL": [-1],
    "WF.EXTEND": [-1],
    "WF.PAUSE": 0,
    "WF.RELEASE": 0,
    "WF.RECOVER": [],
    "WF.GET": None,
    "WF.WAIT": [None],
    "WF.DELETE": 0,
    "WF.STATS": None,
    "WF.WHY": None,
    "WF.GRAPH": None,
    "WF.WORKERS": [],
}

# A call that is refused, and what its error must name.
BAD_ARGUMENTS: list[tuple[list[Any], str]] = [
    (["WF.PUSH", DOCUMENT, "COLOUR"], "COLOUR"),
    (["WF.PUSH", DOCUMENT, "ID"], "ID"),
    (["WF.PUSH", DOCUMENT, "ID", "a", "ID", "b"], "ID"),
    (["WF.PUSH", DOCUMENT, "INPUT"], "INPUT"),
    (["WF.PUSH", DOCUMENT, "PRIORITY", "high"], "PRIORITY"),
    (["WF.PUSH", DOCUMENT, "PRIORITY", -1], "PRIORITY"),
    (["WF.PUSH", DOCUMENT, "PRIORITY", 16777216], "PRIORITY"),
    (["WF.DEFINE", "", DOCUMENT], "name"),
    (["WF.START", "nightly", "COLOUR"], "COLOUR"),
    (["WF.START", "nightly", "PRIORITY", -1], "PRIORITY"),
    (["WF.START", "nightly", "ID", ""], "ID"),
    (["WF.START", "nightly", "DELAY", 1, "AT", 1], "AT"),
    (["WF.DEFINITIONS", "COLOUR"], "COLOUR"),
    (["WF.DEFINITIONS", "PATTERN"], "PATTERN"),
    (["WF.DEFINITIONS", "PATTERN", "*", "more"], "more"),
    (["WF.CLAIM", "w", "COLOUR"], "COLOUR"),
    (["WF.CLAIM", "w", "COUNT"], "COUNT"),
    (["WF.CLAIM", "w", "COUNT", 0], "COUNT"),
    (["WF.CLAIM", "w", "COUNT", -1], "COUNT"),
    (["WF.CLAIM", "w", "COUNT", 10001], "COUNT"),
    (["WF.CLAIM", "w", "COUNT", "1.5"], "COUNT"),
    (["WF.CLAIM", "w", "COUNT", 1, "COUNT", 2], "COUNT"),
    (["WF.CLAIM", "w", "TYPES"], "TYPES"),
    (["WF.CLAIM", "w", "TYPES", 0], "TYPES"),
    (["WF.CLAIM", "w", "TYPES", 2, "only-one"], "TYPES"),
    (["WF.CLAIM", "w", "TYPES", "x", "y"], "TYPES"),
    (["WF.CLAIM", "w", "TYPES", 2**63, "y"], "TYPES"),
    (["WF.CLAIM", "w", "LEASE", 0], "LEASE"),
    (["WF.CLAIM", "w", "LEASE", 30 * 24 * 3600 * 1000 + 1], "LEASE"),
    (["WF.CLAIM", "w", "LEASE", "soon"], "LEASE"),
    (["WF.CLAIM", "w", "BLOCK", -1], "BLOCK"),
    (["WF.CLAIM", "w", "BLOCK", "0.5"], "BLOCK"),
    (["WF.CLAIM", "w", "BLOCK", 2**63 - 1], "BLOCK"),
    (["WF.CLAIM", "w", "BLOCK", 2**64], "BLOCK"),
    (["WF.CLAIM", "w", "MAXPRIORITY", "low"], "MAXPRIORITY"),
    (["WF.ADD", "not a token", "[]"], "token"),
    (["WF.COMPLETE", "not a token"], "token"),
    (["WF.COMPLETE", "1-0-0000000"], "token"),
    (["WF.COMPLETE", "1-0-0000000G"], "token"),
    (["WF.COMPLETE", "1-x-00000000"], "token"),
    (["WF.COMPLETE", TOKEN, "RESULT"], "RESULT"),
    (["WF.FAIL", "not a token"], "token"),
    (["WF.FAIL", TOKEN, "ERROR"], "ERROR"),
    (["WF.EXTEND", 0, TOKEN], "ms"),
    (["WF.EXTEND", "long", TOKEN], "ms"),
    (["WF.EXTEND", 1000, "not a token"], "token"),
    (["WF.PAUSE", "COLOUR", "red"], "COLOUR"),
    (["WF.PAUSE", "ID"], "ID"),
    (["WF.PAUSE", "TYPE"], "TYPE"),
    (["WF.PAUSE", "ALL", "more"], "more"),
    (["WF.RELEASE", "COLOUR", "red"], "COLOUR"),
    (["WF.RECOVER", "w", "COLOUR"], "COLOUR"),
    (["WF.RECOVER", "w", "RESUME", "LEASE", 0], "LEASE"),
    (["WF.GET", "1", "COLOUR"], "COLOUR"),
    (["WF.WAIT", "1", "BLOCK"], "BLOCK"),
    (["WF.WAIT", "1", "BLOCK", "long"], "BLOCK"),
    (["WF.WAIT", "1", "BLOCK", -1], "BLOCK"),
]


def identify(value: Any) -> str | None:
    return " ".join("doc" if part == DOCUMENT else str(part) for part in value) if isinstance(value, list) else None


@pytest.mark.parametrize("call,names", BAD_ARGUMENTS, ids=identify)
def test_a_bad_argument_is_named_and_changes_nothing(r: redis.Redis, call: list[Any], names: str) -> None:
    command, *arguments = call
    r.execute_command("WF.PUSH", "k", json.dumps(loose(2)))
    r.execute_command("WF.CLAIM", "k", "w")
    before = r.execute_command("DEBUG", "DIGEST-VALUE", "k")
    with refused("ERR", names):
        r.execute_command(command, "k", *arguments)
    with refused("ERR", names):
        r.execute_command(command, "missing", *arguments)
    assert r.execute_command("DEBUG", "DIGEST-VALUE", "k") == before
    assert r.exists("missing") == 0


@pytest.mark.parametrize("command", CALLS)
def test_a_key_of_another_type_is_refused(r: redis.Redis, command: str) -> None:
    r.set("k", "text")
    with refused("WRONGTYPE"):
        r.execute_command(command, "k", *CALLS[command])
    assert r.get("k") == b"text"


@pytest.mark.parametrize("command", ON_MISSING)
def test_a_missing_key_answers_and_stays_missing(server: Server, resp: int, command: str) -> None:
    client = server.client(resp)
    assert client.execute_command(command, "k", *CALLS[command]) == ON_MISSING[command]
    assert client.exists("k") == 0


@pytest.mark.parametrize("command", CALLS)
def test_too_few_arguments(r: redis.Redis, command: str) -> None:
    for given in range(len(CALLS[command])):
        with refused("ERR"):
            r.execute_command(command, "k", *CALLS[command][:given])
    with refused("ERR"):
        r.execute_command(command)


@pytest.mark.parametrize("command", ["WF.STATS", "WF.WORKERS"])
def test_too_many_arguments(r: redis.Redis, command: str) -> None:
    with refused("ERR"):
        r.execute_command(command, "k", "more")


def test_options_come_in_any_order_and_case(jobs: Space) -> None:
    assert jobs.push(single(), "paused", "Priority", 3, "nx", "id", "a", "input", "ID") == "a"
    jobs.release("id", "a")
    tasks = jobs.claim("w", "lease", 1000, "withresults", "maxpriority", 3, "types", 1, "work", "count", 2, "block", 1)
    assert [task.input for task in tasks] == [b"ID"]


def test_apply_is_refused_to_clients(r: redis.Redis) -> None:
    with refused("ERR"):
        r.execute_command("WF.APPLY", "k", "pause", "ALL")
    assert r.exists("k") == 0


def test_the_digest_of_a_space_is_not_that_of_nothing(jobs: Space) -> None:
    jobs.push(single())
    assert set(jobs.client.execute_command("DEBUG", "DIGEST-VALUE", jobs.key)[0]) != set(b"0")


@pytest.mark.parametrize("command", [*CALLS, "WF.APPLY"])
def test_every_command_documents_itself(r: redis.Redis, command: str) -> None:
    ((name, docs),) = r.execute_command("COMMAND DOCS", command).items()
    assert name.decode().upper() == command
    assert docs[b"summary"]
    assert docs[b"arguments"][0][b"name"] == b"key"
    assert r.execute_command("COMMAND GETKEYS", command, "k", *CALLS.get(command, ["pause"])) == [b"k"]
