"""Documents so large that the server reads them in the background, and what happens meanwhile.

There is one reader, so while it reads a few documents of 200,000 tasks, one that comes behind them waits, and a
test may do something in between. `Backlog` makes such a wait and knows whether it was long enough.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis

from blocked import Waiter
from servers import Server
from workflows import Document, loose, task, workflow

# Takes a fifth of a second to read.
HUGE = 200_000


def large(tasks: int = 3_000, **fields: Any) -> Document:
    """A workflow of which the document has more bytes than are read at once."""
    return workflow(*(task(f"task-{place}", payload="p" * 30) for place in range(tasks)), **fields)


def huge() -> str:
    return json.dumps(loose(HUGE))


def documents_waiting(server: Server) -> int:
    return server.client().info("workflow")["workflow_documents_waiting"]


class Backlog:
    """Clients whose documents are before those of a test."""

    def __init__(self, server: Server, length: int = 3):
        self.server = server
        self._control = server.client()
        self._pools: list[redis.Redis] = []
        self._text = huge()
        self.before = [self._push(place) for place in range(length)]

    def _push(self, place: int) -> Waiter:
        return self.sends("WF.PUSH", f"{{jobs}}before-{place}", self._text)

    def sends(self, *command: Any, **credentials: str) -> Waiter:
        """A client whose document comes behind those before; returns once it waits."""
        pool = self.server.client(**credentials)
        self._pools.append(pool)
        connection = pool.connection_pool.get_connection()
        connection.send_command("CLIENT", "ID")
        waiter = Waiter(connection, connection.read_response(), str(command[1]))
        connection.send_command(*command)
        self.server.wait_until(lambda: self._waits(waiter), what=f"{waiter.name} to wait")
        return waiter

    def _waits(self, waiter: Waiter) -> bool:
        (found,) = self._control.client_list(client_id=[str(waiter.id)])
        return found["flags"] == "b" or waiter.has_reply()

    @contextmanager
    def holds(self) -> Iterator[None]:
        """What happens inside happens before the documents of the test are read."""
        yield
        assert not self.before[-1].has_reply(), "the backlog was too short for this machine"

    def end(self) -> None:
        for waiter in self.before:
            waiter.reply()
