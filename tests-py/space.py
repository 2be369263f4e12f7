"""A space as tests see it: one method a command, replies as Python values.

Names and tokens come back as text, payloads, inputs and results as bytes. What the wire looks like
is the subject of the tests that use a plain client instead.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import redis

Document = dict[str, Any]
Text = str | bytes


@dataclass(frozen=True)
class Task:
    """One task as WF.CLAIM hands it out."""

    token: str
    workflow: str
    name: str
    type: str
    attempt: int
    deadline: int
    payload: bytes
    input: bytes | None
    results: dict[str, bytes | None] = field(default_factory=dict)


def text(value: bytes) -> str:
    return value.decode(errors="surrogateescape")


def read_task(reply: list[Any]) -> Task:
    """A task out of its reply of eight elements, or nine with the parents' results."""
    token, workflow, name, kind, attempt, deadline, payload, given = reply[:8]
    flat = reply[8] if len(reply) > 8 else []
    results = {text(parent): result for parent, result in zip(flat[::2], flat[1::2], strict=True)}
    return Task(text(token), text(workflow), text(name), text(kind), attempt, deadline, payload, given, results)


def plain(value: Any) -> Any:
    """A RESP3 reply with text for bytes, down to every key and element."""
    if isinstance(value, bytes):
        return text(value)
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


class Space:
    """One key. The client must speak RESP3."""

    def __init__(self, client: redis.Redis, key: Text):
        self.client = client
        self.key = key

    def call(self, command: str, *arguments: Any) -> Any:
        return self.client.execute_command(f"WF.{command}", self.key, *arguments)

    def push(self, document: Document | Text, *options: Any) -> str:
        """The id of the workflow, which must not have been there already."""
        body = json.dumps(document) if isinstance(document, dict) else document
        reply = self.call("PUSH", body, *options)
        assert reply is not None, "a workflow with this id exists"
        return text(reply)

    def define(self, name: Text, document: Document | Text) -> int:
        """The version of the definition."""
        return self.call("DEFINE", name, json.dumps(document) if isinstance(document, dict) else document)

    def start(self, name: Text, *options: Any) -> str:
        """The id of the workflow, which must not have been there already."""
        reply = self.call("START", name, *options)
        assert reply is not None, "a workflow with this id exists"
        return text(reply)

    def undefine(self, *names: Text) -> int:
        return self.call("UNDEFINE", *names)

    def definitions(self, *options: Any) -> list[dict[str, Any]]:
        return plain(self.call("DEFINITIONS", *options))

    def add(self, token: str, *tasks: Document, **fields: Any) -> int:
        """WF.ADD of these tasks, in an object with these fields if there are any."""
        return self.call("ADD", token, json.dumps({"tasks": tasks, **fields} if fields else tasks))

    def claim(self, worker: Text, *options: Any) -> list[Task]:
        return [read_task(task) for task in self.call("CLAIM", worker, *options)]

    def claim_one(self, worker: Text, *options: Any) -> Task:
        """The next task, which must be there."""
        tasks = self.claim(worker, *options)
        assert len(tasks) == 1, f"one task was expected: {tasks}"
        return tasks[0]

    def claim_names(self, worker: Text, *options: Any) -> list[str]:
        return [task.name for task in self.claim(worker, "COUNT", 1000, *options)]

    def complete(self, *tokens_and_results: Any) -> list[int]:
        return self.call("COMPLETE", *tokens_and_results)

    def fail(self, *tokens_and_options: Any) -> list[int]:
        return self.call("FAIL", *tokens_and_options)

    def signal(self, workflow: Text, name: Text, *end: Any) -> int:
        return self.call("SIGNAL", workflow, name, *end)

    def extend(self, milliseconds: int, *tokens: str) -> list[int]:
        return self.call("EXTEND", milliseconds, *tokens)

    def recover(self, worker: Text) -> list[str]:
        return [text(token) for token in self.call("RECOVER", worker)]

    def resume(self, worker: Text, *options: Any) -> list[Task]:
        return [read_task(task) for task in self.call("RECOVER", worker, "RESUME", *options)]

    def pause(self, *what: Any) -> int:
        return self.call("PAUSE", *what)

    def release(self, *what: Any) -> int:
        return self.call("RELEASE", *what)

    def delete(self, *ids: Any) -> int:
        return self.call("DELETE", *ids)

    def retry(self, workflow: Text, *options: Any) -> int:
        return self.call("RETRY", workflow, *options)

    def page(self, *options: Any) -> tuple[str, list[dict[str, Any]]]:
        """One page of WF.LIST: the next cursor and what was found."""
        cursor, found = plain(self.call("LIST", *options))
        return cursor, found

    def listed(self, *options: Any) -> list[dict[str, Any]]:
        """All pages of WF.LIST in one."""
        everything, cursor = [], "0"
        while True:
            cursor, found = self.page(*options, "CURSOR", cursor)
            everything += found
            if cursor == "0":
                return everything

    def configure(self, *names_and_values: Any) -> None:
        assert self.call("CONFIG", "SET", *names_and_values) == b"OK"

    def settings(self, pattern: Text = "*") -> dict[str, Any]:
        return plain(self.call("CONFIG", "GET", pattern))

    def get(self, workflow: Text, *options: str) -> dict[str, Any]:
        """WF.GET of a workflow that must exist."""
        reply = self.call("GET", workflow, *options)
        assert reply is not None, f"no workflow {workflow!r}"
        return plain(reply)

    def state(self, workflow: Text) -> str:
        return self.get(workflow)["state"]

    def tasks(self, workflow: Text) -> dict[str, dict[str, Any]]:
        """Every task of a workflow by its name."""
        return {task["name"]: task for task in self.get(workflow, "TASKS")["tasks"]}

    def states(self, workflow: Text) -> dict[str, str]:
        """The state of every task of a workflow by its name."""
        return {name: task["state"] for name, task in self.tasks(workflow).items()}

    def stats(self) -> dict[str, Any]:
        return plain(self.call("STATS"))

    def work_off(self, worker: Text, *options: Any) -> list[str]:
        """Claims and completes one task at a time until there is none; their names in order."""
        names = []
        while tasks := self.claim(worker, *options):
            assert self.complete(tasks[0].token) == [1]
            names.append(tasks[0].name)
        return names
