"""The Python examples as their users run them: processes that are told to stop, killed, restarted."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from servers import ROOT, Server
from space import Space
from workflows import Document, chain, diamond, single, task, workflow

EXAMPLES = ROOT / "client-examples/python"
ENDS_WITHIN = 20

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(server: Server, tmp_path: Path) -> Iterator[Start]:
    """Starts worker.py under a name; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def run(name: str, *options: str) -> subprocess.Popen[bytes]:
        arguments = ["--url", f"redis://127.0.0.1:{server.port}", "--key", "jobs", "--name", name, *options]
        with (tmp_path / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, EXAMPLES / "worker.py", *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
    for log in sorted(tmp_path.glob("*.log")):
        print(f"--- {log.name} ---\n{log.read_text()}")


def lasting(seconds: float, **fields: object) -> Document:
    return {"payload": {"runtime_s": seconds, **fields}}


def running(space: Space, wid: str, count: int = 1) -> Callable[[], bool]:
    return lambda: space.get(wid)["counts"].get("running", 0) == count


def in_state(space: Space, wid: str, state: str) -> Callable[[], bool]:
    return lambda: space.state(wid) == state


def test_producer_and_worker_run_a_workflow(server: Server, jobs: Space, start: Start, tmp_path: Path) -> None:
    (tmp_path / "diamond.json").write_text(json.dumps(diamond()))
    start("w")
    command = [sys.executable, EXAMPLES / "producer.py", "--url", f"redis://127.0.0.1:{server.port}"]
    command += ["--id", "once", tmp_path / "diamond.json", "--wait"]
    first, second = (
        subprocess.run(command, capture_output=True, text=True, timeout=ENDS_WITHIN, stdin=subprocess.DEVNULL)
        for _ in range(2)
    )
    assert (first.returncode, first.stdout) == (0, "once pushed\nonce completed\n"), first.stderr
    assert (second.returncode, second.stdout) == (0, "once was there already\nonce completed\n"), second.stderr
    assert jobs.tasks("once")["bottom"]["result"].startswith("done by pid")


def test_sigterm_finishes_what_runs_and_claims_no_more(server: Server, jobs: Space, start: Start) -> None:
    wid = jobs.push(chain(2, **lasting(1)))
    worker = start("w", "--block-ms", "60000")
    server.wait_until(running(jobs, wid), what="the first task to run")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(ENDS_WITHIN) == 0
    assert jobs.states(wid) == {"t0": "completed", "t1": "ready"}


def test_sigterm_ends_a_worker_that_waits_at_once(server: Server, jobs: Space, start: Start) -> None:
    worker = start("w", "--block-ms", "60000")
    server.wait_until(lambda: jobs.client.info("clients")["blocked_clients"] == 1, what="the worker to wait")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(ENDS_WITHIN) == 0


def test_a_killed_worker_takes_up_its_work_under_its_old_name(server: Server, jobs: Space, start: Start) -> None:
    wid = jobs.push(workflow(*(task(f"t{i}", **lasting(30)) for i in range(3))))
    worker = start("w", "--lease-ms", "600000")
    server.wait_until(running(jobs, wid, 3), what="all tasks to run")
    worker.kill()
    worker.wait()
    start("w", "--lease-ms", "600000", "--speed", "1000")
    server.wait_until(in_state(jobs, wid, "completed"), what="completion long before the leases end")
    assert [task["attempts"] for task in jobs.tasks(wid).values()] == [2, 2, 2]


def test_the_heartbeat_keeps_a_task_that_takes_many_leases(server: Server, jobs: Space, start: Start) -> None:
    wid = jobs.push(single(**lasting(3)))
    start("w", "--lease-ms", "900")
    server.wait_until(in_state(jobs, wid, "completed"), ENDS_WITHIN, "completion")
    assert jobs.tasks(wid)["only"]["attempts"] == 1


def test_a_task_that_raises_fails_with_its_text(server: Server, jobs: Space, start: Start) -> None:
    wid = jobs.push(single(**lasting(0, fail="disk full")))
    start("w")
    server.wait_until(in_state(jobs, wid, "failed"), what="failure")
    assert jobs.tasks(wid)["only"]["error"] == "RuntimeError: disk full"


def test_a_task_that_fails_is_tried_again(server: Server, jobs: Space, start: Start) -> None:
    wid = jobs.push(single(max_attempts=3, backoff={"delay_ms": 20}, **lasting(0, fail="not yet", fail_times=2)))
    start("w")
    server.wait_until(in_state(jobs, wid, "completed"), what="completion")
    seen = jobs.tasks(wid)["only"]
    assert (seen["attempts"], seen["failures"], seen["error"]) == (3, 2, None)


def test_the_retry_example_can_be_watched(server: Server, jobs: Space) -> None:
    command = [sys.executable, EXAMPLES / "retry.py", "--url", f"redis://127.0.0.1:{server.port}", "--id", "w"]
    command += ["--failures", "3", "--delay-ms", "150"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = [line.split(" ", 1)[1] for line in ended.stdout.splitlines()]
    for attempt, line in enumerate(told[:3], 1):
        assert re.fullmatch(rf"w charge: attempt {attempt} failed: .*connection reset; again in \d+ ms", line), told
    assert told[3:] == ["w charge: completed after 4 attempts", "w receipt: completed after 1 attempt"]


def test_a_worker_stops_what_its_workflow_no_longer_needs(server: Server, jobs: Space, start: Start) -> None:
    wid = jobs.push(workflow(task("long", **lasting(600)), task("bad", type="other")))
    start("w", "--types", "work", "--lease-ms", "600")
    server.wait_until(running(jobs, wid), what="the long task to run")
    assert jobs.fail(jobs.claim_one("me", "TYPES", 1, "other").token) == [1]
    server.wait_until(lambda: jobs.get(wid)["finished"], what="the long task to be stopped")
    assert "Stopped" in jobs.tasks(wid)["long"]["error"]


def test_a_lost_connection_is_made_again(server: Server, jobs: Space, start: Start) -> None:
    before = jobs.push(chain(2, **lasting(0.5)))
    start("w", "--block-ms", "60000")
    server.wait_until(running(jobs, before), what="the first task to run")
    jobs.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    server.wait_until(in_state(jobs, before, "completed"), what="completion over a new connection")
    after = jobs.push(single())
    server.wait_until(in_state(jobs, after, "completed"), what="a later workflow")


def test_the_demo_completes_and_cleans_up(flavour: str, tmp_path: Path) -> None:
    if flavour != "redis-7.0":
        pytest.skip("the demo brings its own server")
    ended = subprocess.run(
        [sys.executable, EXAMPLES / "demo.py"],
        capture_output=True,
        text=True,
        timeout=90,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "109/109 tasks done" in ended.stdout
    for attempt in (1, 2):
        assert re.search(rf"flaky charge: attempt {attempt} failed: .*; again in \d+ ms", ended.stdout), ended.stdout
    assert "flaky charge: completed after 3 attempts" in ended.stdout
    assert "every task completed" in ended.stdout
    assert list(tmp_path.iterdir()) == []
