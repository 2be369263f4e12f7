//! The judge finds each broken promise, and nothing in a record where all are kept.

use super::history::{NOTHING, Position};
use super::judge::judge;
use super::record::{Event, Final, Handed, Kept, Record, Seen, Shape, Task, Verb};
use crate::engine::edge::On;
use std::collections::BTreeSet;
use std::rc::Rc;

const TRUNK: Position = Position { branch: 1, offset: 0 };

/// Events on one branch, one an effect and one a millisecond.
struct Story {
    record: Record,
    at: Position,
    clock: u64,
}

impl Story {
    /// A workflow `w` of `a` and, after it, `b`.
    fn new() -> Story {
        let mut record = Record::default();
        let at = record.histories.fork(NOTHING);
        let task = |name: &str, parents: &[&str]| Task {
            name: name.to_owned(),
            parents: parents.iter().map(|name| ((*name).to_owned(), On::Success)).collect(),
            children: Vec::new(),
            timeout_ms: None,
        };
        let shape = Shape { tasks: vec![task("a", &[]), task("b", &["a"])], plain: true };
        Story { record, at, clock: 0 }.and(Seen::Pushed { id: "w".to_owned(), shape: Rc::new(shape) })
    }

    fn and(mut self, seen: Seen) -> Story {
        self.at = self.at.plus(1);
        self.clock += 1;
        self.record.events.push(Event { at: self.at, clock: self.clock, seen });
        self
    }

    /// A task is handed out, for ten milliseconds.
    fn handed(self, token: &str, attempt: i64) -> Story {
        let deadline = self.clock + 11;
        self.leased(token, attempt, deadline, "w1")
    }

    fn leased(self, token: &str, attempt: i64, deadline: u64, worker: &str) -> Story {
        let name = if token.starts_with("w-0") { "a" } else { "b" }.to_owned();
        let (token, worker) = (token.to_owned(), worker.to_owned());
        self.and(Seen::Handed(Handed { token, name, attempt, deadline, worker, resumed: false }))
    }

    fn says(self, verb: Verb, token: &str, code: i64) -> Story {
        self.and(Seen::Settled { verb, token: token.to_owned(), code })
    }

    fn done(self, token: &str) -> Story {
        self.says(Verb::Complete, token, 1)
    }

    fn later(mut self, by: u64) -> Story {
        self.clock += by;
        self
    }

    /// A new primary goes on from there, and all that comes is its.
    fn fork(mut self, offset: u64) -> Story {
        self.at = self.record.histories.fork(Position { offset, ..self.at });
        self
    }

    fn kinds(&self) -> BTreeSet<&'static str> {
        judge(&self.record, None).into_iter().map(|violation| violation.kind).collect()
    }

    fn ends(&self, a: &str, b: &str) -> BTreeSet<&'static str> {
        let tasks = [("a", a), ("b", b)].map(|(name, state)| (name.to_owned(), state.to_owned()));
        self.end(&Final::from([("w".to_owned(), tasks.into())]))
    }

    fn end(&self, states: &Final) -> BTreeSet<&'static str> {
        judge(&self.record, Some((self.at, states))).into_iter().map(|violation| violation.kind).collect()
    }
}

fn good() -> Story {
    Story::new()
        .handed("w-0-a1", 1)
        .says(Verb::Extend(9), "w-0-a1", 1)
        .done("w-0-a1")
        .handed("w-1-b1", 1)
        .done("w-1-b1")
}

