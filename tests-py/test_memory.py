"""The memory budget: bytes a task by used_memory, which is the same wherever the allocator is."""

import json
from collections.abc import Callable

import pytest

from servers import Server
from space import Space
from workflows import Document, task

WORKFLOWS = 100_000
TASKS = 10
MEGABYTE = 1 << 20

PENDING_EQUAL_SHAPES = 18
PENDING_NAMES_OF_ITS_OWN = 64
COMPLETED_WITH_TIMES = 32
RDB = 12


def chain(number: int, prefix: str) -> Document:
    """Ten tasks in a row, each with a payload of 7 bytes of its own."""
    tasks = []
    for place in range(TASKS):
        parents = [f"{prefix}t{place - 1}"] if place else []
        payload = f"{(number * TASKS + place) % 10_000_000:07d}"
        tasks.append(task(f"{prefix}t{place}", parents, payload=payload))
    return {"tasks": tasks}


def used(server: Server) -> int:
    """Without what clients hold: a pipeline's buffer of a megabyte would be a byte a task."""
    memory = server.client().info("memory")
    return memory["used_memory"] - memory["mem_clients_normal"]


def push(space: Space, prefix: Callable[[int], str]) -> None:
    for start in range(0, WORKFLOWS, 1_000):
        with space.client.pipeline(transaction=False) as pipeline:
            for number in range(start, start + 1_000):
                pipeline.execute_command("WF.PUSH", space.key, json.dumps(chain(number, prefix(number))))
            pipeline.execute()


def work_off(space: Space) -> None:
    while tasks := space.claim("w", "COUNT", 1_000):
        space.complete(*(done.token for done in tasks))


def delete(space: Space) -> None:
    for start in range(1, WORKFLOWS + 1, 1_000):
        space.client.execute_command("WF.DELETE", space.key, *range(start, start + 1_000))


def check_usage(space: Space, before: int, server: Server) -> None:
    """MEMORY USAGE counts what is in the space, and not what the allocator rounds it up to."""
    usage = space.client.memory_usage(space.key)
    assert 0.85 <= usage / (used(server) - before) <= 1.02


def rdb_bytes(server: Server) -> int:
    server.client().save()
    return (server.directory / "dump.rdb").stat().st_size


@pytest.fixture
def measured(fresh_server: Callable[..., Server]) -> Server:
    server = fresh_server()
    if not str(server.client().info("memory")["mem_allocator"]).startswith("jemalloc"):
        pytest.skip("the budget is in size classes of jemalloc")
    return server


@pytest.mark.timeout(180)
def test_equal_shapes_pending_completed_and_gone(measured: Server) -> None:
    space = Space(measured.client(), "jobs")
    before = used(measured)
    push(space, lambda _: "")
    assert (used(measured) - before) / WORKFLOWS / TASKS <= PENDING_EQUAL_SHAPES
    check_usage(space, before, measured)
    assert rdb_bytes(measured) / WORKFLOWS / TASKS <= RDB
    work_off(space)
    assert space.stats()["workflows"]["completed"] == WORKFLOWS
    assert (used(measured) - before) / WORKFLOWS / TASKS <= COMPLETED_WITH_TIMES
    check_usage(space, before, measured)
    delete(space)
    assert used(measured) - before <= MEGABYTE


@pytest.mark.timeout(180)
def test_names_of_its_own_pending_and_gone(measured: Server) -> None:
    space = Space(measured.client(), "jobs")
    before = used(measured)
    push(space, lambda number: f"w{number}-")
    assert (used(measured) - before) / WORKFLOWS / TASKS <= PENDING_NAMES_OF_ITS_OWN
    check_usage(space, before, measured)
    delete(space)
    assert used(measured) - before <= MEGABYTE
