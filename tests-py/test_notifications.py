"""Keyspace notifications: what users listen to."""

from collections.abc import Callable, Iterator

import pytest

from servers import Server
from space import Space
from workflows import chain, loose, single

Heard = Callable[..., None]


@pytest.fixture
def heard(server: Server, jobs: Space) -> Iterator[Heard]:
    """Waits until exactly these events of the space have come, in this order."""
    jobs.client.config_set("notify-keyspace-events", "KEA")
    subscriber = server.client().pubsub()
    subscriber.subscribe(f"__keyspace@0__:{jobs.key}")
    subscriber.get_message(timeout=5)
    events: list[str] = []

    def expect(*expected: str) -> None:
        def come() -> bool:
            while message := subscriber.get_message(ignore_subscribe_messages=True, timeout=0.01):
                events.append(message["data"].decode())
            return len(events) >= len(expected)

        server.wait_until(come, what=f"{expected}, so far {events}")
        assert tuple(events) == expected
        events.clear()

    yield expect
    subscriber.close()


def test_a_workflow_from_push_to_completed(jobs: Space, heard: Heard) -> None:
    jobs.push(chain(2))
    heard("workflow.pushed")
    jobs.work_off("w")
    heard("workflow.completed")


def test_a_failure_is_told_when_nothing_runs_any_more(jobs: Space, heard: Heard) -> None:
    wid = jobs.push(loose(3))
    bad, good = jobs.claim("w", "COUNT", 2)
    heard("workflow.pushed")
    jobs.fail(bad.token)
    heard("task.failed")
    assert jobs.state(wid) == "failed"
    jobs.complete(good.token)
    heard("workflow.failed")


def test_pause_release_delete(jobs: Space, heard: Heard) -> None:
    wid = jobs.push(single())
    jobs.pause("ID", wid)
    jobs.pause("ID", wid)
    jobs.release("ID", wid)
    jobs.delete(wid)
    jobs.delete(wid)
    heard("workflow.pushed", "workflow.paused", "workflow.released", "workflow.deleted")


def test_expiry_and_recovery(jobs: Space, heard: Heard) -> None:
    jobs.push(single())
    jobs.claim_one("w", "LEASE", 20)
    heard("workflow.pushed", "task.expired")
    jobs.claim_one("w")
    jobs.recover("w")
    heard("task.recovered")


def test_the_key_is_told_on_the_channel_of_the_event(server: Server, jobs: Space) -> None:
    jobs.client.config_set("notify-keyspace-events", "Ed")
    subscriber = server.client().pubsub()
    subscriber.subscribe("__keyevent@0__:workflow.pushed")
    subscriber.get_message(timeout=5)
    jobs.push(single())
    message = server.wait_until(lambda: subscriber.get_message(timeout=0.1), what="the event")
    assert message["data"] == jobs.key.encode()
    subscriber.close()


def test_a_retry_from_failure_to_completed(jobs: Space, heard: Heard) -> None:
    jobs.push(single(max_attempts=2, backoff={"delay_ms": 0}))
    heard("workflow.pushed")
    jobs.fail(jobs.claim_one("w").token)
    heard("task.retried")
    jobs.work_off("w")
    heard("workflow.completed")


def test_a_dead_letter_that_runs_again(jobs: Space, heard: Heard) -> None:
    wid = jobs.push(single())
    jobs.fail(jobs.claim_one("w").token)
    heard("workflow.pushed", "workflow.failed", "task.failed")
    jobs.retry(wid)
    heard("workflow.retried")


def test_what_takes_too_long(jobs: Space, heard: Heard) -> None:
    jobs.push(single(timeout_ms=20, max_attempts=2, backoff={"delay_ms": 3_600_000}), "TIMEOUT", 700)
    jobs.claim_one("w", "LEASE", 3_600_000)
    heard("workflow.pushed", "task.retried", "task.timedout", "workflow.failed", "workflow.timedout")


def test_a_task_that_kills_its_workers_and_retention(jobs: Space, heard: Heard) -> None:
    jobs.push(single(max_deliveries=1), "RETAIN", 300)
    jobs.claim_one("w", "LEASE", 20)
    heard("workflow.pushed", "workflow.failed", "task.failed", "task.expired", "workflow.deleted")
