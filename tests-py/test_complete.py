"""WF.COMPLETE: each status code, results, repeated and late acknowledgements."""

import json

from refusals import refused
from servers import Server
from space import Space
from workflows import chain, diamond, loose, single


def test_integers_in_both_protocols(server: Server, resp: int) -> None:
    client = server.client(resp)
    client.execute_command("WF.PUSH", "k", json.dumps(single()))
    ((token, *_),) = client.execute_command("WF.CLAIM", "k", "w")
    assert client.execute_command("WF.COMPLETE", "k", token, "RESULT", "r") == [1]
    assert client.execute_command("WF.COMPLETE", "k", token, "RESULT", "r") == [2]


def test_one_code_a_token_in_the_order_given(jobs: Space) -> None:
    wid = jobs.push(loose(3))
    one, two, three = (task.token for task in jobs.claim("w", "COUNT", 3))
    jobs.complete(two)
    jobs.fail(three)
    unknown = [f"nothing-0-{'0' * 8}", f"{wid}-99-{'0' * 8}"]
    assert jobs.complete(one, two, three, *unknown) == [1, 2, 0, -1, -1]


def test_a_token_twice_in_one_call_is_a_repeat(jobs: Space) -> None:
    jobs.push(single())
    token = jobs.claim_one("w").token
    assert jobs.complete(token, "RESULT", "first", token, "RESULT", "second") == [1, 2]
    assert jobs.tasks("1")["only"]["result"] == "first"


def test_a_repeat_keeps_the_first_result(jobs: Space) -> None:
    jobs.push(single())
    token = jobs.claim_one("w").token
    assert jobs.complete(token, "RESULT", "first") == [1]
    assert jobs.complete(token, "RESULT", "second") == [2]
    assert jobs.tasks("1")["only"]["result"] == "first"


def test_a_nonce_that_was_never_issued_is_stale(jobs: Space) -> None:
    jobs.push(single())
    token = jobs.claim_one("w").token
    forged = token[:-8] + ("00000000" if not token.endswith("0" * 8) else "00000001")
    assert jobs.complete(forged) == [0]
    assert jobs.complete(token) == [1]


def test_an_id_with_dashes_is_read_from_the_right(jobs: Space) -> None:
    jobs.push(single(), "ID", "a-0-deadbeef-1")
    task = jobs.claim_one("w")
    assert jobs.complete(task.token) == [1]
    assert jobs.state("a-0-deadbeef-1") == "completed"


def test_a_late_completion_counts_while_nobody_else_has_claimed(server: Server, jobs: Space) -> None:
    wid = jobs.push(chain(2))
    token = jobs.claim_one("w", "LEASE", 20).token
    server.wait_until(lambda: jobs.states(wid)["t0"] == "ready", what="the lease to run out")
    assert jobs.complete(token) == [1]
    assert jobs.claim_names("w") == ["t1"], "and the task is not handed out again"


def test_children_become_ready_when_the_last_parent_completes(jobs: Space) -> None:
    wid = jobs.push(diamond())
    jobs.complete(jobs.claim_one("w").token)
    left, right = jobs.claim("w", "COUNT", 10)
    assert jobs.complete(right.token) == [1]
    assert jobs.states(wid)["bottom"] == "waiting"
    assert jobs.complete(left.token) == [1]
    assert jobs.states(wid)["bottom"] == "ready"


def test_parents_and_children_completed_by_one_call_each(jobs: Space) -> None:
    wid = jobs.push(diamond())
    assert jobs.work_off("w") == ["top", "left", "right", "bottom"]
    workflow = jobs.get(wid)
    assert workflow["state"] == "completed"
    assert workflow["finished"] >= workflow["created"]


def test_a_result_above_the_limit_is_refused_whole(jobs: Space) -> None:
    jobs.client.config_set("workflow.max-result-bytes", 10)
    wid = jobs.push(loose(2))
    one, two = (task.token for task in jobs.claim("w", "COUNT", 2))
    with refused("LIMIT", "RESULT"):
        jobs.complete(one, "RESULT", "short", two, "RESULT", "x" * 11)
    assert set(jobs.states(wid).values()) == {"running"}, "nothing of the call was done"
    assert jobs.complete(one, two) == [1, 1]
