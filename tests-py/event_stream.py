"""The stream of a space's events, as tests look at it."""

import json
from collections.abc import Callable

import redis

from files import aof_commands
from history import live
from servers import Server
from space import Space, plain
from workflows import single

STREAM = b"{jobs}events"
AOF = ["appendonly yes", "appendfsync always", "aof-use-rdb-preamble no"]
TASK_FIELDS = {"event", "space", "workflow", "name", "at", "task", "type", "worker", "attempt", "cause", "error"}
Fresh = Callable[..., Server]
Entry = dict[str, str]


def entries(client: redis.Redis, stream: bytes = STREAM) -> list[Entry]:
    """All entries, oldest first."""
    return [plain(fields) for _, fields in client.xrange(stream)]


def told(client: redis.Redis, stream: bytes = STREAM) -> list[str]:
    return [entry["event"] for entry in entries(client, stream)]


def tell(server: Server, key: str = "jobs", stream: bytes = STREAM) -> Space:
    """A space of this server that tells what happens."""
    space = Space(server.client(), key)
    space.configure("events", stream)
    return space


def units(server: Server) -> list[list[list[bytes]]]:
    """What the AOF holds, each transaction as one, without SELECT."""
    found: list[list[list[bytes]]] = []
    inside = False
    for command in aof_commands(server):
        name = command[0].upper()
        if name == b"MULTI":
            inside = True
            found.append([])
        elif name == b"EXEC":
            inside = False
        elif name != b"SELECT":
            if inside:
                found[-1].append(command)
            else:
                found.append([command])
    return found


def check_units(server: Server) -> None:
    """Each XADD of the AOF is behind the WF.APPLY it belongs to, in one transaction, with its own id."""
    appended = 0
    for unit in units(server):
        for place, command in enumerate(unit):
            if command[0].upper() == b"XADD":
                appended += 1
                assert command[1] == STREAM
                ids = [part for part in command[2:6] if part.count(b"-") == 1 and part[0] in b"0123456789"]
                assert len(ids) == 1 and b"*" not in command, command
                before = [other for other in unit[:place] if other[0].upper() == b"WF.APPLY"]
                assert before, f"an entry without its change: {unit}"
    assert appended == len(entries(server.client()))


def everything(server: Server, jobs: Space) -> None:
    """Entries from commands, timers, waiting clients, MULTI and Lua."""
    live(server, jobs)
    before = len(told(jobs.client))
    with jobs.client.pipeline(transaction=True) as transaction:
        for _ in range(2):
            transaction.execute_command("WF.PUSH", jobs.key, json.dumps(single(type="multi")))
        transaction.execute()
    script = """
        local tasks = redis.call('WF.CLAIM', KEYS[1], 'lua', 'TYPES', 1, 'multi', 'COUNT', 9)
        for _, task in ipairs(tasks) do redis.call('WF.COMPLETE', KEYS[1], task[1]) end
        return #tasks
    """
    assert jobs.client.eval(script, 1, jobs.key) == 2
    assert told(jobs.client)[before:] == ["workflow.pushed"] * 2 + ["workflow.completed"] * 2
