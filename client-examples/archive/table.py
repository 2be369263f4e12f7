"""The two tables, and how a workflow as WF.GET shows it becomes rows.

Ids, errors and results are any bytes, which PostgreSQL keeps as bytea. Names are for people: what is no
UTF-8, or a NUL, is escaped.
"""

from dataclasses import dataclass
from typing import Any

import psycopg

# One member of the group at a time: two that create the same table at once fail.
SCHEMA = """
select pg_advisory_xact_lock(7277661);
create table if not exists archived_workflow (
    space bytea, id bytea, pushed bigint,
    finished bigint not null, name text not null, state text not null, error bytea,
    primary key (space, id, pushed)
);
create table if not exists archived_task (
    space bytea, id bytea, pushed bigint, place int,
    name text not null, type text not null, state text not null, attempts int not null, worker text,
    started bigint, finished bigint, error bytea, result bytea,
    primary key (space, id, pushed, place),
    foreign key (space, id, pushed) references archived_workflow on delete cascade
);
"""

# A workflow that was archived, ran again by WF.RETRY and ended again replaces what it was.
WORKFLOW = """
insert into archived_workflow values (%s, %s, %s, %s, %s, %s, %s)
on conflict (space, id, pushed) do update
    set finished = excluded.finished, state = excluded.state, error = excluded.error
    where archived_workflow.finished < excluded.finished
returning 1
"""
NO_TASKS = "delete from archived_task where (space, id, pushed) = (%s, %s, %s)"
TASK = "insert into archived_task values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"


@dataclass
class Row:
    """A finished workflow. Times are unix milliseconds."""

    space: bytes
    id: bytes
    pushed: int
    finished: int
    name: str
    state: str
    error: bytes | None
    tasks: list[tuple[Any, ...]]


def text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="backslashreplace").replace("\0", "\\x00")


def fields(flat: list[Any]) -> dict[str, Any]:
    """A map as RESP2 has it."""
    return {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


def row_of(space: bytes, replies: list[list[Any] | None]) -> Row | None:
    """The pages of WF.GET TASKS; nothing when the workflow is not there, not finished, or another meanwhile."""
    pages = [fields(reply or []) for reply in replies]
    found = pages[0]
    moments = {(page.get("created"), page.get("finished")) for page in pages}
    if found.get("finished") is None or len(moments) > 1:
        return None
    tasks = []
    for task in (fields(task) for page in pages for task in page["tasks"]):
        words = [text(task[name]) for name in ("name", "type", "state")]
        tasks.append(
            (*words, task["attempts"], text(task["worker"]))
            + tuple(task[name] for name in ("started", "finished", "error", "result"))
        )
    return Row(
        space, found["id"], found["created"], found["finished"],
        text(found["name"]), text(found["state"]), found["error"], tasks,
    )  # fmt: skip


def insert(database: psycopg.Connection, row: Row) -> None:
    """Inserts a workflow and its tasks, or changes nothing when they are there."""
    name = (row.space, row.id, row.pushed)
    written = database.execute(WORKFLOW, (*name, row.finished, row.name, row.state, row.error)).fetchone()
    if written:
        with database.cursor() as cursor:
            cursor.execute(NO_TASKS, name)
            cursor.executemany(TASK, [(*name, place, *task) for place, task in enumerate(row.tasks)])
