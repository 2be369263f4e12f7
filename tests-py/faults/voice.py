"""A connection under faults: it is made again when it is lost, and every call ends in an answer, in
`Refused`, or in an error of LOST, which means that nobody knows whether it was carried out.
"""

import threading
from collections.abc import Callable
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AskError, ClusterDownError, MovedError, TryAgainError
from redis.retry import Retry

from record import Record
from waiting import work_for

Address = tuple[str, int]
Where = Callable[[], Address]

LOST = (redis.ConnectionError, redis.TimeoutError, OSError)

# Errors that a fault explains. The call that got one changed nothing.
EXPLAINED = {
    "LOADING",
    "READONLY",
    "MASTERDOWN",
    "UNBLOCKED",
    "NOREPLICAS",
    "MISCONF",
    "OOM",
    "NOPERM",
}
# The same, of errors of which the client keeps the class and not the first word.
EXPLAINED_KINDS = (
    MovedError,
    AskError,
    ClusterDownError,
    TryAgainError,
    redis.BusyLoadingError,
    redis.ReadOnlyError,
)

# Seconds before the next try.
PAUSE = 0.02


def code_of(error: redis.ResponseError) -> str:
    """The first word of an error."""
    return getattr(error, "status_code", None) or str(error).split(" ")[0]


class Refused(Exception):
    """The server would not do it, for a reason that a fault explains."""


class Voice:
    """One connection that is made again when it is lost."""

    def __init__(self, where: Where, record: Record, stop: threading.Event):
        self._where, self._record, self._stop = where, record, stop
        self._client: redis.Redis | None = None
        self.history = ""

    def call(self, *arguments: Any) -> Any:
        """The answer. `Refused` when nothing was done, an error in LOST when nobody knows."""
        client = self._client or self._connect()
        try:
            return client.execute_command(*arguments)
        except redis.ResponseError as error:
            self._explain(error, arguments)
        except LOST:
            self.hang_up()
            raise
        raise AssertionError("unreachable")

    def hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client.connection_pool.disconnect()
            self._client = None
            self._record.reconnects += 1

    def _connect(self) -> redis.Redis:
        """Nothing that fails here has been sent to a space."""
        while not self._stop.is_set():
            try:
                return self._connected()
            except (redis.ResponseError, redis.AuthenticationError, *LOST):
                work_for(PAUSE)
        raise Refused("the crowd was stopped")

    def _connected(self) -> redis.Redis:
        host, port = self._where()
        client = redis.Redis(
            host=host,
            port=port,
            protocol=3,
            socket_timeout=5,
            socket_connect_timeout=2,
            retry=Retry(NoBackoff(), 0),
            single_connection_client=True,
        )
        try:
            role = client.info("replication")
            if role["role"] != "master":
                raise redis.ConnectionError("not the primary")
            self.history = role["master_replid"]
        except BaseException:
            client.close()
            raise
        self._client = client
        return client

    def _explain(self, error: redis.ResponseError, arguments: tuple[Any, ...]) -> None:
        code = code_of(error)
        if code not in EXPLAINED and not isinstance(error, EXPLAINED_KINDS):
            self._record.surprise(f"{arguments!r} was answered {code} {error}"[:500])
        self.hang_up()
        work_for(PAUSE)
        raise Refused(code) from error
