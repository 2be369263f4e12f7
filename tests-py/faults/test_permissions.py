"""Users who may do only what their part is, and who lose a permission in the middle of it."""

import json

import pytest
import redis

from blocked import Queue
from fixtures import Fresh
from history import HOUR
from refusals import refused
from servers import Server
from space import Space
from workflows import chain, loose, single

USERS = {
    "pusher": ["~jobs", "+wf.push"],
    "worker": ["~jobs", "+wf.claim", "+wf.complete", "+wf.fail", "+wf.extend"],
    "looker": ["%R~jobs", "+wf.get", "+wf.stats", "+wf.list", "+wf.why", "+wf.workers"],
}


@pytest.fixture
def guarded(fresh_server: Fresh) -> Server:
    """A server that knows these users; their connections may say HELLO and INFO."""
    server = fresh_server()
    for name, rules in USERS.items():
        server.client().execute_command("ACL", "SETUSER", name, "on", ">secret", "resetkeys", *rules, "+hello", "+info")
    return server


def as_user(server: Server, name: str, key: str = "jobs") -> Space:
    return Space(server.client(username=name, password="secret"), key)


def test_each_user_can_do_its_part_and_nothing_else(guarded: Server) -> None:
    pusher, worker, looker = (as_user(guarded, name) for name in USERS)
    pusher.push(chain(2))
    with refused("NOPERM"):
        as_user(guarded, "pusher", "others").push(single())
    for call in (["CLAIM", "w"], ["GET", "1"], ["APPLY", "pause", "all", "-"], ["DELETE", "1"]):
        with refused("NOPERM"):
            pusher.call(*call)
    first = worker.claim_one("w", "BLOCK", 0)
    assert worker.extend(HOUR, first.token) == [1]
    assert worker.complete(first.token) == [1]
    second = worker.claim_one("w", "WITHRESULTS")
    assert worker.fail(second.token, "ERROR", "no") == [1]
    push = ["PUSH", json.dumps(single())]
    for call in (push, ["PAUSE", "ALL"], ["DELETE", "1"], ["GET", "1"], ["CONFIG", "GET", "*"]):
        with refused("NOPERM"):
            worker.call(*call)
    with refused("NOPERM"):
        as_user(guarded, "worker", "others").claim("w")
    assert looker.state("1") == "failed"
    assert looker.stats()["dead"] == 1
    assert len(looker.listed()) == 1
    with refused("NOPERM"):
        looker.call("CLAIM", "w")


def test_a_worker_needs_to_read_and_to_write(guarded: Server) -> None:
    """It changes the space and is told what is in it."""
    control = guarded.client()
    Space(control, "jobs").push(single())
    for rule in ("%R~jobs", "%W~jobs"):
        control.execute_command("ACL", "SETUSER", "worker", "resetkeys", rule)
        with refused("NOPERM"):
            as_user(guarded, "worker").claim("w")
    control.execute_command("ACL", "SETUSER", "worker", "resetkeys", "%RW~jobs")
    assert as_user(guarded, "worker").claim_names("w") == ["only"]


REVOKED = {
    "the key": ["resetkeys", "~other"],
    "reading the key": ["resetkeys", "%W~jobs"],
    "the command": ["-wf.claim"],
    "all commands": ["-@all"],
}


@pytest.mark.parametrize("what", REVOKED)
def test_a_permission_is_revoked_while_many_wait(guarded: Server, what: str) -> None:
    """They are told when it would be their turn; the task goes to one who may have it, and none is lost."""
    connections = []
    queue = Queue(guarded)
    for number in range(5):
        connection = guarded.client(username="worker", password="secret").connection_pool.get_connection()
        connection.send_command("WF.CLAIM", "jobs", f"limited-{number}", "BLOCK", 0)
        queue.wait_until_blocked(number + 1)
        connections.append(connection)
    last = queue.joins(2)
    control = Space(guarded.client(), "jobs")
    control.client.execute_command("ACL", "SETUSER", "worker", *REVOKED[what])
    wid = control.push(loose(3))
    assert sorted(last[0].names() + last[1].names()) == ["t0", "t1"]
    for connection in connections:
        with refused("NOPERM"):
            connection.read_response()
    assert sorted(control.states(wid).values()) == ["ready", "running", "running"]
    assert control.client.info("workflow")["workflow_waiting_clients"] == 0


@pytest.mark.parametrize("way", ["deleted", "switched off", "another password"])
def test_a_user_changes_while_it_waits(guarded: Server, way: str) -> None:
    """Deleted, its client is hung up on; else it stays logged in, as with any command."""
    queue = Queue(guarded)
    connection = guarded.client(username="worker", password="secret").connection_pool.get_connection()
    connection.send_command("WF.CLAIM", "jobs", "limited", "BLOCK", 0)
    queue.wait_until_blocked(1)
    last = queue.join()
    control = Space(guarded.client(), "jobs")
    acl = {"deleted": ["DELUSER", "worker"], "switched off": ["SETUSER", "worker", "off"]}
    control.client.execute_command("ACL", *acl.get(way, ["SETUSER", "worker", "<secret", ">other"]))
    control.push(single())
    if way == "deleted":
        with pytest.raises(redis.ConnectionError):
            connection.read_response()
        assert last.names() == ["only"]
    else:
        assert connection.read_response()[0][2] == b"only"
