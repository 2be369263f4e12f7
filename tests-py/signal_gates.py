"""Workflows with a task that waits for a signal."""

from collections.abc import Callable
from typing import Any

from servers import Server
from space import Space, plain
from workflows import Document, task, workflow

Fresh = Callable[..., Server]


def gated(**fields: Any) -> Document:
    """draft -> approve, which waits for a signal -> publish"""
    approve = {"name": "approve", "parents": ["draft"], "signal": True, **fields}
    return workflow(task("draft"), approve, task("publish", ["approve"]))


def at_the_gate(jobs: Space, **fields: Any) -> str:
    """A workflow whose signal is waited for."""
    wid = jobs.push(gated(**fields))
    assert jobs.complete(jobs.claim_one("w").token) == [1]
    assert jobs.states(wid)["approve"] == "ready"
    return wid


def why(jobs: Space, wid: str, name: str = "approve") -> dict[str, Any]:
    return plain(jobs.call("WHY", wid, name))
