"""A task that fails twice and then succeeds, to be watched: what the worker says, what the server does.

    python retry.py --key jobs --id flaky-1

The worker says no more than that an attempt failed. That it is made again, and when, is decided by
the server from `max_attempts` and `backoff` of the task, whether anybody is connected or not.
"""

import argparse
import json
import logging
import sys
import time
from typing import Any

import redis

from producer import connect, push
from worker import Worker, rehearse

POLL_SECONDS = 0.05


def flaky(failures: int = 2, delay_ms: int = 800) -> dict[str, Any]:
    """A workflow whose first task fails so often and then succeeds; the second waits for that."""
    backoff = {"kind": "exponential", "delay_ms": delay_ms, "max_ms": 10 * delay_ms, "jitter": 0.1}
    return {
        "name": "flaky",
        "defaults": {"max_attempts": failures + 1, "backoff": backoff},
        "tasks": [
            {"name": "charge", "type": "net", "payload": {"fail": "connection reset", "fail_times": failures}},
            {"name": "receipt", "type": "mail", "parents": ["charge"]},
        ],
    }


class Watch:
    """Tells what happened to the tasks of a workflow since it was last asked."""

    def __init__(self, client: redis.Redis, key: str, workflow_id: str):
        self._client, self._key, self._id = client, key, workflow_id
        self._failures: dict[str, int] = {}
        self._ended: set[str] = set()

    def news(self) -> list[str]:
        found = self._client.execute_command("WF.GET", self._key, self._id, "TASKS")
        lines = []
        for task in found[b"tasks"]:
            name, state = task[b"name"].decode(), task[b"state"].decode()
            if task[b"failures"] > self._failures.get(name, 0):
                self._failures[name] = task[b"failures"]
                attempt = task[b"attempts"] - (state == "running")
                lines.append(f"{name}: attempt {attempt} failed: {task[b'error'].decode()}{self._next(task)}")
            if state in ("completed", "failed", "cancelled") and name not in self._ended:
                self._ended.add(name)
                count = task[b"attempts"]
                lines.append(f"{name}: {state} after {count} attempt{'' if count == 1 else 's'}")
        return [f"{self._id} {line}" for line in lines]

    def _next(self, task: dict[bytes, Any]) -> str:
        """When the next attempt is due, by the server's clock, which is the one that decides."""
        if task[b"due"] is None:
            return ""
        seconds, micros = self._client.time()
        return f"; again in {max(0, task[b'due'] - seconds * 1000 - micros // 1000)} ms"


def main() -> int:
    parser = argparse.ArgumentParser(description="Watch a task fail, wait and succeed.")
    parser.add_argument("--url", default="redis://127.0.0.1:6379")
    parser.add_argument("--key", default="jobs")
    parser.add_argument("--id", default=f"flaky-{time.time_ns()}")
    parser.add_argument("--failures", type=int, default=2)
    parser.add_argument("--delay-ms", type=int, default=800)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)

    client = connect(options.url)
    push(client, options.key, options.id, json.dumps(flaky(options.failures, options.delay_ms)))
    watch = Watch(client, options.key, options.id)
    worker = Worker(options.url, options.key, "retry-example", rehearse, ["net", "mail"], threads=1)
    worker.start()
    try:
        while True:
            found = client.execute_command("WF.GET", options.key, options.id)
            for line in watch.news():
                print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)
            if found[b"finished"] is not None:
                return 0 if found[b"state"] == b"completed" else 1
            time.sleep(POLL_SECONDS)
    finally:
        worker.drain()
        worker.join()


if __name__ == "__main__":
    sys.exit(main())
