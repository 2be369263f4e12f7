"""What WF.WAIT tells, to clients that wait and to those that only look."""

from typing import Any

from blocked import Waiter
from space import Space, plain


def told(waiter: Waiter) -> list[Any]:
    """What a client was told; the reply must come and be no error."""
    reply = waiter.reply()
    assert isinstance(reply, list), f"{waiter.name} was told {reply!r}"
    return plain(reply)


def states(entries: list[Any]) -> list[str | None]:
    return [entry and entry["state"] for entry in entries]


def look(space: Space, *ids: Any) -> list[Any]:
    return plain(space.call("WAIT", *ids))
