//! The judge of a record: every promise of `docs/reliability.md` that could be broken. Pure.
//!
//! Each branch of history is judged by itself, from its beginning, as what one server saw, in order. A
//! write that was lost stands on a branch that was left and nowhere else: so nothing is forgiven that
//! is not known to be lost.
//!
//! | violation | promise |
//! |---|---|
//! | token | no token is ever issued twice, not even after lost writes |
//! | early | a task is handed out only after all its parents were completed by somebody |
//! | nobody | what ends as completed was completed by somebody |
//! | twice | at most one completion of a task is accepted |
//! | after | what has ended is not handed out again |
//! | stale | a token changes nothing once the task was handed out again or taken back |
//! | foreign | a token changes nothing where it was not issued |
//! | refused | the newest token of a running task is good |
//! | lease | a task is not handed out again while its lease holds |
//! | attempt | each time it is handed out counts one attempt more |
//! | repeat | "already completed by this token" is said of tokens that completed a task |
//! | kept | a server goes on with all that it had promised to keep |
//! | lost | what was accepted is there in the end |
//! | undone | a task whose completion was accepted is completed in the end |
//! | unended | every workflow ends once faults have stopped and workers go on |

use super::history::Position;
use super::life::{Life, life};
use super::record::{Final, Handed, Record, Seen};
use std::collections::{BTreeMap, BTreeSet};

/// One broken promise: which of the table above, and the story.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Which.
    pub kind: &'static str,
    /// The story.
    pub story: String,
}

/// One.
pub fn violation(kind: &'static str, story: impl Into<String>) -> Violation {
    Violation { kind, story: story.into() }
}

/// All violations, none if every promise was kept. `end`: how everything stands in the end, and where.
pub fn judge(record: &Record, end: Option<(Position, &Final)>) -> Vec<Violation> {
    let mut found = BTreeSet::new();
    found.extend(tokens(record));
    for kept in &record.kept {
        if !record.histories.has_been(kept.stands, kept.must) {
            let (must, stands) = (kept.must, kept.stands);
            found.insert(violation(
                "kept",
                format!("{}: had to keep {must:?} and goes on at {stands:?}", kept.why),
            ));
        }
    }
    for branch in record.histories.branches() {
        let tip = Position { branch, offset: u64::MAX };
        found.extend(life(record, tip).found);
    }
    if let Some((at, states)) = end {
        found.extend(ends(life(record, at), states));
    }
    found.into_iter().collect()
}

fn tokens(record: &Record) -> impl Iterator<Item = Violation> {
    let mut times: BTreeMap<&str, u64> = BTreeMap::new();
    for event in &record.events {
        if let Seen::Handed(Handed { token, .. }) = &event.seen {
            *times.entry(token).or_default() += 1;
        }
    }
    let twice = times.into_iter().filter(|&(_, times)| times > 1);
    twice.map(|(token, times)| violation("token", format!("{token} was issued {times} times")))
}
/// What holds when faults have stopped and workers have gone on.
fn ends(life: Life, states: &Final) -> Vec<Violation> {
    let mut found = Vec::new();
    for (id, workflow) in &life.key.workflows {
        let Some(shown) = states.get(id) else {
            if !workflow.ended {
                found.push(violation("lost", format!("workflow {id} came in and is gone")));
            }
            continue;
        };
        if shown.len() != workflow.tasks.len() {
            found.push(violation("lost", format!("workflow {id} has the tasks {:?}", shown.keys())));
        }
        for (task, state) in workflow.tasks.iter().zip(&workflow.states) {
            let shown = shown.get(&task.name).map_or("gone", String::as_str);
            match (shown, &state.completed) {
                ("completed", Some(_)) => {}
                ("completed", None) => {
                    found.push(violation(
                        "nobody",
                        format!("{} of {id} is completed, and nobody did", task.name),
                    ));
                }
                ("failed" | "skipped" | "cancelled", None) => {}
                ("failed" | "skipped" | "cancelled", Some(_)) if workflow.again => {}
                ("failed" | "skipped" | "cancelled" | "gone", Some(token)) => {
                    let story = format!("{token} completed {} of {id}, which is {shown}", task.name);
                    found.push(violation("undone", story));
                }
                _ => found.push(violation("unended", format!("{} of {id} is {shown} in the end", task.name))),
            }
        }
    }
    found.extend(
        states
            .keys()
            .filter(|id| !life.key.workflows.contains_key(*id))
            .map(|id| violation("nobody", format!("workflow {id} is there, and nobody pushed it"))),
    );
    found
}
