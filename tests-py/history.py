"""A rich life of a space: every command, every state, every kind of text, everything repeated.

`live` drives it and leaves leases that do not run out while a test looks. `portrait` is what
clients can see of a space, without what changes by itself.
"""

from typing import Any

import redis

from servers import Server
from space import Space, Task, plain
from waiting import now_ms
from workflows import chain, diamond, fan, join, loose, sample_text, single, task, workflow

HOUR = 3_600_000
BINARY = b"\x00\xff bin=ary%\r\n"


def raw(tasks: list[Task]) -> list[bytes]:
    """The tokens of tasks as they are sent, whatever the ids of their workflows are made of."""
    return [task.token.encode(errors="surrogateescape") for task in tasks]


def live(server: Server, space: Space) -> None:
    """Everything that can happen to a space, at least once. Can be called again for more."""
    _push_all_kinds(space)
    _work(space)
    _fail(server, space)
    _expire(server, space)
    _pause(space)
    _recover(space)
    _delete(space)
    _define(space)
    _wait(server, space)
    _flow(space)
    _choose(space)
    _grow(space)


def _push_all_kinds(space: Space) -> None:
    for _ in range(3):
        space.push({**diamond(), "name": "equal shapes"}, "INPUT", "one input")
    space.push(sample_text(), "NX")
    space.push(workflow(task("ä", type="ü", payload={"deep": [1, {"er": None}]}), task("p", ["ä"], payload="text")))
    space.push(single("urgent", priority=0, lease_ms=HOUR), "PRIORITY", 7)
    space.push(chain(4, type="slow"), "PRIORITY", 16_777_215)
    space.push({**fan(70), "priority": 50})
    space.push(join(70), "INPUT", BINARY)
    base = space.stats()["workflows"]["running"]
    for own in ("order-7", "007", "9000", BINARY):
        name = own if isinstance(own, bytes) else own.encode()
        space.push(loose(2, type="own"), "ID", name + b"-%d" % base)


def _work(space: Space) -> None:
    first = raw(space.claim("w", "COUNT", 9, "LEASE", HOUR))
    space.complete(first[0], "RESULT", BINARY, first[1], first[2], "RESULT", "")
    space.complete(first[0], "RESULT", "again")
    space.extend(2 * HOUR, first[3], first[4])
    typed = space.claim(BINARY, "TYPES", 2, "own", "TestType", "COUNT", 3, "LEASE", HOUR, "WITHRESULTS")
    space.complete(raw(typed)[0])
    for _ in range(6):
        space.complete(*raw(space.claim("bulk", "TYPES", 1, "work", "COUNT", 20, "LEASE", HOUR)))


def _fail(server: Server, space: Space) -> None:
    """One that runs down, one that has run down, one whose last task ends by its lease."""
    for worker in ("down", "ended", "late"):
        space.push(workflow(task("bad", type="f"), task("good", type="f"), task("never", ["good"], type="f")))
        bad, good = space.claim(worker, "TYPES", 1, "f", "COUNT", 2, "LEASE", HOUR)
        space.fail(bad.token, "ERROR", BINARY)
        if worker == "ended":
            space.fail(good.token)
        if worker == "late":
            space.extend(1, good.token)
            server.wait_until(lambda g=good: space.states(g.workflow)["good"] == "cancelled", what="a lease to end")


def _expire(server: Server, space: Space) -> None:
    """Leases that ran out: one claimed again, one acknowledged late, one extended late, one left."""
    wid = space.push(loose(4, type="e"))
    old = space.claim("expired", "TYPES", 1, "e", "COUNT", 4, "LEASE", 1)
    server.wait_until(lambda: set(space.states(wid).values()) == {"ready"}, what="leases to run out")
    again = space.claim_one("again", "TYPES", 1, "e", "LEASE", HOUR)
    assert again.name == old[0].name
    assert space.complete(old[1].token, "RESULT", "late") == [1]
    assert space.extend(HOUR, old[2].token) == [1]


def _pause(space: Space) -> None:
    paused = space.push(chain(3, type="paused"), "PAUSED")
    running = space.push(chain(3, type="later"))
    held = space.claim_one("w", "TYPES", 1, "later", "LEASE", HOUR)
    space.pause("ID", running)
    space.complete(held.token)
    space.pause("TYPE", "slow", "nobody has seen this type")
    space.pause("ALL")
    space.release("ALL")
    space.release("ID", paused)
    space.pause("ID", paused)


