"""What the patterns share: a space, and workers that call a function by the type of their task.

As short as it can be, so that the patterns can be read. A worker for production is in ../python/worker.py.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import redis

Document = dict[str, Any]


class Again(Exception):
    """Raised by a handler whose work is not possible yet: the task is tried again after so long."""

    def __init__(self, reason: str, in_ms: int):
        super().__init__(reason)
        self.in_ms = in_ms


class Job:
    """One task that was claimed."""

    def __init__(self, space: "Space", reply: list[Any]):
        token, workflow, name, kind, self.attempt, _deadline, self.payload, self.input, results = reply
        self.space, self.token = space, token
        self.workflow, self.name, self.type = workflow.decode(), name.decode(), kind.decode()
        self.results: dict[str, bytes | None] = {
            parent.decode(): result for parent, result in zip(results[::2], results[1::2], strict=True)
        }
        self.skipped: list[str] = []

    def add(self, tasks: list[Document]) -> None:
        """Adds tasks to this task's own workflow."""
        self.space.call("ADD", self.token, json.dumps(tasks))

    def skip(self, *children: str) -> None:
        """These children are not to run: the branch that was not taken."""
        self.skipped += children

    def done(self, result: Any) -> None:
        options = [] if result is None else ["RESULT", result]
        self.space.call("COMPLETE", self.token, *options, *(["SKIP", *self.skipped] if self.skipped else []))


Handler = Callable[[Job], Any]


class Space:
    """One key: the commands that the patterns use."""

    def __init__(self, url: str, key: str = "patterns"):
        self.url, self.key = url, key
        self._client = redis.Redis.from_url(url, protocol=3, socket_timeout=60)

    def call(self, command: str, *arguments: Any) -> Any:
        return self._client.execute_command(f"WF.{command}", self.key, *arguments)

    def push(self, document: Document, *options: Any) -> str:
        return self.call("PUSH", json.dumps(document), *options).decode()

    def wait(self, workflow: str, milliseconds: int = 30_000) -> tuple[str, dict[str, bytes | None]]:
        """The state of a workflow that has ended, and the results of its final tasks."""
        (found,) = self.call("WAIT", workflow, "BLOCK", milliseconds)
        results = {name.decode(): result for name, result in found[b"results"].items()}
        return found[b"state"].decode(), results

    def states(self, workflow: str) -> dict[str, str]:
        """The state of each task by its name."""
        found = self.call("GET", workflow, "TASKS")
        return {task[b"name"].decode(): task[b"state"].decode() for task in found[b"tasks"]}

    @contextmanager
    def workers(self, handlers: Mapping[str, Handler], count: int = 4) -> Iterator[None]:
        """So many workers for the types of `handlers`, while the block runs."""
        stop = threading.Event()
        work = [threading.Thread(target=self._work, args=(f"worker-{n}", handlers, stop)) for n in range(count)]
        for thread in work:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in work:
                thread.join()

    def _work(self, name: str, handlers: Mapping[str, Handler], stop: threading.Event) -> None:
        space = Space(self.url, self.key)
        claim = ["CLAIM", name, "TYPES", len(handlers), *handlers, "COUNT", 16, "BLOCK", 100, "WITHRESULTS"]
        while not stop.is_set():
            for reply in space.call(*claim):
                job = Job(space, reply)
                try:
                    job.done(handlers[job.type](job))
                except Again as again:
                    space.call("FAIL", job.token, "ERROR", str(again), "RETRY", again.in_ms)
                except Exception as error:
                    space.call("FAIL", job.token, "ERROR", f"{type(error).__name__}: {error}")
