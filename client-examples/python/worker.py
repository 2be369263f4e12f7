"""A worker worth copying: `Worker` claims tasks, runs them in threads and acknowledges them.

    python worker.py --key jobs --name host1-a --types etl,mail

What it takes care of:

- it claims in batches, never more than it has threads free, and waits on the server (BLOCK);
- a heartbeat extends the lease of everything it holds; when the server answers that a task was lost
  or should stop, the task's `stop` event is set;
- a task that raises fails with the error's text; the server tries it again if the task has attempts
  left (`max_attempts`, `backoff`). A handler that knows better raises `TryAgain` or `GiveUp`;
- an acknowledgement is repeated until the server has answered it: a repeat changes nothing;
- a CLAIM is never repeated by the client library: tasks of a claim whose reply was lost come back
  when their lease ends;
- `drain()` (on SIGTERM and SIGINT) claims no more and finishes what runs; a second signal leaves at
  once, and the leases free the tasks;
- on start it takes up again what a crashed worker of the same name held (WF.RECOVER ... RESUME).
  So a name belongs to one process at a time.
"""

import argparse
import contextlib
import itertools
import json
import logging
import os
import queue
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

log = logging.getLogger("worker")

ERROR_CHARACTERS = 2000
COMPLETED, REPEATED = 1, 2
FAILED, RETRIED = 1, 2
EXTENDED, PLEASE_STOP = 1, 2
NETWORK_ERRORS = (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError, redis.ReadOnlyError)


@dataclass
class Task:
    """One attempt of one task. A handler that runs long looks at `stop` now and then."""

    token: bytes
    workflow: str
    name: str
    type: str
    attempt: int
    payload: bytes
    input: bytes | None
    leased_until: float
    stop: threading.Event = field(default_factory=threading.Event)


Handler = Callable[[Task], bytes | str | None]


class Stopped(Exception):
    """Raised by a handler that ended early because `task.stop` was set."""


class GiveUp(Exception):
    """Raised by a handler that knows: another attempt would fail as well."""


class TryAgain(Exception):
    """Raised by a handler that knows when another attempt may succeed, whatever the backoff says."""

    def __init__(self, reason: str, in_ms: int):
        super().__init__(reason)
        self.in_ms = in_ms