def _recover(space: Space) -> None:
    space.push(loose(4, type="r"))
    space.claim("gone", "TYPES", 1, "r", "COUNT", 2, "LEASE", HOUR)
    space.claim("back", "TYPES", 1, "r", "COUNT", 2, "LEASE", HOUR)
    assert len(space.recover("gone")) >= 2
    assert len(space.resume("back", "LEASE", HOUR)) >= 2


def _delete(space: Space) -> None:
    gone = [space.push(diamond()), space.push(single("shape that goes"), "ID", "gone")]
    space.claim("w", "COUNT", 3, "LEASE", HOUR)
    assert space.delete(*gone) == 2


def _define(space: Space) -> None:
    """Some defined for the first time, some again, one removed; what is started stays as it is."""
    space.define("nightly", {**chain(3, type="defined", payload={"n": 1}), "priority": 7, "timeout_ms": 9 * HOUR})
    space.define(BINARY, single(type="defined", delay_ms=HOUR, payload="later"))
    space.define("gone", loose(2, type="defined"))
    for name in ("nightly", "nightly", BINARY, "gone"):
        space.start(name, "INPUT", BINARY, "RETAIN", HOUR)
    space.start("nightly", "PAUSED", "PRIORITY", 3)
    assert space.undefine("gone", "never defined") == 1


def _wait(server: Server, space: Space) -> None:
    """Everything that waits for a time, none of which comes while a test looks."""
    space.push({**chain(2, type="d"), "timeout_ms": 5 * HOUR}, "DELAY", HOUR, "RETAIN", 2 * HOUR)
    space.push(loose(3, type="d", delay_ms=HOUR), "PAUSED", "TIMEOUT", 9 * HOUR)
    space.push(single(type="d", delay_ms=HOUR), "PAUSED", "AT", now_ms() + HOUR)
    space.push(workflow(task("a", type="d"), task("b", ["a"], type="d", delay_ms=HOUR, timeout_ms=HOUR)))
    space.complete(space.claim_one("w", "TYPES", 1, "d").token)

    for end in ([], ["RESULT", BINARY], ["FAIL", BINARY]):
        one = task("one", signal=True, timeout_ms=9 * HOUR)
        wid = space.push(workflow(one, task("two", ["one"], signal=True, type="d", timeout_ms=8 * HOUR)))
        assert space.signal(wid, "one", *end) == 1

    jitter = {"kind": "linear", "delay_ms": 2 * HOUR, "max_ms": 3 * HOUR, "jitter": 0.5}
    space.push({**loose(4, type="again", timeout_ms=3 * HOUR), "defaults": {"max_attempts": 9, "backoff": jitter}})
    one, two, three, _ = raw(space.claim("w", "TYPES", 1, "again", "COUNT", 4, "LEASE", HOUR))
    assert space.fail(one, "ERROR", BINARY, two, "RETRY", HOUR, three, "RETRY", 0, "ERROR", "at once") == [2, 2, 2]
    space.claim("w", "TYPES", 1, "again", "LEASE", HOUR)
    late = space.push(single(type="slow one", timeout_ms=1, max_attempts=2, backoff={"delay_ms": HOUR}))
    space.claim_one("w", "TYPES", 1, "slow one", "LEASE", HOUR)
    over = space.push(chain(2, type="over"), "TIMEOUT", 1)

    for final in ("NORETRY", "poison", "again", "one of two"):
        wid = space.push(
            workflow(*(task(n, type="dead", max_deliveries=1) for n in "ab"), task("c", ["a"], type="dead"))
        )
        first, second = (task.token for task in space.claim("dead", "TYPES", 1, "dead", "COUNT", 2, "LEASE", HOUR))
        if final == "poison":
            space.recover("dead")
        else:
            space.fail(first, "ERROR", "no", "NORETRY", second, "ERROR", "nor this")
        if final in ("again", "one of two"):
            assert space.retry(wid, *(["TASK", "b"] if final == "one of two" else [])) == 1
            space.claim("kept", "TYPES", 1, "dead", "COUNT", 9, "LEASE", HOUR)
    space.configure("default-max-deliveries", 7, "retain-count", 1_000_000, "retain-failed-ms", 9 * 24 * HOUR)
    server.wait_until(lambda: space.states(late)["only"] == "delayed", what="an attempt to time out")
    server.wait_until(lambda: space.state(over) == "failed", what="a workflow to time out")


