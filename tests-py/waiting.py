"""The one place where a test lets time pass: waiting for a condition, and pretending to work."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.01


def eventually(
    predicate: Callable[[], T], timeout: float = 10, what: str = "the condition", every: float = POLL_SECONDS
) -> T:
    """Calls `predicate` until what it returns is true, and returns that.

    An AssertionError inside counts as "not yet"; the last one is shown when time is up.
    """
    deadline = time.monotonic() + timeout
    refusal: AssertionError | None = None
    while True:
        try:
            value = predicate()
            refusal = None
            if value:
                return value
        except AssertionError as not_yet:
            refusal = not_yet
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not hold within {timeout} s") from refusal
        time.sleep(every)


def now_ms() -> int:
    """The clock of the wall, as servers of this machine read it."""
    return time.time_ns() // 1_000_000


def work_for(seconds: float) -> None:
    """What a worker of a test does with a task: take time."""
    time.sleep(seconds)
