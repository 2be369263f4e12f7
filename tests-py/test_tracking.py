"""Clients that watch a space, or keep what they read of it: told of what time does, too."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from blocked import Queue
from servers import Server
from space import Space
from workflows import single

# Long enough to begin to watch before it is over, on a busy machine too.
SOON = 1_500


def a_lease_ends(server: Server, jobs: Space) -> Callable[[], bool]:
    wid = jobs.push(single())
    jobs.claim_one("w", "LEASE", SOON)
    return lambda: jobs.states(wid)["only"] == "ready"


def a_waiting_worker_is_served(server: Server, jobs: Space) -> Callable[[], bool]:
    waiter = Queue(server).join()
    jobs.push(single(), "DELAY", SOON)
    return waiter.has_reply


CAUSES = [a_lease_ends, a_waiting_worker_is_served]
Cause = Callable[[Server, Space], Callable[[], bool]]


@pytest.mark.parametrize("cause", CAUSES)
def test_a_transaction_that_watches_is_aborted(server: Server, jobs: Space, cause: Cause) -> None:
    over = cause(server, jobs)
    with server.client().pipeline() as transaction:
        transaction.watch(jobs.key)
        server.wait_until(over, what=cause.__name__)
        transaction.multi()
        transaction.ping()
        with pytest.raises(redis.WatchError):
            transaction.execute()


@pytest.mark.parametrize("cause", CAUSES)
def test_a_client_side_cache_is_told(server: Server, jobs: Space, cause: Cause) -> None:
    over = cause(server, jobs)
    reader = server.client(single_connection_client=True)
    told: list[Any] = []
    reader.connection._parser.set_invalidation_push_handler(told.append)
    reader.execute_command("CLIENT", "TRACKING", "ON")
    reader.execute_command("WF.STATS", jobs.key)
    assert told == []
    server.wait_until(over, what=cause.__name__)
    reader.ping()
    assert told == [[b"invalidate", [jobs.key.encode()]]]
