"""Workflow documents to push: small shapes made to order, and recorded ones from tests-py/data."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parent / "data"

Document = dict[str, Any]


def task(name: str, parents: Iterable[str] = (), **fields: Any) -> Document:
    """One task of type `work`, if `fields` do not say otherwise."""
    return {"name": name, "type": "work", "parents": list(parents), **fields}


def workflow(*tasks: Document, name: str = "test", **fields: Any) -> Document:
    return {"name": name, "tasks": list(tasks), **fields}


def single(name: str = "only", **fields: Any) -> Document:
    """A workflow of one task."""
    return workflow(task(name, **fields))


def loose(count: int, **fields: Any) -> Document:
    """`count` tasks without edges: t0, t1, ..."""
    return workflow(*(task(f"t{i}", **fields) for i in range(count)))


def chain(length: int, **fields: Any) -> Document:
    """t0 -> t1 -> ..."""
    return workflow(*(task(f"t{i}", [f"t{i - 1}"] if i else [], **fields) for i in range(length)))


def diamond() -> Document:
    """top -> left and right -> bottom"""
    return workflow(task("top"), task("left", ["top"]), task("right", ["top"]), task("bottom", ["left", "right"]))


def fan(width: int) -> Document:
    """root -> leaf0, leaf1, ..."""
    return workflow(task("root"), *(task(f"leaf{i}", ["root"]) for i in range(width)))


def join(width: int) -> Document:
    """root0, root1, ... -> end"""
    return workflow(*(task(f"root{i}") for i in range(width)), task("end", [f"root{i}" for i in range(width)]))


def sample_text() -> str:
    """The four-task sample in the document format of the module's ancestor, exactly as it is."""
    return (DATA / "sample.json").read_text()


def real_workflows() -> list[Document]:
    """The 13 recorded workflows; see data/README.md for where they come from."""
    with gzip.open(DATA / "wfinstances.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]
