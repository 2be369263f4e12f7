"""Documents so large that the server reads them in the background, and what happens meanwhile.

There is one reader, so while it reads a few documents of 200,000 tasks, one that comes behind them waits, and a
test may do something in between. `Backlog` makes such a wait and knows whether it was long enough.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from blocked import Queue, Waiter
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
        self.queue = Queue(server)
        self._text = huge()
        self.before = [self._push(place) for place in range(length)]

    def _push(self, place: int) -> Waiter:
        return self.queue.sends("WF.PUSH", f"{{jobs}}before-{place}", self._text)

    def sends(self, *command: Any, **how: Any) -> Waiter:
        """A client whose document comes behind the backlog."""
        return self.queue.sends(*command, **how)

    @contextmanager
    def holds(self) -> Iterator[None]:
        """What happens inside happens before the documents of the test are read."""
        yield
        assert not self.before[-1].has_reply(), "the backlog was too short for this machine"

    def end(self) -> None:
        for waiter in self.before:
            waiter.reply()
