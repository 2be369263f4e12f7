"""Celery: `python celery_chain.py push|work <port> <workflows>`. Prints how many seconds it took.

Its fastest way is taken: no results are kept, and one worker runs tasks in threads. A chain travels
as one message that carries the rest of itself along.
"""

import os
import sys
import threading
import time

from celery import Celery, chain

CHAIN = 10
THREADS = 8

word, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
app = Celery("peer", broker=f"redis://127.0.0.1:{port}/0")
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=100, worker_redirect_stdouts=False)


class Progress:
    """Counts tasks and says when the first began and the last ended."""

    def __init__(self, tasks: int):
        self._left = tasks
        self._lock = threading.Lock()
        self.began = 0.0
        self.seconds = 0.0
        self.over = threading.Event()

    def one(self) -> None:
        with self._lock:
            self.began = self.began or time.perf_counter()
            self._left -= 1
            if self._left == 0:
                self.seconds = time.perf_counter() - self.began
                self.over.set()


progress = Progress(count * CHAIN)


@app.task(name="t")
def work_on(payload: str) -> None:
    progress.one()


def push() -> float:
    start = time.perf_counter()
    for workflow in range(count):
        tasks = [work_on.si(f"{workflow * CHAIN + task:07d}") for task in range(CHAIN)]
        chain(*tasks).apply_async()
    return time.perf_counter() - start


def work() -> float:
    worker = app.Worker(pool="threads", concurrency=THREADS, loglevel="ERROR", quiet=True)
    threading.Thread(target=worker.start, daemon=True).start()
    if not progress.over.wait(300):
        raise SystemExit("the chains did not end")
    return progress.seconds


print(push() if word == "push" else work(), flush=True)
# The worker runs in a thread and has no need to say goodbye.
os._exit(0)