def _flow(space: Space) -> None:
    """Edges with conditions: skipped, reached by a failure, left by a failure, still open."""
    edges = {
        "undo": [{"task": "a", "on": "failure"}],
        "clean": [{"task": "b", "on": "always"}, "c"],
        "tell": ["undo", {"task": "clean", "on": "always"}],
    }
    tasks = [task(name, type="flow") for name in "abc"]
    tasks += [task(name, type="flow") | {"parents": parents} for name, parents in edges.items()]
    tasks.append(task("x", type="flow", on_failure="continue"))
    for fails in ("", "a", "b", "x", "bx"):
        space.push(workflow(*tasks, fail_fast=len(fails) < 2))
        held = space.claim("flows", "TYPES", 1, "flow", "COUNT", 4, "LEASE", HOUR)
        for one in held:
            (space.fail if one.name in fails else space.complete)(*raw([one]))
        space.claim("flows", "TYPES", 1, "flow", "LEASE", HOUR)


def _choose(space: Space) -> None:
    """A choice that has come to something, and one that has not yet; results that were freed, kept, left."""
    behind = [task("c", ["a", "b"], type="choice"), task("d", ["a"], type="choice", keep_result=True)]
    after = [task("e", ["d"], type="choice"), task("f", ["c"], type="choice")]
    for _ in "12":
        space.push(workflow(*(task(name, type="choice") for name in "ab"), *behind, *after))
    one, _, two, _ = raw(space.claim("chooser", "TYPES", 1, "choice", "COUNT", 4, "LEASE", HOUR))
    space.complete(one, "RESULT", BINARY, "SKIP", "c")
    space.complete(two, "RESULT", BINARY, "SKIP", "d")
    space.complete(*raw(space.claim("chooser", "TYPES", 1, "choice", "LEASE", HOUR)), "RESULT", "kept")
    space.claim("chooser", "TYPES", 1, "choice", "LEASE", HOUR)


def _grow(space: Space) -> None:
    """Tasks added by a running one: behind it, before one that waits, and twice alike."""
    for _ in range(2):
        space.push(workflow(task("root", type="grow", priority=0), task("end", ["root"], type="grow")))
        root = space.claim_one("grower", "TYPES", 1, "grow", "LEASE", HOUR).token
        items = [task(f"item{n}", ["root"], type="grow", payload=str(n), children=["end"]) for n in range(3)]
        assert space.add(root, *items) == 3
        assert space.complete(root, "RESULT", "three") == [1]
        space.complete(space.claim_one("grower", "TYPES", 1, "grow", "LEASE", HOUR).token)


def ids_of(space: Space, last: int = 100) -> list[bytes]:
    """The ids of the workflows that `live` left: the integers, and the own ones."""
    ids = [b"%d" % number for number in range(1, last)]
    ids += [own + b"-%d" % base for own in (b"order-7", b"007", b"9000", BINARY) for base in range(60)]
    return [wid for wid in ids if space.call("GET", wid) is not None]


def portrait(space: Space, ids: list[bytes]) -> tuple[Any, Any]:
    """All that WF.GET and WF.STATS tell."""
    stats = space.stats()
    for figures in stats["types"].values():
        del figures["oldest_ready_ms"]
    return [plain(space.call("GET", wid, "TASKS")) for wid in ids], stats


def holds(seen: Any, expected: Any, where: str = "") -> None:
    """All that an earlier version showed is seen now; there may be fields that are new."""
    if isinstance(expected, dict):
        for name, value in expected.items():
            assert name in seen, f"{where} has no {name}"
            holds(seen[name], value, f"{where} {name}")
    elif isinstance(expected, list):
        assert len(seen) == len(expected), where
        for place, value in enumerate(expected):
            holds(seen[place], value, f"{where} {place}")
    else:
        assert seen == expected, where


def digest(client: redis.Redis, key: str | bytes = "jobs") -> bytes:
    """DEBUG DIGEST-VALUE of a key that is there."""
    (value,) = client.execute_command("DEBUG", "DIGEST-VALUE", key)
    assert set(value) != {ord("0")}, f"{key!r} is missing"
    return value
