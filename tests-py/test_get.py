"""WF.GET: a workflow and its tasks, for people and programs that look."""

import json
import time
from typing import Any

import pytest

from refusals import refused
from servers import Server
from space import Space
from workflows import chain, diamond, loose

FIELDS = {"id", "name", "state", "paused", "priority", "created", "finished", "size", "counts"}
TASK_FIELDS = {"name", "type", "state", "attempts", "worker", "ready", "started", "finished", "error", "result"}


def test_a_map_in_resp3_and_its_flat_array_in_resp2(server: Server) -> None:
    server.client().execute_command("WF.PUSH", "k", json.dumps(diamond()), "ID", "w")
    as_map = server.client(3).execute_command("WF.GET", "k", "w")
    flat = server.client(2).execute_command("WF.GET", "k", "w")
    assert isinstance(as_map, dict) and isinstance(flat, list)
    assert flat[::2] == list(as_map)
    for name, value in zip(flat[::2], flat[1::2], strict=True):
        expected = as_map[name]
        if isinstance(expected, dict):
            value = dict(zip(value[::2], value[1::2], strict=True))
        assert value == expected


def test_the_fields_of_a_workflow(jobs: Space) -> None:
    before = int(time.time() * 1000)
    jobs.push({**diamond(), "name": "nightly"}, "ID", "w", "PRIORITY", 7)
    got = jobs.get("w")
    assert FIELDS <= got.keys()
    assert (got["id"], got["name"], got["state"], got["paused"], got["priority"]) == ("w", "nightly", "running", 0, 7)
    assert before <= got["created"] <= int(time.time() * 1000)
    assert got["finished"] is None
    assert got["size"] == 4
    assert {state: n for state, n in got["counts"].items() if n} == {"ready": 1, "waiting": 3}


def test_tasks_come_in_pages(jobs: Space) -> None:
    jobs.push(loose(7), "ID", "w")
    names = [task["name"] for task in jobs.get("w", "TASKS")["tasks"]]
    assert len(names) == 7 and "next" not in jobs.get("w", "TASKS")
    found, place, pages = [], 0, 0
    while place is not None:
        page = jobs.get("w", "TASKS", "FROM", place, "COUNT", 3)
        found += [task["name"] for task in page["tasks"]]
        place, pages = page.get("next"), pages + 1
    assert (found, pages) == (names, 3)
    assert "next" not in jobs.get("w", "tasks", "count", 7)
    assert [task["name"] for task in jobs.get("w", "TASKS", "FROM", 6)["tasks"]] == names[6:]
    assert jobs.get("w", "TASKS", "FROM", 7)["tasks"] == jobs.get("w", "TASKS", "FROM", 1_048_575)["tasks"] == []


def test_a_page_has_at_most_max_count_tasks(jobs: Space) -> None:
    jobs.client.config_set("workflow.max-count", 4)
    jobs.push(loose(5), "ID", "w")
    first = jobs.get("w", "TASKS")
    assert (len(first["tasks"]), first["next"]) == (4, 4)
    jobs.push(loose(4), "ID", "all")
    assert "next" not in jobs.get("all", "TASKS")
    with refused("ERR", "COUNT", "1 to 4"):
        jobs.get("w", "TASKS", "COUNT", 5)


@pytest.mark.parametrize(
    "options,word",
    [
        (["FROM", 1, "TASKS"], "FROM"),
        (["TASKS", "FROM"], "FROM"),
        (["TASKS", "FROM", -1], "FROM"),
        (["TASKS", "FROM", 1_048_576], "FROM"),
        (["TASKS", "COUNT", 0], "COUNT"),
        (["TASKS", "COUNT", 1, "COUNT", 1], "COUNT"),
        (["TASKS", "FROM", "x"], "FROM"),
    ],
)
def test_pages_that_are_none(jobs: Space, options: list[Any], word: str) -> None:
    jobs.push(chain(2), "ID", "w")
    with refused("ERR", word):
        jobs.get("w", *options)


def test_the_fields_of_a_task_while_it_moves(jobs: Space) -> None:
    wid = jobs.push(chain(2))
    waiting = jobs.tasks(wid)["t1"]
    assert TASK_FIELDS <= waiting.keys()
    assert (waiting["type"], waiting["state"], waiting["attempts"]) == ("work", "waiting", 0)
    empty = [
        field for field in ("worker", "ready", "started", "finished", "error", "result") if waiting[field] is not None
    ]
    assert empty == [], "what has not happened is null"

    task = jobs.claim_one("me")
    running = jobs.tasks(wid)["t0"]
    assert (running["state"], running["attempts"], running["worker"]) == ("running", 1, "me")
    assert running["ready"] <= running["started"]
    assert running["finished"] is None

    jobs.complete(task.token, "RESULT", "42")
    done = jobs.tasks(wid)["t0"]
    assert (done["state"], done["result"], done["error"]) == ("completed", "42", None)
    assert done["ready"] <= done["started"] <= done["finished"]
    assert jobs.tasks(wid)["t1"]["ready"] is not None


def test_tasks_come_in_push_order(jobs: Space) -> None:
    wid = jobs.push(diamond())
    assert [task["name"] for task in jobs.get(wid, "TASKS")["tasks"]] == ["top", "left", "right", "bottom"]


def test_without_tasks_there_are_none(jobs: Space) -> None:
    assert "tasks" not in jobs.get(jobs.push(diamond()))


def test_unknown_is_null(server: Server, resp: int) -> None:
    client = server.client(resp)
    assert client.execute_command("WF.GET", "k", "w") is None
    client.execute_command("WF.PUSH", "k", json.dumps(diamond()))
    assert client.execute_command("WF.GET", "k", "2") is None
    assert client.execute_command("WF.GET", "k", "2", "TASKS") is None