class Worker:
    """Runs tasks of `types` (empty: of any type) with `handler` in `threads` threads."""

    def __init__(
        self,
        url: str,
        key: str,
        name: str,
        handler: Handler,
        types: Sequence[str] = (),
        threads: int = 4,
        lease_ms: int = 30_000,
        block_ms: int = 5_000,
    ):
        self._key, self._name, self._handler = key, name, handler
        self._types = ["TYPES", len(types), *types] if types else []
        self._lease_ms, self._block_ms = lease_ms, block_ms
        self._threads = threads
        # The client must not repeat a CLAIM by itself, and must wait longer than the server does.
        no_repeats = Retry(NoBackoff(), 0)
        self._claims = redis.Redis.from_url(
            url, retry=no_repeats, socket_timeout=block_ms / 1000 + 10, single_connection_client=True
        )
        self._calls = redis.Redis.from_url(url, retry=no_repeats, socket_timeout=max(lease_ms / 3000, 0.1))
        self._claims_id: int | None = None
        self._held: dict[bytes, Task] = {}
        self._changed = threading.Condition()
        self._draining = threading.Event()
        self._finished = threading.Event()
        # Held while the waiting claim is ended from outside, so that its connection is not closed meanwhile.
        self._unblocking = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=name)

    # For the owner of the worker

    def start(self) -> None:
        """Takes up what this name held before, then claims until `drain`."""
        self._thread.start()

    def drain(self) -> None:
        """Claims no more; `join` returns when what runs is done."""
        self._draining.set()
        with self._changed:
            self._changed.notify_all()

    def join(self, timeout: float | None = None) -> bool:
        """Waits for the worker's end; false if it still runs after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._thread.is_alive() and (deadline is None or time.monotonic() < deadline):
            if self._draining.is_set():
                self._end_the_waiting_claim()
            self._thread.join(0.05)
        return not self._thread.is_alive()

    # Claiming

    def _run(self) -> None:
        heartbeat = threading.Thread(target=self._heartbeat, name=f"{self._name}-heartbeat")
        heartbeat.start()
        try:
            with ThreadPoolExecutor(self._threads, thread_name_prefix=self._name) as pool:
                recover = ["WF.RECOVER", self._key, self._name, "RESUME", "LEASE", self._lease_ms]
                self._hand_out(pool, self._ask(recover))
                while (free := self._wait_for_a_free_thread()) > 0:
                    claim = ["WF.CLAIM", self._key, self._name, *self._types, "COUNT", free]
                    claim += ["BLOCK", self._block_ms, "LEASE", self._lease_ms]
                    self._hand_out(pool, self._ask(claim))
        finally:
            self._finished.set()
            heartbeat.join()
            with self._unblocking:
                self._claims_id = None
                self._claims.close()
                self._calls.close()

    def _wait_for_a_free_thread(self) -> int:
        """How many threads are free, at least one; 0 when the worker drains."""
        with self._changed:
            self._changed.wait_for(lambda: self._draining.is_set() or len(self._held) < self._threads)
            return 0 if self._draining.is_set() else self._threads - len(self._held)

    def _ask(self, command: list[object]) -> list[list]:
        """Sends a claim until it is answered. A lost reply is made up for by the lease, not here.

        Every error is waited out: a failover, a full server, a key that somebody has to put right.
        """
        for pause in backoff():
            if self._draining.is_set():
                break
            try:
                if self._claims_id is None:
                    self._claims_id = self._claims.client_id()
                return self._claims.execute_command(*command)
            except redis.RedisError as error:
                self._claims_id = None
                log.warning("%s: %s; again in %.1f s", command[0], error, pause)
                self._draining.wait(pause)
        return []

    def _hand_out(self, pool: ThreadPoolExecutor, replies: list[list]) -> None:
        until = time.monotonic() + self._lease_ms / 1000
        for token, workflow, name, kind, attempt, _deadline, payload, given in replies:
            task = Task(token, readable(workflow), readable(name), readable(kind), attempt, payload, given, until)
            with self._changed:
                self._held[token] = task
            pool.submit(self._work, task)

    def _end_the_waiting_claim(self) -> None:
        """Lets the server answer a CLAIM that is waiting, so that draining does not wait for BLOCK."""
        with self._unblocking, contextlib.suppress(redis.RedisError):
            if (client_id := self._claims_id) is not None:
                self._calls.execute_command("CLIENT", "UNBLOCK", client_id)

    # Working

    def _work(self, task: Task) -> None:
        """One task from claim to acknowledgement, in a thread of the pool."""
        try:
            try:
                result = self._handler(task)
                self._acknowledge(task, "WF.COMPLETE", *([] if result is None else ["RESULT", result]))
            except Exception as error:  # a refused result, for one too long, fails the task as well
                reason = f"{type(error).__name__}: {error}"[:ERROR_CHARACTERS]
                code = self._acknowledge(task, "WF.FAIL", "ERROR", reason, *how_to_go_on(error))
                if code == RETRIED:
                    log.info("%s %s will be tried again: %s", task.workflow, task.name, reason)
                elif code == FAILED:
                    log.warning("%s %s failed: %s", task.workflow, task.name, reason)
        except Exception:
            log.exception("%s %s could not be acknowledged; its lease will free it", task.workflow, task.name)
        finally:
            with self._changed:
                del self._held[task.token]
                self._changed.notify_all()

    def _acknowledge(self, task: Task, command: str, *options: object) -> int:
        """Sends the acknowledgement until it is answered; a repeat by the same token is harmless.

        Only a worker that drains gives up, when the lease is over and the server still away.
        """
        for pause in backoff():
            try:
                (code,) = self._calls.execute_command(command, self._key, task.token, *options)
            except NETWORK_ERRORS as error:
                if self._draining.is_set() and time.monotonic() > task.leased_until:
                    raise
                log.warning("%s: %s; again in %.1f s", command, error, pause)
                time.sleep(pause)
                continue
            if code not in (COMPLETED, REPEATED):
                log.warning("%s %s came too late: another attempt counts", task.workflow, task.name)
            return code
        raise AssertionError("the pauses do not end")

    # The heartbeat

    def _heartbeat(self) -> None:
        """Extends every lease three times before it would end, and passes on what the server says."""
        while not self._finished.wait(self._lease_ms / 3000):
            with self._changed:
                tasks = list(self._held.values())
            if not tasks:
                continue
            asked = time.monotonic()
            try:
                tokens = [task.token for task in tasks]
                codes = self._calls.execute_command("WF.EXTEND", self._key, self._lease_ms, *tokens)
            except redis.RedisError as error:
                log.warning("heartbeat: %s", error)
                for task in tasks:
                    if task.leased_until < time.monotonic():
                        task.stop.set()
                continue
            for task, code in zip(tasks, codes, strict=True):
                if code in (EXTENDED, PLEASE_STOP):
                    task.leased_until = asked + self._lease_ms / 1000
                if code != EXTENDED:
                    task.stop.set()


def readable(name: bytes) -> str:
    return name.decode(errors="backslashreplace")


def how_to_go_on(error: Exception) -> list[object]:
    """What WF.FAIL is told of the next attempt. Nothing: the task's own backoff decides."""
    if isinstance(error, TryAgain):
        return ["RETRY", error.in_ms]
    return ["NORETRY"] if isinstance(error, GiveUp) else []


