"""What is left in a server from which everything was removed: for tests that nothing stays behind."""

import os
from collections.abc import Callable

import redis

from servers import Server

# `make soak FACTOR=n`: how long to go on; 0 in `make test`.
FACTOR = int(float(os.environ.get("WF_SOAK") or 0))

# What the server notes down about commands: slow ones with their words, and 24 KB of latencies for each.
QUIET = ("slowlog-max-len 0", "latency-tracking no")


def used(control: redis.Redis) -> int:
    """`used_memory` without what the server holds for the clients that are connected."""
    memory = control.info("memory")
    return memory["used_memory"] - memory["mem_clients_normal"]


def counted(control: redis.Redis) -> dict[str, int]:
    """What the module says is there: spaces, workflows, tasks, waiting clients, bytes."""
    info = control.info("workflow")
    gauges = ("spaces", "workflows_", "tasks_", "definitions", "waiting_", "awaiting_", "memory_")
    named = {name.removeprefix("workflow_"): value for name, value in info.items()}
    return {name: value for name, value in named.items() if value and name.startswith(gauges)}


class Remains:
    """`used_memory` of a server each time it is empty, first when nothing has happened yet, and what the
    process takes from the system."""

    # What it keeps once it has worked: the server eight clients of its own for modules, 17 KB each, and the
    # module some buffers.
    KEPT = 512 * 1024
    # What may come later than that.
    SPARE = 64 * 1024
    SPARE_RESIDENT = 32 << 20

    def __init__(self, server: Server, control: redis.Redis, first: int):
        """After so many looks all that can happen has happened once."""
        self._server = server
        self._control = control
        self._first = first
        self.used = [used(control)]
        self.resident: list[int] = []

    def look(self, after: str) -> None:
        """Waits until it is where it was. The server frees in the background, and keeps what it had for
        blocked clients for a second."""
        self._wait(lambda: self._control.info("memory")["lazyfree_pending_objects"] == 0, "freeing")
        self._wait(lambda: counted(self._control) == {}, "nothing counted")
        self._wait(self._is_where_it_was, f"used_memory where it was before {after}")
        self.resident.append(self._control.info("memory")["used_memory_rss"])
        assert self.resident[-1] <= max(self.resident[: self._first]) + self.SPARE_RESIDENT, self.resident

    def __str__(self) -> str:
        return f"used_memory {self.used}, of the process {self.resident}"

    def _wait(self, predicate: Callable[[], bool], what: str) -> None:
        self._server.wait_until(predicate, 20, what)

    def _is_where_it_was(self) -> bool:
        now, first = used(self._control), self.used[1 : 1 + self._first]
        most = max(first) + self.SPARE if len(first) == self._first else self.used[0] + self.KEPT
        assert now <= most, f"used_memory is {now:,}, more than {most:,}; it was {self.used}"
        self.used.append(now)
        return True
