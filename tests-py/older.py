"""Servers that run an earlier version of the module, and how they come to run this one."""

import pytest
import redis

from servers import MODULE, OLDER, Server

NEEDS_OLDER = pytest.mark.skipif(
    not OLDER.exists(),
    reason="no module of an earlier version: this clone has not the commit that `make test` builds it from",
)


def shut_down(server: Server) -> None:
    """Waits until the replicas have all, saves, ends."""
    with pytest.raises(redis.ConnectionError):
        server.client().execute_command("SHUTDOWN")
    server.expect_end()


def upgrade(server: Server) -> Server:
    """Starts with this module what ended with the older one."""
    server.module = MODULE
    return server.start()
