"""What clients saw: every call they made, when, and what came back, if anything did.

A call is *unknown* when the connection was lost before its answer: the server may have carried it
out or not. A call that was *refused* (a server that is loading, a replica, a full memory) changed
nothing. Times are seconds of the wall clock: `start` before the call was sent, `end` after its
answer was read or the connection was found to be lost.

A *history* is the stretch of one server's life in which it was the primary: within it nothing that
was acknowledged may be forgotten. Workers learn its name (the replication id) when they connect.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

TaskId = tuple[str, str]


@dataclass(frozen=True)
class Pushed:
    """A workflow was pushed under an id that is used once. `answered`: the server said it has it."""

    workflow: str
    parents: Mapping[str, tuple[str, ...]]
    start: float
    end: float
    answered: bool


@dataclass(frozen=True)
class Handed:
    """A task was handed to a worker under a lease that ends at `deadline`, in seconds."""

    token: str
    task: TaskId
    attempt: int
    deadline: float
    worker: str
    start: float
    end: float
    history: str


@dataclass(frozen=True)
class Settled:
    """A worker completed, failed, extended or gave back (`recover`) a lease. No `answer`: unknown."""

    kind: str
    token: str
    answer: int | None
    start: float
    end: float
    history: str
    lease: float = 0.0

    @property
    def accepted(self) -> bool:
        return self.answer is not None and self.answer > 0


@dataclass
class Record:
    """All that was seen. Threads add to it at the same time."""

    pushed: list[Pushed] = field(default_factory=list)
    handed: list[Handed] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)
    calls: int = 0
    reconnects: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def push(self, one: Pushed) -> None:
        with self._lock:
            self.pushed.append(one)
            self.calls += 1

    def hand(self, tasks: Iterable[Handed]) -> None:
        with self._lock:
            self.handed.extend(tasks)
            self.calls += 1

    def settle(self, settled: Iterable[Settled]) -> None:
        with self._lock:
            self.settled.extend(settled)
            self.calls += 1

    def surprise(self, what: str) -> None:
        """An answer that no fault explains."""
        with self._lock:
            self.surprises.append(what)