def backoff() -> Iterator[float]:
    """Pauses that grow from 50 ms to 5 s, each a little random so that workers do not come as one."""
    for attempt in itertools.count():
        yield min(5.0, 0.05 * 2 ** min(attempt, 10)) * random.uniform(0.5, 1.0)


def rehearse(task: Task, speed: float = 1.0) -> bytes:
    """The handler of this example: takes the payload's `runtime_s`, fails if it has a `fail` text, with
    `fail_times` only so often.

    Yours does the work instead. A long one looks at `task.stop`, and ends early when it is set.
    """
    wanted = {}
    with contextlib.suppress(ValueError):
        parsed = json.loads(task.payload or b"{}")
        wanted = parsed if isinstance(parsed, dict) else {}
    if task.stop.wait(float(wanted.get("runtime_s", 0)) / speed):
        raise Stopped("told to stop")
    if "fail" in wanted and task.attempt <= wanted.get("fail_times", task.attempt):
        raise RuntimeError(wanted["fail"])
    return f"done by pid {os.getpid()}".encode()


def main() -> int:
    parser = argparse.ArgumentParser(description="Work on the tasks of a space.")
    parser.add_argument("--url", default="redis://127.0.0.1:6379")
    parser.add_argument("--key", default="jobs")
    parser.add_argument("--name", default=socket.gethostname(), help="one process at a time may use it")
    parser.add_argument("--types", default="", help="comma separated; without it, any type")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--lease-ms", type=int, default=30_000)
    parser.add_argument("--block-ms", type=int, default=5_000)
    parser.add_argument("--speed", type=float, default=1.0, help="how much faster than recorded to rehearse")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")

    # SimpleQueue.put is one of the few things that a signal handler may safely do.
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: signals.put(received))

    worker = Worker(
        options.url,
        options.key,
        options.name,
        lambda task: rehearse(task, options.speed),
        [kind for kind in options.types.split(",") if kind],
        options.threads,
        options.lease_ms,
        options.block_ms,
    )
    worker.start()
    log.info("%s works on %s", options.name, options.key)
    while signals.empty():
        if worker.join(0.1):
            return 1
    log.info("draining: %s finishes what it holds", options.name)
    worker.drain()
    signals.get()
    while not worker.join(0.1):
        if not signals.empty():
            log.warning("left at once; leases free what was running")
            os._exit(1)
    log.info("drained")
    return 0


if __name__ == "__main__":
    sys.exit(main())
