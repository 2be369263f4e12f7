"""WF.PUSH: ids, options, what a document may say, and that a refused one changes nothing."""

import json

import pytest

from refusals import refused
from space import Space
from workflows import chain, diamond, join, loose, single, task, workflow


def test_generated_ids_count_up_and_are_never_reused(jobs: Space) -> None:
    first, second = jobs.push(single()), jobs.push(single())
    assert (first, second) == ("1", "2")
    assert jobs.delete(first, second) == 2
    assert jobs.push(single()) == "3"


def test_a_generated_id_is_above_every_integer_ever_used_as_an_id(jobs: Space) -> None:
    assert jobs.push(single(), "ID", "41") == "41"
    jobs.delete("41")
    assert jobs.push(single()) == "42"


def test_own_ids_are_binary_safe_text(jobs: Space) -> None:
    for own in ["order-7", "007", b"nul\x00 \xff-\r\n"]:
        jobs.push(single(), "ID", own)
        assert jobs.client.execute_command("WF.GET", jobs.key, own)[b"id"] == (
            own if isinstance(own, bytes) else own.encode()
        )
    assert jobs.push(single()) == "1", "007 is text, not the integer 7"


def test_an_id_that_exists_is_an_error_or_nil_with_nx(jobs: Space) -> None:
    jobs.push(chain(2), "ID", "a")
    with refused("EXISTS", "a"):
        jobs.push(single(), "ID", "a")
    assert jobs.call("PUSH", json.dumps(single()), "ID", "a", "NX") is None
    assert jobs.get("a")["size"] == 2, "the first one is untouched"
    assert jobs.push(single(), "NX", "ID", "b") == "b"


def test_the_input_goes_to_every_task(jobs: Space) -> None:
    jobs.push(loose(2), "INPUT", b"\x00order 7")
    assert [task.input for task in jobs.claim("w", "COUNT", 10)] == [b"\x00order 7"] * 2


def test_payloads_text_as_text_and_json_as_its_source(jobs: Space) -> None:
    document = (
        '{"name":"p","tasks":[{"name":"text","type":"t","payload":"a\\u00e4\\n"},'
        '{"name":"json","type":"t","payload":{"b": 1.50,  "a":[ ]}},'
        '{"name":"number","type":"t","payload":0.10},'
        '{"name":"null","type":"t","payload":null},{"name":"none","type":"t"}]}'
    )
    jobs.push(document)
    assert {task.name: task.payload for task in jobs.claim("w", "COUNT", 10)} == {
        "text": "aä\n".encode(),
        "json": b'{"b": 1.50,  "a":[ ]}',
        "number": b"0.10",
        "null": b"",
        "none": b"",
    }


def test_priority_of_the_task_then_of_the_push_then_of_the_document(jobs: Space) -> None:
    jobs.push(workflow(task("own", priority=70), task("push")), "PRIORITY", 80)
    jobs.push(workflow(task("document"), priority=90))
    jobs.push(workflow(task("default")))
    jobs.push(workflow(task("urgent", priority=0), priority=200))
    assert jobs.claim_names("w") == ["urgent", "own", "push", "document", "default"]


def test_a_paused_push_waits_for_its_release(jobs: Space) -> None:
    jobs.push(diamond(), "ID", "p", "PAUSED")
    assert jobs.claim("w") == []
    assert jobs.get("p")["state"] == "paused"
    assert jobs.states("p")["top"] == "waiting"
    jobs.release("ID", "p")
    assert jobs.claim_names("w") == ["top"]


def test_edges_as_parents_children_or_both_are_one_union(jobs: Space) -> None:
    jobs.push(
        workflow(
            task("a", children=["b", "b"]),
            task("b", parents=["a", "a"], children=["c"]),
            task("c", parents=["a"]),
        )
    )
    assert jobs.work_off("w") == ["a", "b", "c"]


@pytest.mark.parametrize("width", [2, 3, 9, 65, 300, 5000])
def test_a_join_of_any_width_fires_once(jobs: Space, width: int) -> None:
    wid = jobs.push(join(width))
    tasks = jobs.claim("w", "COUNT", 10000)
    assert len(tasks) == width
    assert jobs.complete(*(task.token for task in tasks[:-1])) == [1] * (width - 1)
    assert jobs.claim("w") == []
    assert jobs.complete(tasks[-1].token) == [1]
    assert jobs.claim_names("w") == ["end"]
    assert jobs.get(wid)["counts"]["completed"] == width


INVALID = {
    "not json": ('{"tasks"', []),
    "not an object": ("[]", []),
    "no tasks": ('{"name":"x","tasks":[]}', ["tasks"]),
    "tasks missing": ('{"name":"x"}', ["tasks"]),
    "empty name": (json.dumps(single("")), ["name"]),
    "name twice": (json.dumps(workflow(task("dup"), task("dup"))), ["dup"]),
    "unknown parent": (json.dumps(workflow(task("load", ["exract"]))), ["load", "exract"]),
    "unknown child": (json.dumps(workflow(task("load", children=["nowhere"]))), ["load", "nowhere"]),
    "self edge": (json.dumps(workflow(task("me", ["me"]))), ["me"]),
    "cycle": (json.dumps(workflow(task("aa", ["cc"]), task("bb", ["aa"]), task("cc", ["bb"]))), ["aa", "bb", "cc"]),
    "unknown field of a task": (json.dumps(single(colour="red")), ["colour"]),
    "unknown field of the workflow": (json.dumps({**single(), "colour": "red"}), ["colour"]),
    "priority too high": (json.dumps(single(priority=16777216)), ["priority"]),
    "priority negative": (json.dumps(single(priority=-1)), ["priority"]),
    "not utf-8": (b'{"name":"x","tasks":[{"name":"\xff","type":"t"}]}', []),
}


@pytest.mark.parametrize("document,names", INVALID.values(), ids=INVALID.keys())
def test_an_invalid_document_is_refused_and_changes_nothing(
    jobs: Space, document: str | bytes, names: list[str]
) -> None:
    with refused("INVALID", *names):
        jobs.push(document)
    assert jobs.client.exists(jobs.key) == 0


def test_more_tasks_than_the_limit(jobs: Space) -> None:
    jobs.client.config_set("workflow.max-tasks", 3)
    assert jobs.push(loose(3)) == "1"
    with refused("LIMIT"):
        jobs.push(loose(4))
    assert jobs.stats()["workflows"]["running"] == 1
