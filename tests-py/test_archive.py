"""The archive example: each finished workflow is in PostgreSQL once, whenever the archiver is killed."""

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from postgres import Postgres
from servers import Server
from space import Space
from waiting import eventually
from workflows import chain, single

PROGRAM = Path(__file__).with_name("faulty_archiver.py")
KEY, STREAM = "{jobs}", "{jobs}events"
POINTS = ["read", "got", "inserted", "before commit", "committed", "forgotten"]

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture
def database(postgres: Postgres, server: Server) -> str:
    database.made += 1
    return postgres.database(f"archive{database.made}")


database.made = 0


@pytest.fixture
def space(server: Server) -> Space:
    jobs = Space(server.client(), KEY)
    jobs.configure("events", STREAM)
    return jobs


@pytest.fixture
def start(server: Server, database: str, tmp_path: Path) -> Iterator[Start]:
    """Starts an archiver under a name; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def run(name: str, *options: str) -> subprocess.Popen[bytes]:
        where = ["--url", f"redis://127.0.0.1:{server.port}", "--key", KEY, "--stream", STREAM, "--database", database]
        with (tmp_path / "archivers.log").open("ab") as log:
            command = [sys.executable, PROGRAM, *where, "--name", name, "--reclaim-ms", "20", *options]
            started.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()
    print((tmp_path / "archivers.log").read_text())


def rest(start: Start) -> None:
    """An archiver that does what is left to do, and leaves."""
    assert start("last", "--once").wait(30) == 0


def archived(database: str) -> dict[str, str]:
    """The state of each workflow in the archive by its id."""
    with psycopg.connect(database) as connection:
        exists = connection.execute("select to_regclass('archived_workflow') is not null").fetchone()
        rows = connection.execute("select id, state from archived_workflow").fetchall() if exists[0] else []
    assert len(rows) == len({name for name, _ in rows}), "an id is there twice"
    return {name.decode(): state for name, state in rows}


def results(database: str) -> list[tuple[str, str, str | None]]:
    """Workflow, task and result of all tasks, as often as they are there."""
    with psycopg.connect(database) as connection:
        query = "select id, name, result from archived_task order by id, place"
        rows = connection.execute(query).fetchall()
    return [(wid.decode(), name, None if result is None else result.decode()) for wid, name, result in rows]


class Work(threading.Thread):
    """Pushes workflows, as many as it is told, and ends each: most complete, some fail, some are cancelled."""

    def __init__(self, space: Space, count: int = 0):
        super().__init__()
        self._space, self._orders, self._over = space, threading.Semaphore(count), False
        self.expected: dict[str, str] = {}
        self.failure: BaseException | None = None

    def order(self, count: int = 1) -> None:
        self._orders.release(count)

    def finish(self) -> "Work":
        """Stops; if it was never started, does all that it was told, here and now."""
        self._over = True
        if self.ident:
            self._orders.release()
            self.join()
        else:
            self.run()
        assert self.failure is None
        return self

    def run(self) -> None:
        try:
            while self._orders.acquire(blocking=not self._over):
                if self._over and self.ident:
                    return
                self._one(f"w{len(self.expected)}")
        except BaseException as failure:
            self.failure = failure

    def _one(self, name: str) -> None:
        wid = self._space.push(chain(2, keep_result=True), "ID", name)
        token = self._space.claim_one("worker").token
        number = len(self.expected) % 10
        self.expected[wid] = {3: "failed", 7: "cancelled"}.get(number, "completed")
        if number == 3:
            self._space.fail(token, "ERROR", "no\0good")
            return
        if number == 7:
            self._space.call("CANCEL", wid)
        self._space.complete(token, "RESULT", f"{wid}-t0")
        if number != 7:
            self._space.complete(self._space.claim_one("worker").token, "RESULT", f"{wid}-t1")

    def all_results(self) -> list[tuple[str, str, str | None]]:
        found = []
        for wid, state in sorted(self.expected.items()):
            found.append((wid, "t0", None if state == "failed" else f"{wid}-t0"))
            found.append((wid, "t1", f"{wid}-t1" if state == "completed" else None))
        return found


def test_it_may_be_killed_at_any_moment(server: Server, space: Space, database: str, start: Start) -> None:
    draw = random.Random(20_261_122)
    work = Work(Space(server.client(), KEY))
    work.start()
    names = ["one", "two", "three"]
    # Each time one dies at some point while another one works, which is killed some rows later.
    for point in draw.sample([*POINTS, *draw.sample(POINTS, 2)], len(POINTS) + 2):
        other = start(draw.choice(names))
        mortal = start(draw.choice(names), "--die", f"{point}:{draw.randint(1, 4)}")
        some = len(archived(database)) + draw.randint(1, 35)
        work.order(40)
        eventually(lambda some=some: len(archived(database)) >= some, 20, f"{some} rows")
        other.kill()
        eventually(lambda mortal=mortal: work.order() or mortal.poll() is not None, 20, f"the death at '{point}'")
        assert mortal.returncode == -signal.SIGKILL
    work.finish()
    assert len(work.expected) >= 300
    rest(start)
    assert (archived(database), results(database)) == (work.expected, work.all_results())
    assert space.listed() == []
    assert space.client.xpending(STREAM, "archive")["pending"] == 0


@pytest.mark.parametrize("point", POINTS)
def test_each_step_may_be_the_last(space: Space, database: str, start: Start, point: str) -> None:
    """One that follows the stream dies in the middle of a batch; another one takes over what is left."""
    ids = [space.push(single()) for _ in range(20)]
    tokens = [task.token for task in space.claim("worker", "COUNT", 20)]
    dying = start("first", "--die", f"{point}:{2 if point in ('inserted', 'forgotten') else 1}")
    eventually(lambda: handled(space) == 20, what="the stream to be followed")
    space.complete(*(part for token in tokens for part in (token, "RESULT", f"{token[:-11]}'s")))
    assert dying.wait(20) == -signal.SIGKILL
    assert len(archived(database)) == (20 if point in ("committed", "forgotten") else 0)
    assert len(space.listed()) == (18 if point == "forgotten" else 20)
    assert space.client.xpending(STREAM, "archive")["pending"] == len(space.listed())
    rest(start)
    assert archived(database) == dict.fromkeys(ids, "completed")
    assert sorted(results(database)) == sorted((wid, "only", f"{wid}'s") for wid in ids)
    assert space.listed() == []


def handled(space: Space) -> int:
    """Entries that the group has read and acknowledged."""
    try:
        (group,) = space.client.xinfo_groups(STREAM)
    except (redis.ResponseError, ValueError):
        return 0
    return (group["entries-read"] or 0) - group["pending"]


def test_what_the_stream_forgot_is_found(space: Space, database: str, start: Start) -> None:
    work = Work(space, 30).finish()
    running = space.push(single())
    space.client.xtrim(STREAM, maxlen=0, approximate=False)
    rest(start)
    assert (archived(database), results(database)) == (work.expected, work.all_results())
    assert [one["id"] for one in space.listed()] == [running]


def test_what_was_read_and_then_trimmed_is_found(space: Space, database: str, start: Start) -> None:
    rest(start)
    Work(space, 10).finish()
    space.client.xreadgroup("archive", "dead", {STREAM: ">"})
    space.client.xtrim(STREAM, maxlen=0, approximate=False)
    rest(start)
    assert len(archived(database)) == 10
    assert space.client.xpending(STREAM, "archive")["pending"] == 0


def test_a_workflow_that_was_retried_meanwhile_is_not_deleted(space: Space, database: str, start: Start) -> None:
    wid = space.push(single())
    space.fail(space.claim_one("w").token)
    assert start("first", "--die", "committed:1").wait(20) == -signal.SIGKILL
    space.retry(wid)
    token = space.claim_one("w").token
    rest(start)
    assert space.get(wid)["state"] == "running"
    space.complete(token, "RESULT", "at last")
    rest(start)
    assert archived(database) == {wid: "completed"}
    assert results(database) == [(wid, "only", "at last")]
    assert space.listed() == []
