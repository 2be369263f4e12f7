"""Everything works in MULTI and in Lua, and there nothing blocks."""

import json

import redis

from servers import Server
from space import Space
from workflows import chain, single

WORK_OFF = """
local n = 0
while true do
    local tasks = redis.call('WF.CLAIM', KEYS[1], 'lua', 'BLOCK', 0)
    if #tasks == 0 then return n end
    n = n + redis.call('WF.COMPLETE', KEYS[1], tasks[1][1])[1]
end
"""


def test_a_whole_life_in_one_transaction(server: Server, resp: int) -> None:
    client = server.client(resp)
    with client.pipeline(transaction=True) as transaction:
        transaction.execute_command("WF.PUSH", "k", json.dumps(chain(2)), "ID", "a")
        transaction.execute_command("WF.CLAIM", "k", "w")
        transaction.execute_command("WF.CLAIM", "k", "w", "BLOCK", 0)
        transaction.execute_command("WF.DELETE", "k", "a")
        pushed, tasks, none, deleted = transaction.execute()
    assert (pushed, len(tasks), none, deleted) == (b"a", 1, [], 1)


def test_an_error_in_a_transaction_stops_only_itself(r: redis.Redis) -> None:
    with r.pipeline(transaction=True) as transaction:
        transaction.execute_command("WF.PUSH", "k", "{")
        transaction.execute_command("WF.PUSH", "k", json.dumps(single()))
        error, wid = transaction.execute(raise_on_error=False)
    assert isinstance(error, redis.ResponseError)
    assert wid == b"1"


def test_lua_pushes_claims_and_completes(jobs: Space) -> None:
    wid = jobs.push(chain(20))
    assert jobs.client.eval(WORK_OFF, 1, jobs.key) == 20
    assert jobs.state(wid) == "completed"
    assert jobs.client.eval("return redis.call('WF.PUSH', KEYS[1], ARGV[1])", 1, jobs.key, json.dumps(single())) == b"2"


def test_lua_sees_the_errors(jobs: Space) -> None:
    script = "local r = redis.pcall('WF.PUSH', KEYS[1], '{}'); return r.err"
    assert jobs.client.eval(script, 1, jobs.key).startswith(b"INVALID")


def test_resp3_maps_in_lua(jobs: Space) -> None:
    jobs.push(single(), "ID", "a")
    script = "redis.setresp(3); return redis.call('WF.GET', KEYS[1], 'a').map.state"
    assert jobs.client.eval(script, 1, jobs.key) == b"running"


def test_watch_sees_a_change_and_only_a_change(server: Server) -> None:
    watcher, other = server.client(), server.client()
    other.execute_command("WF.PUSH", "k", json.dumps(single()))
    for arguments, changes in [
        (["WF.CLAIM", "k", "w", "TYPES", 1, "none"], False),
        (["WF.GET", "k", "1"], False),
        (["WF.CLAIM", "k", "w"], True),
    ]:
        with watcher.pipeline() as transaction:
            transaction.watch("k")
            other.execute_command(*arguments)
            transaction.multi()
            transaction.ping()
            try:
                transaction.execute()
                aborted = False
            except redis.WatchError:
                aborted = True
        assert aborted is changes, arguments
