"""Others beside the module: `make bench-peers`.

Each peer gets a server of its own and the same work, chains of ten tasks: first all are pushed, then
all are worked off. What a client library costs its client shows in tasks/s, what it asks of the
server in us a task, which is the processor time of both. Bytes are those of a pending task.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tests-py"))

from servers import MODULE, Server  # noqa: E402
from space import Space  # noqa: E402
from workflows import chain  # noqa: E402

CHAIN = 10
CELERY = HERE / ".venv/bin/python"
PATIENCE = 300


@dataclass(frozen=True)
class Peer:
    """Something that can push so many workflows to a server, and work them off; both say how long it took."""

    name: str
    module: bool
    workflows: int
    push: Callable[[Server, int], float]
    work: Callable[[Server, int], float]


def program(*words: str | Path) -> dict[str, Callable[[Server, int], float]]:
    """A program that is given push or work, the port, and the number of workflows."""

    def run(word: str, server: Server, workflows: int) -> float:
        command = [*words, word, str(server.port), str(workflows)]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode != 0:
            raise SystemExit(f"{words[-1]} {word}: {done.stderr}")
        return float(done.stdout)

    return {
        "push": lambda server, workflows: run("push", server, workflows),
        "work": lambda server, workflows: run("work", server, workflows),
    }


def push_from_python(server: Server, workflows: int) -> float:
    start = time.perf_counter()
    client = server.client()
    for first in range(0, workflows, 100):
        with client.pipeline(transaction=False) as pipeline:
            for number in range(first, min(first + 100, workflows)):
                document = chain(CHAIN)
                for place, task in enumerate(document["tasks"]):
                    task["payload"] = f"{number * CHAIN + place:07d}"
                pipeline.execute_command("WF.PUSH", "q", json.dumps(document))
            pipeline.execute()
    return time.perf_counter() - start


def work_from_python(count: int) -> Callable[[Server, int], float]:
    """Eight threads, `count` tasks a claim."""

    def loop(server: Server, name: str, left: list[int], lock: threading.Lock) -> None:
        space = Space(server.client(), "q")
        while left[0] > 0:
            tasks = space.claim(name, "COUNT", count)
            if tasks:
                space.complete(*(task.token for task in tasks))
                with lock:
                    left[0] -= len(tasks)

    def work(server: Server, workflows: int) -> float:
        left, lock = [workflows * CHAIN], threading.Lock()
        threads = [threading.Thread(target=loop, args=(server, f"w{n}", left, lock)) for n in range(8)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - start

    return work


PEERS = [
    Peer("BullMQ 6.7 flows (Node.js, 100 at a time)", False, 2_000, **program("node", "bullmq.mjs")),
    Peer("the module from Node.js, 100 loops, one task each", True, 10_000, **program("node", "ours.mjs")),
    Peer("Celery 5.7 chains (Python, 8 threads)", False, 300, **program(CELERY, "celery_chain.py")),
    Peer("the module from Python, 8 threads, one task each", True, 2_000, push_from_python, work_from_python(1)),
    Peer("the module from Python, 8 threads, 100 tasks each", True, 10_000, push_from_python, work_from_python(100)),
]


def measure(peer: Peer) -> str:
    """A line of the table."""
    server = Server("redis-7.0", module=MODULE if peer.module else None).start()
    try:
        client = server.client()
        tasks = peer.workflows * CHAIN

        def cpu() -> float:
            info = client.info("cpu")
            return info["used_cpu_user"] + info["used_cpu_sys"]

        memory, busy = client.info("memory")["used_memory"], cpu()
        pushing = peer.push(server, peer.workflows)
        bytes_each = (client.info("memory")["used_memory"] - memory) / tasks
        pushed = cpu() - busy
        working = peer.work(server, peer.workflows)
        busy = cpu() - busy
    finally:
        server.discard()
    speed = tasks / (pushing + working)
    each = 1e6 / tasks
    return f"| {peer.name} | {speed:,.0f} | {pushed * each:.1f} | {(busy - pushed) * each:.1f} | {bytes_each:,.0f} |"


def main() -> None:
    lines = [measure(peer) for peer in PEERS]
    print("| | tasks/s, push to completion | server us a task, push | server us a task, work | bytes a pending task |")
    print("|---|---|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
