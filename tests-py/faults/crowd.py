"""A crowd of clients under faults: some push workflows, some work on them, all come back when their
connection is lost, and everything they saw is recorded.

Workers are of mixed virtue: they complete at once, twice, late, after their lease, or never; they fail
tasks, extend leases, hang up with a reply on its way, and recover what they held. When the faults stop
they are told to be good, and then everything must come to its end.
"""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import redis

from judge import Final, Rules, judge, verdict
from record import Pushed, Record
from space import Space
from voice import LOST, Refused, Voice, Where
from waiting import eventually, work_for
from worker import Worker
from workflows import Document, chain, diamond, fan, join, loose

# So many attempts that no fault of a test uses them up.
PATIENCE = {"max_attempts": 60_000, "max_deliveries": 60_000, "backoff": {"kind": "fixed", "delay_ms": 5}}

SHAPES: tuple[Document, ...] = (chain(3), diamond(), fan(4), join(5), loose(2))


@dataclass(frozen=True)
class Plan:
    """Who there is and what they do."""

    seed: int
    keys: tuple[str, ...] = ("jobs",)
    workers: int = 6
    pushers: int = 2
    lease_ms: int = 400
    block_ms: int = 100
    # How long one who was told to be good may take to end everything.
    patience: float = 40.0
    # Seconds between two pushes of a pusher.
    pace: float = 0.01


class Crowd:
    """The clients of one or several spaces. Use as a context; `finish` judges."""

    def __init__(self, plan: Plan, where: Where | dict[str, Where]):
        self.plan = plan
        self.record = Record()
        self._where = where if isinstance(where, dict) else dict.fromkeys(plan.keys, where)
        self._pushing, self._virtue, self._stop = threading.Event(), threading.Event(), threading.Event()
        self._pushing.set()
        self._failures: list[BaseException] = []
        # What was there in the end, once `finish` has looked.
        self.result: Final | None = None
        self.rules = Rules()
        seeds = Random(plan.seed)
        self._threads = [
            threading.Thread(target=self._run, args=(body, f"{name}-{number}", seeds.randrange(1 << 32)), daemon=True)
            for name, body, count in (("worker", self._work, plan.workers), ("pusher", self._push, plan.pushers))
            for number in range(count)
        ]

    def __enter__(self) -> "Crowd":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    # What a test asks

    def done(self) -> int:
        """Completions that were accepted so far: a measure of how far the crowd has come."""
        return sum(one.kind == "complete" and one.accepted for one in list(self.record.settled))

    def wait_for_progress(self, tasks: int = 5, timeout: float = 30) -> None:
        """Returns once so many more tasks were completed."""
        goal = self.done() + tasks
        eventually(lambda: self.done() >= goal or self._failures, timeout, f"{tasks} more tasks to be completed")

    def be_good(self) -> None:
        """No more work comes; workers take what there is and complete it."""
        self._pushing.clear()
        self._virtue.set()

    def finish(self, rules: Rules = Rules()) -> Final:
        """Waits until everything has ended, and judges what was seen."""
        self.be_good()
        eventually(self._ended, self.plan.patience, "everything to end", every=0.1)
        self._stop.set()
        for thread in self._threads:
            thread.join(20)
        assert not self._failures, self._failures
        self.result, self.rules = self._final(), rules
        violations = judge(self.record, self.result, rules)
        assert not violations, verdict(violations)
        assert self.done() > 0, "nobody did anything"
        return self.result

    def _final(self) -> Final:
        """What is there: each workflow with the states of its tasks."""
        found: dict[str, dict[str, str]] = {}
        for key in self.plan.keys:
            space = self._space(key)
            for pushed in self.record.pushed:
                if pushed.workflow.startswith(f"{key}/") and space.call("GET", pushed.workflow) is not None:
                    found[pushed.workflow] = space.states(pushed.workflow)
        return found

    def _space(self, key: str) -> Space:
        host, port = self._where[key]()
        return Space(redis.Redis(host=host, port=port, protocol=3, socket_timeout=10), key)

    def _ended(self) -> bool:
        if self._failures:
            return True
        try:
            for key in self.plan.keys:
                reply = self._space(key).call("STATS")
                tasks = {} if reply is None else reply[b"tasks"]
                if any(tasks.get(state, 0) for state in (b"waiting", b"delayed", b"ready", b"running")):
                    return False
        except (redis.RedisError, OSError):
            return False
        return True

    # Threads

    def _run(self, body: Callable[[str, Random], None], name: str, seed: int) -> None:
        try:
            body(name, Random(seed))
        except Refused:
            pass
        except BaseException as failure:
            self._failures.append(failure)

    def _push(self, name: str, rng: Random) -> None:
        key = rng.choice(self.plan.keys)
        voice = Voice(self._where[key], self.record, self._stop)
        number = 0
        while self._pushing.is_set() and not self._stop.is_set():
            number += 1
            document = {**rng.choice(SHAPES), "defaults": PATIENCE}
            parents = {task["name"]: tuple(task["parents"]) for task in document["tasks"]}
            self._push_one(voice, key, f"{key}/{name}-{number}", document, parents)
            work_for(self.plan.pace)
            if len(self.plan.keys) > 1 and rng.random() < 0.05:
                key = rng.choice(self.plan.keys)
                voice.hang_up()
                voice = Voice(self._where[key], self.record, self._stop)

    def _push_one(self, voice: Voice, key: str, wid: str, document: Document, parents: dict[str, Any]) -> None:
        """Pushed until the server says that it has it: NX makes that safe. Or given up."""
        start, sent = time.time(), False
        while not self._stop.is_set():
            try:
                voice.call("WF.PUSH", key, json.dumps(document), "ID", wid, "NX")
                return self.record.push(Pushed(wid, parents, start, time.time(), answered=True))
            except Refused:
                pass
            except LOST:
                sent = True
            if not self._pushing.is_set():
                break
        if sent:
            self.record.push(Pushed(wid, parents, start, time.time(), answered=False))

    def _work(self, name: str, rng: Random) -> None:
        key = self.plan.keys[int(name.rsplit("-", 1)[1]) % len(self.plan.keys)]
        voice = Voice(self._where[key], self.record, self._stop)
        worker = Worker(voice, self.record, key, name, rng, self.plan.lease_ms, self.plan.block_ms)
        while not self._stop.is_set():
            try:
                worker.turn(good=self._virtue.is_set())
            except (Refused, *LOST):
                pass
        voice.hang_up()
