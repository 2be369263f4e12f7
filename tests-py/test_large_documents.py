"""Large documents are read in the background: the same replies, and nobody waits for them but their client."""

import json
import time

import pytest
import redis

from blocked import Queue
from reading import Backlog, documents_waiting, huge, large
from refusals import refused
from servers import Server
from space import Space
from workflows import chain, single, task, workflow


def text(document: object) -> str:
    return json.dumps(document)


def test_a_large_push_says_and_does_what_a_small_one_does(jobs: Space) -> None:
    assert jobs.push(large(name="big", priority=7), "INPUT", "in") == "1"
    assert jobs.push(large(), "ID", "own") == "own"
    assert jobs.client.execute_command("WF.PUSH", "jobs", text(large()), "ID", "own", "NX") is None
    with refused("EXISTS", "own"):
        jobs.push(large(), "ID", "own")
    shown = jobs.get("1")
    assert (shown["name"], shown["priority"], shown["size"]) == ("big", 7, 3_000)
    first = jobs.claim_one("w")
    assert (first.name, first.payload, first.input) == ("task-0", b"p" * 30, b"in")


@pytest.mark.parametrize(
    "document,code,words",
    [
        (text(large()) + "x", "INVALID", "trailing"),
        (text(large()).replace('"task-7"', '"task-8"'), "INVALID", "task-8"),
        (text(large()).replace('"parents": []', '"parents": ["nobody"]', 1), "INVALID", "nobody"),
        (text(workflow(task("a", payload="p" * 2_000_000))), "LIMIT", "max-payload-bytes"),
    ],
)
@pytest.mark.parametrize("command", ["WF.PUSH", "WF.DEFINE"])
def test_a_large_document_is_refused_with_its_reason(jobs: Space, command: str, document: str, code: str, words: str) -> None:
    name = ["name"] if command == "WF.DEFINE" else []
    with refused(code, words):
        jobs.client.execute_command(command, "jobs", *name, document)
    assert not jobs.client.exists("jobs")


def test_a_large_document_and_a_small_one_of_one_shape_share_it(jobs: Space) -> None:
    """In MULTI the same document is read at once."""
    jobs.push(large())
    alone = jobs.client.memory_usage("jobs")
    pipeline = jobs.client.pipeline(transaction=True)
    pipeline.execute_command("WF.PUSH", "jobs", text(large()))
    assert pipeline.execute() == [b"2"]
    assert jobs.push(large()) == "3"
    assert jobs.client.memory_usage("jobs") < 2.7 * alone


def test_in_a_script_a_large_document_is_read_at_once(jobs: Space) -> None:
    script = "return redis.call('WF.PUSH', KEYS[1], ARGV[1])"
    assert jobs.client.eval(script, 1, "jobs", text(large())) == b"1"


def test_definitions_and_what_they_start(jobs: Space) -> None:
    assert jobs.define("big", large()) == 1
    assert jobs.define("big", large(tasks=4_000)) == 2
    jobs.start("big", "ID", "a")
    assert jobs.get("a")["size"] == 4_000


def test_many_tasks_are_added_at_once(jobs: Space) -> None:
    jobs.push(chain(2), "ID", "w")
    token = jobs.claim_one("w").token
    added = large()["tasks"]
    assert jobs.add(token, *added) == len(added)
    assert jobs.get("w")["size"] == 2 + len(added)
    with refused("EXISTS", "task-0"):
        jobs.add(token, *added)
    assert jobs.add("w-0-00000000", *added) == 0
    assert jobs.add("x-0-00000000", *added) == -1


def test_one_task_is_added_to_a_large_workflow(jobs: Space) -> None:
    """What takes long then is the workflow, not the document."""
    jobs.push(large(tasks=20_000), "ID", "w")
    token = jobs.claim_one("w").token
    with refused("INVALID", "task-19999"):
        jobs.add(token, task("last", children=["task-19999"]))
    assert jobs.add(token, task("last")) == 1
    assert jobs.get("w")["size"] == 20_001


def test_a_key_of_another_type_is_told_at_once(jobs: Space) -> None:
    jobs.client.set("jobs", "text")
    with refused("WRONGTYPE"):
        jobs.push(large())


def test_somebody_who_waits_gets_a_task_of_it(jobs: Space, server: Server) -> None:
    waiter = Queue(server).join()
    jobs.push(large())
    assert waiter.names() == ["task-0"]


def test_commands_of_one_client_stay_in_order(jobs: Space) -> None:
    pipeline = jobs.client.pipeline(transaction=False)
    pipeline.execute_command("WF.PUSH", "jobs", text(large()))
    pipeline.execute_command("WF.PUSH", "jobs", text(single()))
    pipeline.execute_command("WF.GET", "jobs", "1")
    first, second, shown = pipeline.execute()
    assert (first, second, shown[b"size"]) == (b"1", b"2", 3_000)


def test_the_server_answers_others_meanwhile(server: Server) -> None:
    backlog = Backlog(server)
    client = server.client()
    pings = 0
    with backlog.holds():
        while pings < 20:
            assert client.ping()
            pings += 1
        info = client.info("workflow")
    assert info["workflow_documents_waiting"] > 0
    assert info["workflow_documents_waiting_bytes"] > 1_000_000
    backlog.end()
    server.wait_until(lambda: documents_waiting(server) == 0)
    assert client.info("workflow")["workflow_documents_waiting_bytes"] == 0


def test_the_wait_for_others_is_bounded(server: Server) -> None:
    """Reading 200,000 tasks takes 200 ms; nobody else waits so long, whatever else this machine does."""
    waiter = Queue(server).sends("WF.PUSH", "jobs", huge())
    client, waits = server.client(), []
    while not waiter.has_reply():
        began = time.perf_counter()
        client.ping()
        waits.append(time.perf_counter() - began)
    assert len(waits) > 20 and sorted(waits)[len(waits) // 2] < 0.02
    assert waiter.reply() == b"1"


def test_large_pushes_of_many_clients(server: Server) -> None:
    documents = [text(large(name=f"n{place}")) for place in range(6)]
    backlog = Backlog(server)
    waiters = [backlog.sends("WF.PUSH", "jobs", document) for document in documents]
    backlog.end()
    assert [waiter.reply() for waiter in waiters] == [b"1", b"2", b"3", b"4", b"5", b"6"]
    jobs = Space(server.client(), "jobs")
    assert [jobs.get(str(place + 1))["name"] for place in range(6)] == [f"n{place}" for place in range(6)]


@pytest.mark.parametrize("resp", [2, 3])
def test_replies_and_errors_in_both_protocols(server: Server, resp: int) -> None:
    client = server.client(resp)
    assert client.execute_command("WF.PUSH", "jobs", text(large()), "ID", "a") == b"a"
    assert client.execute_command("WF.PUSH", "jobs", text(large()), "ID", "a", "NX") is None
    with pytest.raises(redis.ResponseError, match="a"):
        client.execute_command("WF.PUSH", "jobs", text(large()), "ID", "a")
