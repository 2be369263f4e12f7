"""`make demo`: three workflows flow through a throwaway Redis, worked on by four workers.

One is a sample of four tasks, one a recorded run of a real astronomy pipeline (Montage, 103 tasks),
its run times shortened so that the whole takes some seconds. In the third a task fails twice and then
succeeds; the server puts each next attempt off for longer. Nothing is left behind: the server listens
on a free loopback port, lives in a temporary directory and ends with this program.
"""

import contextlib
import gzip
import json
import logging
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

from producer import connect, push
from retry import Watch, flaky
from worker import Worker, rehearse

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "target/release/libredisworkflow.so"
DATA = ROOT / "tests-py/data"
REAL = "montage-chameleon-2mass-01d-001"

KEY = "demo"
WORKERS = 4
THREADS = 2
LEASE_MS = 5_000
SECONDS = 5.0
GIVE_UP_SECONDS = 60.0
TABLE_ROWS = 16

Document = dict[str, Any]


def server_binary() -> str:
    """The server of the test matrix, or the one on the path."""
    ours = sorted((ROOT / ".servers").glob("*/redis-server"))
    found = str(ours[0]) if ours else shutil.which("redis-server")
    if found is None:
        sys.exit("no redis-server: run make deps")
    return found


@contextlib.contextmanager
def throwaway_server() -> Iterator[str]:
    """A Redis with the module on a free port; ended and removed on the way out. Gives its URL."""
    with tempfile.TemporaryDirectory(prefix="redis-workflow-demo-") as directory:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        log = Path(directory) / "server.log"
        arguments = ["--bind", "127.0.0.1", "--port", str(port), "--dir", directory, "--logfile", str(log)]
        arguments += ["--save", "", "--loadmodule", str(MODULE)]
        # A session of its own, so that Ctrl-C in the terminal reaches this program alone.
        process = subprocess.Popen(
            [server_binary(), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            url = f"redis://127.0.0.1:{port}"
            wait_for(process, url, log)
            yield url
        finally:
            process.kill()
            process.wait()


def wait_for(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Returns when the server answers."""
    deadline = time.monotonic() + 10
    with redis.Redis.from_url(url) as client:
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(redis.ConnectionError, redis.TimeoutError):
                client.ping()
                return
            time.sleep(0.02)
    sys.exit(f"the server did not start:\n{log.read_text() if log.exists() else ''}")


def real_workflow() -> Document:
    with gzip.open(DATA / "wfinstances.jsonl.gz", "rt") as lines:
        return next(document for document in map(json.loads, lines) if document["name"] == REAL)


def recorded_seconds(document: Document, slots: int) -> float:
    """How long the recorded run takes at least with `slots` threads: all its work, or its longest path."""
    ends: dict[str, float] = {}
    for task in document["tasks"]:
        start = max((ends[parent] for parent in task["parents"]), default=0.0)
        ends[task["name"]] = start + task["payload"]["runtime_s"]
    total = sum(task["payload"]["runtime_s"] for task in document["tasks"])
    return max(total / slots, *ends.values())


def watch(client: redis.Redis, ids: list[str]) -> bool:
    """Draws progress until every workflow has ended; true if all of them completed."""
    bar = ProgressBar()
    retries = Watch(client, KEY, "flaky")
    deadline = time.monotonic() + GIVE_UP_SECONDS
    while time.monotonic() < deadline:
        found = [client.execute_command("WF.GET", KEY, workflow_id) for workflow_id in ids]
        for line in retries.news():
            bar.say(line)
        done = sum(workflow[b"counts"].get(b"completed", 0) for workflow in found)
        running = sum(workflow[b"counts"].get(b"running", 0) for workflow in found)
        bar.draw(done, running, sum(workflow[b"size"] for workflow in found))
        if all(workflow[b"finished"] is not None for workflow in found):
            bar.close()
            return all(workflow[b"state"] == b"completed" for workflow in found)
        time.sleep(0.1)
    bar.close()
    return False


class ProgressBar:
    """One line that is redrawn on a terminal; elsewhere a plain line for each tenth."""

    WIDTH = 40

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._tenth = -1

    def draw(self, done: int, running: int, total: int) -> None:
        filled = self.WIDTH * done // total
        line = f"[{'#' * filled}{'.' * (self.WIDTH - filled)}] {done}/{total} tasks done, {running} running"
        if self._terminal:
            print(f"\r{line}\x1b[K", end="", flush=True)
        elif 10 * done // total > self._tenth:
            self._tenth = 10 * done // total
            print(line, flush=True)

    def say(self, line: str) -> None:
        """A line above the bar."""
        print(f"\r{line}\x1b[K" if self._terminal else line, flush=True)

    def close(self) -> None:
        if self._terminal:
            print()


def show_tasks(client: redis.Redis, workflow_id: str) -> None:
    """The tasks of a workflow with their states and times; the middle of a long one is left out."""
    found = client.execute_command("WF.GET", KEY, workflow_id, "TASKS")
    print(f"\n{workflow_id}: {found[b'state'].decode()}, {found[b'size']} tasks")
    print(f"  {'task':<28} {'type':<14} {'state':<10} {'waited ms':>9} {'ran ms':>7}")
    tasks = found[b"tasks"]
    left_out = len(tasks) - TABLE_ROWS if len(tasks) > TABLE_ROWS else 0
    head = TABLE_ROWS // 2 if left_out else len(tasks)
    for task in tasks[:head]:
        show_task(task)
    if left_out:
        print(f"  ... {left_out} more")
        for task in tasks[head + left_out :]:
            show_task(task)


def show_task(task: dict[bytes, Any]) -> None:
    def between(first: bytes, second: bytes) -> str:
        known = task[first] is not None and task[second] is not None
        return str(task[second] - task[first]) if known else "-"

    name, kind, state = (task[field].decode() for field in (b"name", b"type", b"state"))
    waited, ran = between(b"ready", b"started"), between(b"started", b"finished")
    print(f"  {name:<28.28} {kind or '(none)':<14.14} {state:<10} {waited:>9} {ran:>7}")


def show_stats(client: redis.Redis) -> None:
    """WF.STATS: what is not zero, and a line a type."""
    stats = client.execute_command("WF.STATS", KEY)
    print("\nWF.STATS")
    for group in (b"workflows", b"tasks"):
        counts = [f"{n} {state.decode()}" for state, n in stats[group].items() if n]
        print(f"  {group.decode()}: {', '.join(counts)}")
    print(f"  {'type':<14} {'completed':>9} {'wait p50':>9} {'wait p99':>9} {'run p50':>8} {'run p99':>8}  (ms)")
    for kind, counts in stats[b"types"].items():
        columns = [counts[f"{what}_ms".encode()] for what in ("wait_p50", "wait_p99", "run_p50", "run_p99")]
        wait50, wait99, run50, run99 = (column.decode() if isinstance(column, bytes) else column for column in columns)
        name = kind.decode() or "(none)"
        print(f"  {name:<14.14} {counts[b'completed']:>9} {wait50:>9} {wait99:>9} {run50:>8} {run99:>8}")


def main() -> int:
    if not MODULE.exists():
        sys.exit(f"{MODULE} does not exist: run make build")
    logging.basicConfig(level=logging.WARNING)
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(1))
    document = real_workflow()
    speed = recorded_seconds(document, WORKERS * THREADS) / SECONDS
    with throwaway_server() as url:
        client = connect(url)
        ids = ["flaky", "sample", "montage"]
        push(client, KEY, "flaky", json.dumps(flaky()))
        push(client, KEY, "sample", (DATA / "sample.json").read_text())
        push(client, KEY, "montage", json.dumps(document))
        print(f"pushed {', '.join(ids)} ({len(document['tasks'])} tasks, {speed:.0f} times as fast as recorded)")
        workers = [
            Worker(url, KEY, f"worker-{n}", lambda task: rehearse(task, speed), threads=THREADS, lease_ms=LEASE_MS)
            for n in range(1, WORKERS + 1)
        ]
        for worker in workers:
            worker.start()
        try:
            completed = watch(client, ids)
        finally:
            for worker in workers:
                worker.drain()
            for worker in workers:
                worker.join()
        for workflow_id in ids:
            show_tasks(client, workflow_id)
        show_stats(client)
    print("\nevery task completed" if completed else "\nnot every task completed")
    return 0 if completed else 1


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