fn found<const N: usize>(kinds: [&'static str; N]) -> BTreeSet<&'static str> {
    kinds.into()
}

#[test]
fn where_all_promises_are_kept_nothing_is_found() {
    assert_eq!(good().ends("completed", "completed"), found([]));
    // A lease that ran out, a late token, a repeat, a failure.
    let story = Story::new()
        .handed("w-0-a1", 1)
        .later(20)
        .handed("w-0-a2", 2)
        .says(Verb::Complete, "w-0-a1", 0)
        .says(Verb::Fail, "w-0-a2", 2)
        .says(Verb::Fail, "w-0-a2", 2)
        .handed("w-0-a3", 3)
        .done("w-0-a3")
        .says(Verb::Complete, "w-0-a3", 2)
        .handed("w-1-b1", 1)
        .and(Seen::TakenBack { token: "w-1-b1".to_owned() })
        .handed("w-1-b2", 2)
        .done("w-1-b2");
    assert_eq!(story.ends("completed", "completed"), found([]));
}

#[test]
fn what_was_lost_may_happen_again_and_nothing_else() {
    let lost =
        |offset| good().fork(offset).handed("w-0-a9", 1).done("w-0-a9").handed("w-1-b9", 1).done("w-1-b9");
    assert_eq!(lost(1).ends("completed", "completed"), found([]));
    assert_eq!(lost(2).kinds(), found(["attempt", "lease"]), "it was handed out before");
    assert_eq!(lost(4).kinds(), found(["after", "attempt"]), "it had completed");
    let mut forgotten = lost(1);
    let must = Position { offset: 2, ..TRUNK };
    forgotten.record.kept.push(Kept { must, stands: forgotten.at, why: "a start".to_owned() });
    assert_eq!(forgotten.kinds(), found(["kept"]));
    forgotten.record.kept[0].must = Position { offset: 1, ..TRUNK };
    assert_eq!(forgotten.kinds(), found([]));
}

#[test]
fn a_token_twice() {
    assert_eq!(good().fork(1).handed("w-0-a1", 1).kinds(), found(["token"]), "not even after lost writes");
}

#[test]
fn a_child_before_its_parent() {
    assert_eq!(Story::new().handed("w-1-b1", 1).kinds(), found(["early"]));
    let refused =
        Story::new().handed("w-0-a1", 1).later(20).handed("w-0-a2", 2).says(Verb::Complete, "w-0-a1", 0);
    assert_eq!(refused.handed("w-1-b1", 1).kinds(), found(["early"]));
    assert_eq!(good().fork(2).handed("w-1-b9", 1).kinds(), found(["early"]), "the completion was lost");
}

#[test]
fn two_completions_and_a_task_after_its_completion() {
    assert_eq!(good().done("w-0-a1").kinds(), found(["twice"]));
    assert_eq!(good().handed("w-0-a2", 2).kinds(), found(["after"]));
    assert_eq!(good().says(Verb::Fail, "w-0-a1", 1).kinds(), found(["twice"]));
    let failed = Story::new().handed("w-0-a1", 1).says(Verb::Fail, "w-0-a1", 1);
    assert_eq!(failed.handed("w-0-a2", 2).kinds(), found(["after"]));
}

#[test]
fn tokens_that_are_stale_or_from_elsewhere() {
    for (verb, code) in
        [(Verb::Complete, 1), (Verb::Fail, 1), (Verb::Fail, 2), (Verb::Extend(5), 1), (Verb::Extend(5), 2)]
    {
        let again = || Story::new().handed("w-0-a1", 1).later(20).handed("w-0-a2", 2);
        assert_eq!(again().says(verb, "w-0-a1", code).kinds(), found(["stale"]));
        assert_eq!(again().says(verb, "w-0-a2", code).kinds(), found([]));
        let taken = Story::new().handed("w-0-a1", 1).and(Seen::TakenBack { token: "w-0-a1".to_owned() });
        assert_eq!(taken.says(verb, "w-0-a1", code).kinds(), found(["stale"]));
        let used = Story::new().handed("w-0-a1", 1).says(Verb::Fail, "w-0-a1", 2);
        let repeat = if let Verb::Fail = verb { found([]) } else { found(["stale"]) };
        assert_eq!(used.says(verb, "w-0-a1", code).kinds(), repeat);
        let lost = Story::new().handed("w-0-a1", 1).fork(1);
        assert_eq!(lost.says(verb, "w-0-a1", code).kinds(), found(["foreign"]));
    }
    let copied = Story::new().handed("w-0-a1", 1).and(Seen::Copied);
    assert_eq!(copied.done("w-0-a1").kinds(), found(["stale"]));
    let added = Seen::Added { token: "w-0-a1".to_owned(), tasks: Rc::default() };
    assert_eq!(
        Story::new().handed("w-0-a1", 1).later(20).handed("w-0-a2", 2).and(added).kinds(),
        found(["stale"])
    );
}

#[test]
fn a_good_token_that_is_refused() {
    for verb in [Verb::Complete, Verb::Fail, Verb::Extend(5)] {
        assert_eq!(Story::new().handed("w-0-a1", 1).says(verb, "w-0-a1", 0).kinds(), found(["refused"]));
        assert_eq!(Story::new().handed("w-0-a1", 1).says(verb, "w-0-a1", -1).kinds(), found(["refused"]));
        let off = Story::new().handed("w-0-a1", 1).and(Seen::Cancelled { id: "w".to_owned() });
        assert_eq!(off.says(verb, "w-0-a1", 0).kinds(), found([]));
    }
}

#[test]
fn a_lease_that_is_not_kept() {
    let short = |by| Story::new().handed("w-0-a1", 1).later(by).handed("w-0-a2", 2).kinds();
    assert_eq!(short(8), found(["lease"]));
    assert_eq!(short(10), found([]));
    let longer = Story::new().handed("w-0-a1", 1).says(Verb::Extend(50), "w-0-a1", 1).later(20);
    assert_eq!(longer.handed("w-0-a2", 2).kinds(), found(["lease"]));
    let shorter = Story::new().handed("w-0-a1", 1).says(Verb::Extend(1), "w-0-a1", 1).later(1);
    assert_eq!(shorter.handed("w-0-a2", 2).kinds(), found([]));
    let moved = |from| {
        let shifted = Seen::Shifted { from, by: 20 };
        Story::new().handed("w-0-a1", 1).later(20).and(shifted).handed("w-0-a2", 2).kinds()
    };
    assert_eq!(moved(5), found(["lease"]));
    assert_eq!(moved(1), found([]), "it was handed out after that");
    let failed = Story::new().handed("w-0-a1", 1).says(Verb::Fail, "w-0-a1", 2);
    assert_eq!(failed.handed("w-0-a2", 2).kinds(), found([]));
    let resumed = |worker: &str| {
        let (token, name, worker) = ("w-0-a2".to_owned(), "a".to_owned(), worker.to_owned());
        let handed = Handed { token, name, attempt: 2, deadline: 99, worker, resumed: true };
        Story::new().handed("w-0-a1", 1).and(Seen::Handed(handed)).kinds()
    };
    assert_eq!(resumed("w1"), found([]));
    assert_eq!(resumed("w2"), found(["lease"]), "it was not his");
}

#[test]
fn attempts_that_do_not_count() {
    for wrong in [1, 3] {
        assert_eq!(
            Story::new().handed("w-0-a1", 1).later(20).handed("w-0-a2", wrong).kinds(),
            found(["attempt"])
        );
    }
    let failed =
        || Story::new().handed("w-0-a1", 1).later(20).handed("w-0-a2", 2).says(Verb::Fail, "w-0-a2", 1);
    let again =
        |attempt| failed().and(Seen::Retried { id: "w".to_owned() }).handed("w-0-a3", attempt).kinds();
    assert_eq!((again(1), again(3), again(2)), (found([]), found([]), found(["attempt"])));
}

#[test]
fn a_repeat_of_what_never_was() {
    assert_eq!(Story::new().handed("w-0-a1", 1).says(Verb::Complete, "w-0-a1", 2).kinds(), found(["repeat"]));
    let signalled = Seen::Signalled { id: "w".to_owned(), name: "a".to_owned(), code: 2 };
    assert_eq!(Story::new().and(signalled).kinds(), found(["repeat"]));
}

#[test]
fn how_it_must_not_end() {
    assert_eq!(good().end(&Final::new()), found(["lost"]));
    assert_eq!(good().and(Seen::Ended { id: "w".to_owned() }).end(&Final::new()), found([]), "for its age");
    assert_eq!(good().and(Seen::Deleted { id: "w".to_owned() }).end(&Final::new()), found([]));
    assert_eq!(good().and(Seen::Dropped).end(&Final::new()), found([]));
    assert_eq!(good().and(Seen::Dropped).ends("completed", "completed"), found(["nobody"]));
    assert_eq!(good().ends("completed", "running"), found(["unended"]));
    assert_eq!(good().ends("completed", "failed"), found(["undone"]));
    assert_eq!(
        Story::new().handed("w-0-a1", 1).done("w-0-a1").ends("completed", "completed"),
        found(["nobody"])
    );
    assert_eq!(good().fork(4).ends("completed", "completed"), found(["nobody"]), "b was lost");
    let pushed =
        Seen::Pushed { id: "w".to_owned(), shape: Rc::new(Shape { tasks: Vec::new(), plain: true }) };
    assert_eq!(good().and(pushed).kinds(), found(["twice"]));
}

#[test]
fn a_dump_brings_back_what_was_and_no_more() {
    let dumped = || Story::new().handed("w-0-a1", 1).and(Seen::Dumped);
    let from = Position { offset: 3, ..TRUNK };
    let back = || dumped().done("w-0-a1").handed("w-1-b1", 1).and(Seen::Restored { from });
    assert_eq!(
        back().done("w-0-a1").handed("w-1-b2", 1).done("w-1-b2").ends("completed", "completed"),
        found([])
    );
    assert_eq!(back().done("w-1-b1").kinds(), found(["stale"]));
    assert_eq!(back().handed("w-1-b2", 1).kinds(), found(["early"]));
}
