"""The judge finds each broken promise, and nothing in a record where all are kept."""

from dataclasses import replace

import pytest

from judge import Final, Rules, judge, lost_tasks
from record import Handed, Pushed, Record, Settled

LOSSY = Rules(gaps=((2.0, 5.0),))


def pushed(start: float = 0.0, answered: bool = True) -> Pushed:
    return Pushed("w", {"a": (), "b": ("a",)}, start, start + 0.1, answered)


def handed(name: str, attempt: int, start: float, deadline: float = 9.0, history: str = "one") -> Handed:
    token = f"{name}{attempt}-{history}"
    return Handed(token, ("w", name), attempt, deadline, f"worker {attempt}", start, start + 0.1, history)


def settled(kind: str, one: Handed, answer: int | None, start: float, lease: float = 0.0) -> Settled:
    return Settled(kind, one.token, answer, start, start + 0.1, one.history, lease)


A, B = handed("a", 1, 1.0), handed("b", 1, 3.0)
GOOD = Record(
    pushed=[pushed()],
    handed=[A, B],
    settled=[settled("extend", A, 1, 1.5, 9.0), settled("complete", A, 1, 2.0), settled("complete", B, 1, 4.0)],
)
DONE: Final = {"w": {"a": "completed", "b": "completed"}}


def kinds(record: Record, final: Final = DONE, rules: Rules = Rules()) -> set[str]:
    return {one.kind for one in judge(record, final, rules)}


def life(*events: Handed | Settled) -> Record:
    """A record of one pushed workflow of which the tasks in `events` are seen."""
    return Record(
        pushed=[pushed()],
        handed=[one for one in events if isinstance(one, Handed)],
        settled=[one for one in events if isinstance(one, Settled)],
    )


def test_kept_promises() -> None:
    for rules in (Rules(), LOSSY):
        assert kinds(GOOD, rules=rules) == set()


def test_what_may_happen() -> None:
    """A lease that ended, an answer that was lost, a repeat, a failure: none of it breaks anything."""
    first, second = handed("a", 1, 1.0, deadline=1.5), handed("a", 2, 2.0)
    record = life(
        first,
        second,
        settled("complete", first, 0, 2.5),
        settled("complete", second, None, 3.0),
        settled("complete", second, 2, 3.5),
        B,
        settled("fail", B, 2, 3.2),
        again := handed("b", 2, 3.6),
        settled("complete", again, 1, 4.0),
    )
    record = replace(record, handed=[*record.handed[:2], replace(B, start=3.1, end=3.15), again])
    assert kinds(record) == set()


def test_a_token_twice() -> None:
    record = replace(GOOD, handed=[A, B, replace(B, attempt=2, deadline=9.0, start=99.0, end=99.1)])
    assert "token" in kinds(record)
    other_history = replace(GOOD, handed=[A, B, replace(B, history="two")])
    assert "token" in kinds(other_history, rules=LOSSY), "not even after lost writes"


@pytest.mark.parametrize("answer", ["never sent", 0, "sent later"])
def test_a_child_before_its_parent(answer: str | int) -> None:
    late = settled("complete", A, 1, 3.2) if answer == "sent later" else settled("complete", A, 0, 2.0)
    events = [] if answer == "never sent" else [late]
    for rules in (Rules(), LOSSY):
        assert "early" in kinds(life(A, *events, B, settled("complete", B, 1, 4.0)), rules=rules)


def test_an_answer_that_was_lost_may_have_made_the_child_ready() -> None:
    record = life(A, settled("complete", A, None, 2.0), B, settled("complete", B, 1, 4.0))
    assert kinds(record) == set()


def test_two_completions() -> None:
    again = handed("a", 2, 1.8)
    short = replace(A, deadline=1.2)
    record = life(short, again, settled("complete", short, 1, 1.7), settled("complete", again, 1, 2.0))
    assert kinds(record, {"w": {"a": "completed", "b": "completed"}}) >= {"twice"}
    apart = replace(record, handed=[short, elsewhere := handed("a", 1, 4.0, history="two")])
    apart = replace(apart, settled=[record.settled[0], settled("complete", elsewhere, 1, 4.5)])
    assert "twice" not in kinds(apart, rules=LOSSY), "the first one was lost with its history"


def test_the_same_completion_accepted_twice() -> None:
    assert "twice" in kinds(life(A, settled("complete", A, 1, 2.0), settled("complete", A, 1, 2.5)))


def test_handed_out_after_it_was_completed() -> None:
    again = handed("a", 2, 5.0)
    assert "after" in kinds(replace(GOOD, handed=[A, B, again]))


@pytest.mark.parametrize("kind, answer", [("complete", 1), ("fail", 1), ("fail", 2), ("extend", 1), ("extend", 2)])
def test_a_stale_token(kind: str, answer: int) -> None:
    first, second = handed("a", 1, 1.0, deadline=1.5), handed("a", 2, 2.0)
    assert "stale" in kinds(life(first, second, settled(kind, first, answer, 2.5)))
    assert "stale" not in kinds(life(first, second, settled(kind, first, answer, 1.2)))


def test_a_lease_that_was_not_kept() -> None:
    first, second = handed("a", 1, 1.0, deadline=4.0), handed("a", 2, 2.0)
    assert "lease" in kinds(life(first, second))
    assert "lease" in kinds(life(replace(first, deadline=1.5), second, settled("extend", first, 1, 1.2, lease=3.0)))
    for kind in ("fail", "recover"):
        assert "lease" not in kinds(life(first, second, settled(kind, first, None, 1.5)))
    assert "lease" not in kinds(life(replace(first, deadline=2.0), second))
    elsewhere = handed("a", 2, 2.0, history="two")
    assert "lease" not in kinds(life(first, elsewhere), rules=LOSSY)


def test_attempts_that_do_not_count() -> None:
    first = handed("a", 1, 1.0, deadline=1.5)
    assert "attempt" in kinds(life(first, replace(handed("a", 1, 2.0), token="another")))
    assert "attempt" in kinds(life(handed("a", 2, 1.0, deadline=1.2), replace(first, start=3.0, end=3.1)))


def test_a_repeat_of_what_never_was() -> None:
    assert "repeat" in kinds(life(A, settled("complete", A, 2, 2.0)))


def test_lost_and_undone_and_unended() -> None:
    assert kinds(GOOD, {}) == {"lost", "undone"}
    assert kinds(replace(GOOD, pushed=[pushed(answered=False)], handed=[], settled=[]), {}) == set()
    assert kinds(GOOD, {"w": {"a": "completed"}}) == {"lost", "undone"}
    assert kinds(GOOD, {"w": {"a": "completed", "b": "running"}}) == {"unended", "undone"}
    assert "nobody" in kinds(replace(GOOD, settled=GOOD.settled[:2]))
    assert lost_tasks(GOOD, {}) == 2 and lost_tasks(GOOD, DONE) == 0


def test_a_gap_forgives_what_came_in_it_and_no_more() -> None:
    assert "lost" in kinds(GOOD, {}, LOSSY), "it was pushed before the gap"
    assert "lost" not in kinds(replace(GOOD, pushed=[pushed(3.0)]), {}, LOSSY)
    early = replace(GOOD, pushed=[pushed(3.0)], settled=[settled("complete", A, 1, 1.5)])
    assert "undone" in kinds(early, {}, LOSSY)


def test_a_surprise() -> None:
    assert kinds(replace(GOOD, surprises=["ERR what?"])) == {"surprise"}
