"""The 13 recorded workflows, all at once, with workers that are slow, forgetful or die.

Every worker draws from its own seed how long a task takes and when it misbehaves: it drops what it
claimed, acknowledges after its lease has run out, repeats an acknowledgement, or dies between
sending it and reading the answer. At the end each task must have been accepted exactly once. The
result of a task is the token it was completed with, and WITHRESULTS hands the parents' results to
their children: so a child that was given a result by each parent ran after their completion.
"""

import json
import random
import threading
from collections import defaultdict

import pytest
import redis

from servers import Server
from space import Space, Task
from waiting import work_for
from workflows import Document, real_workflows

WORKERS = 12
LEASE_MS = 150
TaskName = tuple[str, str]


class Book:
    """What all workers saw, written down under one lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.accepted: dict[TaskName, list[str]] = defaultdict(list)
        self.unread: set[str] = set()
        self.parents_results: dict[TaskName, dict[str, bytes | None]] = {}
        self.errors: list[BaseException] = []
        self.deaths = self.stale = self.repeats = 0


class Worker(threading.Thread):
    """One worker; it lives on under a new name when it dies."""

    def __init__(self, server: Server, seed: int, book: Book, over: threading.Event):
        super().__init__(name=f"worker-{seed}")
        self._server, self._book, self._over = server, book, over
        self._random = random.Random(seed)
        self._speed = self._random.choice([0.0, 0.0005, 0.003])

    def run(self) -> None:
        life = 0
        try:
            while not self._over.is_set():
                space = Space(self._server.client(), "real")
                self._live(space, f"{self.name}.{life}")
                space.client.close()
                life += 1
        except BaseException as error:
            self._book.errors.append(error)
            self._over.set()

    def _live(self, space: Space, name: str) -> None:
        """Works until everything is done, or until it dies."""
        while not self._over.is_set():
            count = self._random.randint(1, 20)
            tasks = space.claim(name, "COUNT", count, "BLOCK", 20, "LEASE", LEASE_MS, "WITHRESULTS")
            for task in tasks:
                self._note_parents(task)
            work_for(self._random.random() * self._speed * len(tasks))
            fate = self._random.random()
            if fate < 0.02:
                self._book.deaths += 1
                return
            if fate < 0.03:
                work_for(LEASE_MS / 1000)
            if tasks and fate > 0.98:
                self._die_in_the_middle(space, tasks)
                return
            if tasks:
                self._acknowledge(space, tasks, again=fate > 0.9)

    def _note_parents(self, task: Task) -> None:
        with self._book.lock:
            known = self._book.parents_results.setdefault((task.workflow, task.name), task.results)
        assert known == task.results, "a later attempt is given what the first one was given"

    def _acknowledge(self, space: Space, tasks: list[Task], again: bool) -> None:
        arguments = [part for task in tasks for part in (task.token, "RESULT", task.token)]
        codes = space.complete(*arguments)
        with self._book.lock:
            for task, code in zip(tasks, codes, strict=True):
                assert code in (0, 1), f"{task} was answered {code}"
                self._book.stale += code == 0
                if code == 1:
                    self._book.accepted[task.workflow, task.name].append(task.token)
        if again:
            assert space.complete(*arguments) == [2 if code == 1 else 0 for code in codes]
            self._book.repeats += 1

    def _die_in_the_middle(self, space: Space, tasks: list[Task]) -> None:
        with self._book.lock:
            self._book.unread.update(task.token for task in tasks)
            self._book.deaths += 1
        connection: redis.Connection = space.client.connection_pool.get_connection()
        arguments = [part for task in tasks for part in (task.token, "RESULT", task.token)]
        connection.send_command("WF.COMPLETE", space.key, *arguments)
        connection.disconnect()


@pytest.mark.parametrize("seed", [1, 2])
def test_all_13_run_together_and_every_task_is_accepted_once(server: Server, seed: int) -> None:
    documents = real_workflows()
    assert len(documents) == 13
    space = Space(server.client(), "real")
    # Every result is looked at in the end.
    kept = {"defaults": {"keep_result": True}}
    ids = {space.push(json.dumps({**document, **kept})): document for document in documents}

    book, over = Book(), threading.Event()
    workers = [Worker(server, seed * 1000 + i, book, over) for i in range(WORKERS)]
    for worker in workers:
        worker.start()
    try:
        server.wait_until(
            lambda: over.is_set() or space.stats()["workflows"]["completed"] == 13, 90, "13 completed workflows"
        )
    finally:
        over.set()
        for worker in workers:
            worker.join(30)
    assert book.errors == []
    assert book.deaths > 0 and book.repeats > 0, "the workers were too well behaved to prove anything"
    for wid, document in ids.items():
        check_one(space, wid, document, book)


def check_one(space: Space, wid: str, document: Document, book: Book) -> None:
    """Each task of one workflow: accepted once, by the token it ended with, after its parents."""
    workflow = space.get(wid, "TASKS")
    assert workflow["state"] == "completed"
    assert workflow["counts"]["completed"] == workflow["size"] == len(document["tasks"])
    final = {task["name"]: task for task in workflow["tasks"]}
    for task in document["tasks"]:
        name = task["name"]
        token = final[name]["result"]
        accepted = book.accepted.get((wid, name), [])
        assert accepted == [token] or (accepted == [] and token in book.unread), f"{wid} {name}: {accepted}, {token}"
        given = book.parents_results[wid, name]
        assert given == {parent: final[parent]["result"].encode() for parent in task["parents"]}
        assert all(final[parent]["finished"] <= final[name]["started"] for parent in task["parents"])
