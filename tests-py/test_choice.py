"""WF.COMPLETE ... SKIP: the worker decides which way a workflow takes."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from history import HOUR, digest
from refusals import refused
from servers import Server
from space import Space
from test_digest import in_one_millisecond
from test_persistence import WAYS
from waiting import eventually
from workflows import Document, chain, diamond, fan, join, task, workflow


def after(name: str, parent: str, condition: str) -> Document:
    return task(name) | {"parents": [{"task": parent, "on": condition}]}


def branches() -> Document:
    """check -> (approve -> pay) or (reject -> notify), and both -> close, whatever happened."""
    return workflow(
        task("check"),
        task("approve", ["check"]),
        task("pay", ["approve"]),
        task("reject", ["check"]),
        task("notify", ["reject"]),
        task("close") | {"parents": [{"task": name, "on": "always"} for name in ("pay", "notify")]},
    )


def choose(jobs: Space, *skipped: str, result: str | None = None) -> str:
    """Claims the next task and completes it with a choice; its token."""
    token = jobs.claim_one("w", "LEASE", HOUR).token
    given = [] if result is None else ["RESULT", result]
    assert jobs.complete(token, *given, "SKIP", *skipped) == [1]
    return token


def test_a_branch_that_is_not_taken_is_skipped_to_its_end(jobs: Space) -> None:
    wid = jobs.push(branches())
    choose(jobs, "reject", result="approved")
    states = jobs.states(wid)
    assert (states["approve"], states["reject"], states["notify"]) == ("ready", "skipped", "skipped")
    assert jobs.tasks(wid)["check"]["result"] == "approved"
    assert jobs.work_off("w") == ["approve", "pay", "close"]
    assert jobs.state(wid) == "completed"


def test_it_can_be_done_in_a_workflow_without_conditions(jobs: Space) -> None:
    wid = jobs.push(workflow(*diamond()["tasks"], task("after", ["bottom"]), task("free", ["right"])))
    choose(jobs, "left")
    assert jobs.states(wid)["left"] == "skipped"
    assert jobs.states(wid)["bottom"] == "waiting", "its other parent has not ended"
    assert jobs.work_off("w") == ["right", "free"]
    assert jobs.states(wid) == {
        "top": "completed",
        "left": "skipped",
        "right": "completed",
        "bottom": "skipped",
        "after": "skipped",
        "free": "completed",
    }
    assert jobs.state(wid) == "completed"
    assert jobs.get(wid)["counts"]["skipped"] == 3


def test_all_children_can_be_skipped_and_names_fold(jobs: Space) -> None:
    wid = jobs.push(fan(3))
    choose(jobs, "leaf2", "leaf0", "leaf1", "leaf0")
    assert jobs.state(wid) == "completed"
    assert jobs.get(wid)["counts"] | {"completed": 1, "skipped": 3} == jobs.get(wid)["counts"]


def test_one_choice_of_several_parents_is_enough_and_whoever_ends_last_decides_nothing(jobs: Space) -> None:
    for first in (0, 1):
        wid = jobs.push(join(2), "ID", f"w{first}")
        tokens = [held.token for held in jobs.claim("w", "COUNT", 2, "LEASE", HOUR)]
        for place in (first, 1 - first):
            assert jobs.states(wid)["end"] == "waiting"
            assert jobs.complete(tokens[place], *(["SKIP", "end"] if place == 0 else [])) == [1]
        assert jobs.states(wid)["end"] == "skipped"
        assert jobs.state(wid) == "completed"


@pytest.mark.parametrize("condition", ["success", "always", "failure"])
def test_it_wins_over_the_condition_of_the_edge(jobs: Space, condition: str) -> None:
    wid = jobs.push(workflow(task("a"), after("b", "a", condition), after("c", "b", "always")))
    choose(jobs, "b")
    assert jobs.states(wid) == {"a": "completed", "b": "skipped", "c": "ready"}


def test_a_paused_workflow_skips_at_once_and_goes_on_when_it_is_released(jobs: Space) -> None:
    wid = jobs.push(branches())
    token = jobs.claim_one("w", "LEASE", HOUR).token
    jobs.pause("ID", wid)
    assert jobs.complete(token, "SKIP", "approve") == [1]
    assert jobs.states(wid)["pay"] == "skipped"
    assert jobs.states(wid)["reject"] == "waiting"
    jobs.release("ID", wid)
    assert jobs.work_off("w") == ["reject", "notify", "close"]


def test_errors_change_nothing(jobs: Space) -> None:
    wid = jobs.push(branches())
    jobs.push(fan(2))
    one, two = (held.token for held in jobs.claim("w", "COUNT", 2, "LEASE", HOUR))
    before = digest(jobs.client)
    with refused("ERR", "SKIP"):
        jobs.complete(one, "SKIP")
    for call in ([one, two, "SKIP", "reject"], [one, "RESULT", "r", two, "SKIP", "reject"]):
        with refused("ERR", "SKIP", "one token"):
            jobs.complete(*call)
    for names in (["nobody"], ["reject", "pay"], ["check"], ["reject", "RESULT", "r"], [""], ["reject", b"\0\xff"]):
        with refused("ERR", "no child", "'check'"):
            jobs.complete(one, "SKIP", *names)
    with refused("ERR", "token"):
        jobs.complete("SKIP", "reject")
    assert digest(jobs.client) == before
    assert jobs.complete(one, "SKIP", "reject") == [1]
    assert jobs.states(wid)["reject"] == "skipped"


def test_what_does_not_count_chooses_nothing(jobs: Space) -> None:
    assert jobs.complete(f"1-0-{'0' * 8}", "SKIP", "x") == [-1]
    wid = jobs.push(branches())
    assert jobs.complete(f"{wid}-0-{'0' * 8}", "SKIP", "x") == [0]
    token = choose(jobs, "reject")
    before = digest(jobs.client)
    assert jobs.complete(token, "SKIP", "approve") == [2]
    assert jobs.complete(token) == [2]
    assert digest(jobs.client) == before
    plain = jobs.push(fan(2))
    held = jobs.claim("w", "COUNT", 9, "LEASE", HOUR)
    (root,) = (one.token for one in held if one.workflow == plain)
    assert jobs.complete(root) == [1]
    assert jobs.complete(root, "SKIP", "leaf0") == [2], "a repeat chooses nothing either"
    assert jobs.states(plain)["leaf0"] == "ready"


def test_a_choice_in_a_workflow_that_runs_down_is_kept_for_a_retry(jobs: Space) -> None:
    wid = jobs.push(
        workflow(task("bad"), task("a"), task("b", ["a"]), task("c", ["a"]), task("d", ["b", "bad"]), task("e", ["b"]))
    )
    bad, a = (held.token for held in jobs.claim("w", "COUNT", 2, "LEASE", HOUR))
    jobs.fail(bad)
    assert jobs.complete(a, "SKIP", "b") == [1]
    assert jobs.states(wid)["b"] == "cancelled"
    assert jobs.retry(wid) == 1
    states = jobs.states(wid)
    assert (states["bad"], states["b"], states["c"], states["e"]) == ("ready", "skipped", "ready", "skipped")
    assert states["d"] == "waiting"
    jobs.work_off("w")
    assert jobs.states(wid)["d"] == "skipped"
    assert jobs.state(wid) == "completed"


def test_a_task_that_starts_over_forgets_its_choice(jobs: Space) -> None:
    wid = jobs.push(
        workflow(
            task("a"),
            after("check", "a", "always"),
            task("yes", ["check"]),
            task("no", ["check"]),
        )
    )
    jobs.fail(jobs.claim_one("w").token)
    choose(jobs, "no")
    jobs.work_off("w")
    assert jobs.states(wid) == {"a": "failed", "check": "completed", "yes": "completed", "no": "skipped"}
    assert jobs.retry(wid) == 1
    assert set(jobs.states(wid).values()) == {"ready", "waiting"}
    assert jobs.work_off("w") == ["a", "check", "yes", "no"]
    assert jobs.state(wid) == "completed"


def test_a_failure_that_the_workflow_goes_on_after_keeps_what_was_chosen(jobs: Space) -> None:
    wid = jobs.push(workflow(task("check"), task("yes", ["check"]), task("no", ["check"])))
    choose(jobs, "no")
    jobs.fail(jobs.claim_one("w").token)
    assert jobs.states(wid) == {"check": "completed", "yes": "failed", "no": "skipped"}
    assert jobs.retry(wid) == 1
    assert jobs.work_off("w") == ["yes"]
    assert jobs.states(wid)["no"] == "skipped"


def test_why_names_whose_choice_it_was(jobs: Space) -> None:
    wid = jobs.push(chain(3))
    choose(jobs, "t1")
    words = {name: jobs.call("WHY", wid, name)[b"words"].decode() for name in ("t1", "t2")}
    assert "'t0' chose to skip it" in words["t1"]
    assert "it runs on success of 't1', which was skipped" in words["t2"]


def test_the_digest_knows_of_a_choice_before_it_comes_to_anything(jobs: Space) -> None:
    both = ["a", "b"]
    jobs.push(workflow(task("a"), task("b"), task("x", both), task("y", both)))
    a, b = (held.token for held in jobs.claim("w", "COUNT", 2, "LEASE", HOUR))
    life = SimpleNamespace(a=a, b=b)
    x, y, none = (["WF.COMPLETE", "A", *skip] for skip in (["SKIP", "x"], ["SKIP", "y"], []))
    for one, two in ((x, x), (x, y), (x, none), ([*x, "y"], x), ([*x, "y"], [*y, "x"])):
        eventually(lambda o=one, t=two: in_one_millisecond(jobs.client, life, o, t), what="both in one millisecond")
        same = digest(jobs.client, "one") == digest(jobs.client, "two")
        assert same == (sorted(one) == sorted(two))


@pytest.mark.parametrize("way", WAYS)
def test_a_choice_survives_a_restart(fresh_server: Callable[..., Server], way: str) -> None:
    config, reload = WAYS[way]
    server = fresh_server(*config)
    jobs, second = chosen(Space(server.client(), "jobs"))
    before, shown = digest(jobs.client), [jobs.get(wid, "TASKS") for wid in ("open", "done")]
    reload(server)
    jobs = Space(server.client(), "jobs")
    assert (digest(jobs.client), [jobs.get(wid, "TASKS") for wid in ("open", "done")]) == (before, shown)
    assert jobs.complete(second) == [1]
    assert jobs.states("open")["end"] == "skipped", "what was chosen before counts"
    assert jobs.state("open") == "completed"


def test_replicas_and_copies_know_of_a_choice(fresh_server: Callable[..., Server]) -> None:
    primary = fresh_server()
    replica = fresh_server(replica_of=primary)
    jobs, second = chosen(Space(primary.client(), "jobs"))
    replica.wait_in_sync(primary)
    assert digest(replica.client()) == digest(jobs.client)
    jobs.client.execute_command("RESTORE", "other", 0, jobs.client.execute_command("DUMP", "jobs"))
    assert digest(jobs.client, "other") == digest(jobs.client)
    jobs.client.execute_command("COPY", "jobs", "copy")
    replica.wait_in_sync(primary)
    replica.promote()
    for space in (Space(replica.client(), "jobs"), Space(primary.client(), "other")):
        assert space.complete(second) == [1]
        assert space.states("open")["end"] == "skipped"
    copy = Space(primary.client(), "copy")
    copy.work_off("w")
    assert copy.states("open")["end"] == "skipped"


def chosen(jobs: Space) -> tuple[Space, str]:
    """A choice that has not come to anything yet, and one that has; what is still missing for the first."""
    jobs.push(join(2), "ID", "open")
    jobs.push(branches(), "ID", "done")
    first, second, third = (held.token for held in jobs.claim("w", "COUNT", 3, "LEASE", HOUR))
    assert jobs.complete(first, "SKIP", "end") == [1]
    assert jobs.complete(third, "RESULT", "r", "SKIP", "approve", "reject") == [1]
    assert jobs.complete(jobs.claim_one("w").token) == [1]
    return jobs, second
