"""Clients that wait in WF.CLAIM or WF.WAIT ... BLOCK, each on a connection of its own.

A `Queue` sees to it that its clients arrive at the server one after the other, and ends what is
left of them. A `Waiter` knows what its client was given, if anything yet.
"""

from typing import Any

import redis
from redis.connection import Connection

from servers import Server
from space import Task, Text, read_task

# Long enough that no test waits for it, short enough that nothing waits for ever.
BLOCK_MS = 60_000


class Waiter:
    """One client and what it sent."""

    def __init__(self, connection: Connection, client_id: int, name: str):
        self.connection = connection
        self.id = client_id
        self.name = name

    def has_reply(self) -> bool:
        return bool(self.connection.can_read(0))

    def reply(self) -> Any:
        """The next reply, an error as a value."""
        try:
            return self.connection.read_response()
        except redis.ResponseError as error:
            return error

    def tasks(self) -> list[Task]:
        """The tasks it was given; the reply must come and be no error."""
        reply = self.reply()
        assert isinstance(reply, list), f"{self.name} was given {reply!r}"
        return [read_task(task) for task in reply]

    def names(self) -> list[str]:
        return [task.name for task in self.tasks()]

    def vanish(self) -> None:
        """Closes the connection without a word."""
        self.connection.disconnect()


class Queue:
    """Who waits at a server, in order of arrival."""

    def __init__(self, server: Server, key: Text = "jobs"):
        self._server, self._key = server, key
        self._control = server.client()
        self._pools: list[redis.Redis] = []
        self._arrivals = 0

    def blocked(self) -> int:
        """How many clients the server says are blocked."""
        return self._control.info("clients")["blocked_clients"]

    def join(self, *options: Any, resp: int = 3, db: int = 0, block: int = BLOCK_MS, key: Text | None = None) -> Waiter:
        """One more client that claims with `options`; returns once it waits."""
        name = f"waiter-{self._arrivals + 1}"
        return self.sends("WF.CLAIM", self._key if key is None else key, name, "BLOCK", block, *options, resp=resp, db=db)

    def awaits(self, *ids: Any, block: int = BLOCK_MS, key: Text | None = None, **how: int) -> Waiter:
        """One more client that waits for workflows to end; returns once it waits."""
        return self.sends("WF.WAIT", self._key if key is None else key, *ids, "BLOCK", block, **how)

    def sends(self, *command: Any, resp: int = 3, db: int = 0) -> Waiter:
        """One more client that sends `command`; returns once it waits."""
        self._arrivals += 1
        name = f"waiter-{self._arrivals}"
        pool = self._server.client(resp, db=db)
        self._pools.append(pool)
        connection = pool.connection_pool.get_connection()
        connection.send_command("CLIENT", "ID")
        waiter = Waiter(connection, connection.read_response(), name)
        before = self.blocked()
        connection.send_command(*command)
        self._server.wait_until(lambda: self.blocked() == before + 1, what=f"{name} to wait")
        return waiter

    def joins(self, count: int, *options: Any, **how: Any) -> list[Waiter]:
        return [self.join(*options, **how) for _ in range(count)]

    def wait_until_blocked(self, count: int) -> None:
        self._server.wait_until(lambda: self.blocked() == count, what=f"{count} clients to wait")

    def barrier(self) -> None:
        """Returns after everything the server had put off to its next turns is done."""
        for _ in range(3):
            self._control.ping()


def served(waiters: list[Waiter]) -> list[str]:
    """The names of those that have been given something."""
    return [waiter.name for waiter in waiters if waiter.has_reply()]
