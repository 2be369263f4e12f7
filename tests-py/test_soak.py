"""What comes and goes leaves nothing behind: memory is where it was after many rounds of work.

A round pushes workflows of equal and of own shapes, works some off, fails and cancels some, lets clients
wait and be served, unblocked, or vanish, saves, copies, and removes it all. `WF_SOAK=n` does n times as
many rounds, each five times as large.
"""

import json
from collections.abc import Callable

import pytest

from blocked import Queue
from remains import FACTOR, QUIET, used
from servers import Server
from space import Space
from workflows import Document, chain, diamond, loose

ROUNDS = 8 * max(FACTOR, 1)
# As many as one WF.CLAIM hands out.
WORKFLOWS = 10_000 if FACTOR else 2_000
# Buffers that the module and the server keep are full after so many rounds.
WARM = 3
# What may be left of a round: hash tables shrink late, pages are filled differently.
SPARE = 128 * 1024


def document(number: int) -> Document:
    kind = number % 4
    if kind == 0:
        return chain(5)
    if kind == 1:
        return diamond()
    if kind == 2:
        return loose(3, max_attempts=2, timeout_ms=60_000)
    return {"name": f"own {number}", "tasks": [{"name": f"only {number}", "type": f"type {number % 50}"}]}


def work(space: Space, number: int) -> None:
    for start in range(0, WORKFLOWS, 500):
        with space.client.pipeline(transaction=False) as pipeline:
            for place in range(start, start + 500):
                pipeline.execute_command("WF.PUSH", space.key, json.dumps(document(place)), "ID", f"{number}-{place}")
            pipeline.execute()
    tasks = space.claim("worker", "COUNT", WORKFLOWS)
    half = len(tasks) // 2
    space.complete(*(word for task in tasks[:half] for word in (task.token, "RESULT", "r" * 40)))
    space.fail(*(word for task in tasks[half : half + half // 2] for word in (task.token, "ERROR", "e" * 40)))
    space.call("CANCEL", *(f"{number}-{place}" for place in range(0, WORKFLOWS, 7)), "REASON", "why not")
    space.call("PAUSE", "ALL")
    space.call("RELEASE", "ALL")


def wait(server: Server, space: Space) -> None:
    """Clients that are served, unblocked, killed, and that vanish."""
    queue = Queue(server, "empty")
    waiters = queue.joins(8)
    Space(space.client, "empty").push(loose(2))
    space.client.client_unblock(waiters[2].id)
    space.client.client_unblock(waiters[3].id, error=True)
    space.client.client_kill_filter(_id=waiters[4].id)
    for waiter in waiters[5:]:
        waiter.vanish()
    queue.wait_until_blocked(0)
    for waiter in waiters:
        waiter.vanish()
    server.close_clients()


def free(server: Server, key: str) -> None:
    """Removes a key, and waits until nothing is left to be freed."""
    client = server.client()
    client.unlink(key)
    server.wait_until(lambda: client.info("memory")["lazyfree_pending_objects"] == 0, what="freeing")


@pytest.mark.timeout(120 * max(FACTOR, 1))
@pytest.mark.parametrize("how", ["WF.DELETE", "DEL", "UNLINK", "FLUSHALL"])
def test_what_goes_leaves_nothing_behind(fresh_server: Callable[..., Server], how: str) -> None:
    server = fresh_server(*QUIET)
    if not str(server.client().info("memory")["mem_allocator"]).startswith("jemalloc"):
        pytest.skip("this server counts memory differently")
    left: list[int] = []
    for number in range(ROUNDS):
        space = Space(server.client(), "soak")
        work(space, number)
        space.client.copy("soak", "copied")
        space.client.execute_command("DEBUG", "RELOAD")
        if how == "WF.DELETE":
            for start in range(0, WORKFLOWS, 1_000):
                space.call("DELETE", *(f"{number}-{place}" for place in range(start, start + 1_000)))
            space.client.delete("copied")
        elif how == "FLUSHALL":
            space.client.execute_command("FLUSHALL", "ASYNC")
        else:
            space.client.execute_command(how, "soak", "copied")
        wait(server, space)
        free(server, "empty")
        left.append(used(server.client()))
    assert max(left[WARM:]) - left[WARM] <= SPARE, f"used_memory after each round: {left}"
