"""What one worker of a crowd does with the tasks it is given, well or badly."""

import time
from random import Random
from typing import Any

from record import Handed, Record, Settled
from space import read_task, text
from voice import LOST, Refused, Voice


class Worker:
    """One worker: what it holds and what it does with it."""

    def __init__(self, voice: Voice, record: Record, key: str, name: str, rng: Random, lease_ms: int, block_ms: int):
        self._voice, self._record, self._key, self._name, self._rng = voice, record, key, name, rng
        self._lease_ms, self._block_ms = lease_ms, block_ms
        self._kept: list[str] = []

    def turn(self, good: bool) -> None:
        tokens = self._claim(1 if good else self._rng.choice((1, 1, 2, 5)))
        if good:
            kept, self._kept = self._kept, []
            for token in [*kept, *tokens]:
                self._complete(token)
            return
        if self._kept and self._rng.random() < 0.3:
            self._complete(self._kept.pop(0))
        for token in tokens:
            self._treat(token)

    def _claim(self, count: int) -> list[str]:
        start = time.time()
        call = ["WF.CLAIM", self._key, self._name, "COUNT", count, "BLOCK", self._block_ms, "LEASE", self._lease_ms]
        return self._handed(self._voice.call(*call), start)

    def _handed(self, reply: list[Any], start: float) -> list[str]:
        end, tasks = time.time(), [read_task(task) for task in reply]
        self._record.hand(
            Handed(
                task.token,
                (task.workflow, task.name),
                task.attempt,
                task.deadline / 1000,
                self._name,
                start,
                end,
                self._voice.history,
            )
            for task in tasks
        )
        return [task.token for task in tasks]

    def _treat(self, token: str) -> None:
        lot = self._rng.random()
        if lot < 0.66:
            self._complete(token)
        elif lot < 0.72:
            self._complete(token)
            self._complete(token)
        elif lot < 0.80:
            self._ask("fail", token, "WF.FAIL", self._key, token, "ERROR", "as it happens", "RETRY", 1)
        elif lot < 0.86:
            lease = 2 * self._lease_ms
            self._ask("extend", token, "WF.EXTEND", self._key, lease, token, lease=lease / 1000)
            self._complete(token)
        elif lot < 0.92:
            self._kept.append(token)  # Completed in its time, or after its lease.
        elif lot < 0.95:
            self._recover()
        elif lot < 0.98:
            self._voice.hang_up()  # It never hears of its task again.
        # Else it forgets the task.

    def _complete(self, token: str) -> None:
        self._ask("complete", token, "WF.COMPLETE", self._key, token, "RESULT", f"by {self._name}")

    def _recover(self) -> None:
        """What it held goes back, as after a restart."""
        start = time.time()
        held = [one.token for one in list(self._record.handed) if one.worker == self._name]
        answer = None
        try:
            reply = self._voice.call("WF.RECOVER", self._key, self._name)
            held, answer = [text(token) for token in reply], 1
        except Refused:
            held = []
            raise
        finally:
            end, history = time.time(), self._voice.history
            self._record.settle(Settled("recover", token, answer, start, end, history) for token in held)

    def _ask(self, kind: str, token: str, *call: Any, lease: float = 0.0) -> None:
        """Settles a token and records what came of it, unless it was refused."""
        start, answer = time.time(), None
        try:
            (answer,) = self._voice.call(*call)
        except LOST:
            self._settled(kind, token, None, start, lease)
            raise
        self._settled(kind, token, answer, start, lease)

    def _settled(self, kind: str, token: str, answer: int | None, start: float, lease: float) -> None:
        self._record.settle([Settled(kind, token, answer, start, time.time(), self._voice.history, lease)])
