"""The judge of a record: every promise of the module that what clients saw, and what is there in the
end, could break. Pure: it talks to nobody.

Some promises hold whatever is lost; the others hold within one history (see `record`). Where
nothing that was acknowledged may be lost, all histories count as one.

| violation | promise |
|---|---|
| token | no token is ever issued twice, not even after lost writes |
| early | a task is handed out only after all its parents were completed by somebody |
| nobody | what ends as completed was completed by some worker |
| twice | at most one completion of a task is accepted |
| after | what was completed is not handed out again |
| stale | a token changes nothing once the task was handed out again |
| lease | a task is not handed out again while its lease holds |
| attempt | each time it is handed out counts one attempt more |
| repeat | "already completed by this token" is said of tokens that were used before |
| lost | what was acknowledged is there in the end |
| undone | a task whose completion was accepted is completed in the end |
| unended | every workflow ends once faults have stopped and workers go on |
| surprise | no answer but those that a fault explains |
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from record import Handed, Pushed, Record, Settled, TaskId

# What one machine's clock may be read apart by two of its processes, in seconds.
BLUR = 0.005

# Answers to an acknowledgement that changed nothing: stale, unknown.
REFUSED = (0, -1)


@dataclass(frozen=True)
class Violation:
    """One broken promise: which of the table above, and the story."""

    kind: str
    story: str


@dataclass(frozen=True)
class Rules:
    """What may be lost. `gaps`: from when to when, in seconds, an acknowledgement may be forgotten."""

    gaps: tuple[tuple[float, float], ...] = ()

    @property
    def lossless(self) -> bool:
        return not self.gaps

    def may_forget(self, start: float, end: float) -> bool:
        return any(start <= to and end >= since for since, to in self.gaps)


Final = Mapping[str, Mapping[str, str]]
"""Workflows that are there in the end, each with the states of its tasks."""


@dataclass
class _Task:
    handed: list[Handed] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)


def judge(record: Record, final: Final, rules: Rules = Rules()) -> list[Violation]:
    """All violations, none if every promise was kept."""
    owner = {one.token: one.task for one in record.handed}
    found = [Violation("surprise", what) for what in record.surprises]
    found += _tokens(record.handed)
    found += _parents(record, owner)
    found += _ends(record, final, owner, rules)
    for task, seen in _histories(record, owner, rules):
        found += _one_history(task, seen)
    return found


def _histories(record: Record, owner: Mapping[str, TaskId], rules: Rules) -> Iterator[tuple[TaskId, _Task]]:
    """What happened to each task in each history."""
    seen: dict[tuple[TaskId, str], _Task] = defaultdict(_Task)
    for one in record.handed:
        seen[one.task, "" if rules.lossless else one.history].handed.append(one)
    for settled in record.settled:
        if settled.token in owner:
            seen[owner[settled.token], "" if rules.lossless else settled.history].settled.append(settled)
    for (task, _), events in seen.items():
        yield task, events


def _tokens(handed: Iterable[Handed]) -> Iterator[Violation]:
    for token, times in Counter(one.token for one in handed).items():
        if times > 1:
            yield Violation("token", f"{token} was issued {times} times")


def _parents(record: Record, owner: Mapping[str, TaskId]) -> Iterator[Violation]:
    """Completions count from when they were sent: the answer may have been lost."""
    first: dict[TaskId, float] = {}
    for settled in record.settled:
        task = owner.get(settled.token)
        if task and settled.kind == "complete" and settled.answer not in REFUSED:
            first[task] = min(settled.start, first.get(task, settled.start))
    shapes = {pushed.workflow: pushed.parents for pushed in record.pushed}
    for one in record.handed:
        workflow, name = one.task
        for parent in shapes.get(workflow, {}).get(name, ()):
            if first.get((workflow, parent), one.end + 1) > one.end:
                yield Violation("early", f"{one.token} ({name}) was handed out before {parent} was completed")


def _one_history(task: TaskId, seen: _Task) -> Iterator[Violation]:
    handed = sorted(seen.handed, key=lambda one: one.attempt)
    completions = [one for one in seen.settled if one.kind == "complete"]
    accepted = [one for one in completions if one.answer == 1]
    if len(accepted) > 1:
        yield Violation("twice", f"{task} was completed by {[one.token for one in accepted]}")
    for one in completions:
        if one.answer == 2 and not any(o.token == one.token and o.start < one.start for o in completions):
            yield Violation("repeat", f"{one.token} had not been used when it was told so")
    for done in accepted:
        for again in handed:
            if again.start > done.end:
                yield Violation("after", f"{again.token} was handed out after {done.token} completed it")
    attempts = {one.token: one.attempt for one in handed}
    for settled in seen.settled:
        if settled.accepted and settled.token in attempts:
            for newer in handed:
                if newer.attempt > attempts[settled.token] and newer.end < settled.start:
                    story = f"{settled.kind} of {settled.token} was accepted although {newer.token} was out"
                    yield Violation("stale", story)
    for older, newer in zip(handed, handed[1:], strict=False):
        if older.attempt == newer.attempt:
            yield Violation("attempt", f"{older.token} and {newer.token} are both attempt {older.attempt}")
        elif newer.end < older.start:
            yield Violation("attempt", f"{newer.token} came before {older.token} and counts more attempts")
        elif newer.end + BLUR < _holds_until(older, newer, seen.settled):
            story = f"{newer.token} was handed to {newer.worker} while {older.worker} held {older.token}"
            yield Violation("lease", story)


def _holds_until(older: Handed, newer: Handed, settled: list[Settled]) -> float:
    """Until when the older lease holds for certain, seen from the newer one. Workers only lengthen."""
    until = older.deadline
    for one in settled:
        if one.token == older.token and one.start < newer.end:
            if one.kind != "extend":
                return 0.0
            if one.accepted:
                until = max(until, one.start + one.lease)
    return until


def _ends(record: Record, final: Final, owner: Mapping[str, TaskId], rules: Rules) -> Iterator[Violation]:
    for pushed in record.pushed:
        states = final.get(pushed.workflow)
        if states is None:
            if pushed.answered and not rules.may_forget(pushed.start, pushed.end):
                yield Violation("lost", f"workflow {pushed.workflow} was acknowledged and is gone")
            continue
        if set(states) != set(pushed.parents):
            yield Violation("lost", f"workflow {pushed.workflow} has tasks {sorted(states)}")
        open_tasks = {name: state for name, state in states.items() if state != "completed"}
        if open_tasks:
            yield Violation("unended", f"workflow {pushed.workflow} has {open_tasks}")
    yield from _done(record, final, owner, rules)


def _done(record: Record, final: Final, owner: Mapping[str, TaskId], rules: Rules) -> Iterator[Violation]:
    tried: set[TaskId] = set()
    for one in record.settled:
        task = owner.get(one.token)
        if task is None or one.kind != "complete" or one.answer in REFUSED:
            continue
        tried.add(task)
        state = final.get(task[0], {}).get(task[1], "gone")
        if one.accepted and state != "completed" and not rules.may_forget(one.start, one.end):
            yield Violation("undone", f"{one.token} was completed and is {state} in the end")
    known: set[str] = {pushed.workflow for pushed in record.pushed}
    for workflow, states in final.items():
        for name, state in states.items():
            if workflow in known and state == "completed" and (workflow, name) not in tried:
                yield Violation("nobody", f"{workflow} {name} is completed, and nobody did")


def verdict(violations: list[Violation], most: int = 12) -> str:
    """The violations as text for a failure."""
    counts = dict(Counter(one.kind for one in violations))
    lines = [f"{one.kind}: {one.story}" for one in violations[:most]]
    return "\n".join([f"{len(violations)} promises were broken: {counts}", *lines])


def lost_tasks(record: Record, final: Final) -> int:
    """Tasks of acknowledged workflows that are not there in the end."""
    pushed: Iterable[Pushed] = (one for one in record.pushed if one.answered and one.workflow not in final)
    return sum(len(one.parents) for one in pushed)
