//! What happened in runs, so that a test can see that it tested something.

use super::record::{Seen, Verb};
use super::request::{Answer, Request};
use crate::sim::runner::Counts;
use crate::sim::tree::Tree;
use std::collections::BTreeMap;
use std::fmt;

/// The counts, by what is counted.
#[derive(Debug, Default)]
pub struct Tally(BTreeMap<&'static str, u64>);

/// What must have happened so often in the set of `cargo test`.
const WANTED: &[(&str, u64)] = &[
    ("COPY", 50),
    ("DEL", 20),
    ("DUMP", 50),
    ("RESTORE", 20),
    ("a clock set ahead", 1_000),
    ("a clock set back", 1_000),
    ("a completion repeated", 500),
    ("a failover", 1_000),
    ("a failover that lost writes", 500),
    ("a file rewritten", 200),
    ("a full resync", 1_000),
    ("a full resync cut", 300),
    ("a handover", 100),
    ("a handover called off", 50),
    ("a late token refused", 1_000),
    ("a lease extended", 500),
    ("a lease ran out", 2_000),
    ("a link cut", 100),
    ("a link cut with effects on their way", 200),
    ("a look at a replica", 30),
    ("a machine that died", 500),
    ("a machine that lost writes", 200),
    ("a partial resync", 100),
    ("a partial resync with a new primary", 200),
    ("a primary that was demoted", 500),
    ("a process that died", 500),
    ("a process that died before it answered", 100),
    ("a process that died in a write", 100),
    ("a promotion in the middle of a full resync", 100),
    ("a push repeated with NX", 300),
    ("a request carried out late", 2_000),
    ("a request that never arrived", 500),
    ("a signal", 300),
    ("a standstill", 500),
    ("a start", 1_000),
    ("a step of the clock was followed", 100),
    ("a task completed", 5_000),
    ("a task failed", 100),
    ("a task lost too many deliveries", 200),
    ("a task taken back", 100),
    ("a token issued", 5_000),
    ("a token issued again", 2_000),
    ("a token issued to one who recovered", 100),
    ("a torn tail", 300),
    ("a waiting worker left unnoticed", 30),
    ("a waiting worker was served", 500),
    ("a workflow called off", 200),
    ("a workflow deleted", 100),
    ("a workflow started", 100),
    ("a workflow that ran again", 30),
    ("a workflow timed out", 200),
    ("a write lost by a failover", 1_000),
    ("an addition repeated", 5),
    ("an answer by a second primary", 1_000),
    ("an attempt failed", 200),
    ("an attempt timed out", 100),
    ("an unknown answer", 1_000),
    ("an unknown answer that had taken effect", 1_000),
    ("an unknown token refused", 500),
    ("a join that fired", 200),
    ("tasks added", 100),
];

impl Tally {
    /// Counts one.
    pub fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    /// Counts an answer.
    pub fn answer(&mut self, request: &Request, answer: &Answer) {
        self.count("an operation");
        match answer {
            Answer::Error("ERR" | "INVALID" | "LIMIT" | "UNDEFINED") => self.count("an error"),
            Answer::Error("EXISTS") if request.name() == "WF.ADD" => self.count("an addition repeated"),
            Answer::Error(_) => self.count("an id that exists"),
            Answer::Reply(Tree::Null) if request.name() == "WF.PUSH" => self.count("a push repeated with NX"),
            Answer::Waits => self.count("a worker that waits"),
            _ => {}
        }
    }

    /// Counts what was seen.
    pub fn seen(&mut self, seen: &Seen) {
        let what = match seen {
            Seen::Pushed { .. } => "a workflow pushed",
            Seen::Defined { .. } => "a definition",
            Seen::Started { .. } => "a workflow started",
            Seen::Handed(handed) if handed.resumed => "a token issued to one who recovered",
            Seen::Handed(handed) if handed.attempt > 1 => "a token issued again",
            Seen::Handed(_) => "a token issued",
            Seen::Settled { verb: Verb::Complete, code: 1, .. } => "a task completed",
            Seen::Settled { verb: Verb::Complete, code: 2, .. } => "a completion repeated",
            Seen::Settled { verb: Verb::Fail, code: 1, .. } => "a task failed",
            Seen::Settled { verb: Verb::Fail, code: 2, .. } => "an attempt failed",
            Seen::Settled { verb: Verb::Extend(_), code: 1.., .. } => "a lease extended",
            Seen::Settled { code: 0, .. } => "a late token refused",
            Seen::Settled { .. } => "an unknown token refused",
            Seen::TakenBack { .. } => "a task taken back",
            Seen::Signalled { code: 1, .. } => "a signal",
            Seen::Signalled { .. } => "a signal that changed nothing",
            Seen::Added { .. } => "tasks added",
            Seen::Cancelled { .. } => "a workflow called off",
            Seen::Retried { .. } => "a workflow that ran again",
            Seen::Deleted { .. } => "a workflow deleted",
            Seen::Ended { .. } => "a workflow that ended",
            Seen::Shifted { .. } | Seen::Expired => return,
            Seen::Dropped => "DEL",
            Seen::Copied => "COPY",
            Seen::Dumped => "DUMP",
            Seen::Restored { .. } => "RESTORE",
        };
        self.count(what);
    }
}

impl Counts for Tally {
    fn add(&mut self, other: &Tally) {
        other.0.iter().for_each(|(what, count)| *self.0.entry(what).or_default() += count);
    }

    fn missing(&self) -> Vec<String> {
        let count = |what: &str| self.0.get(what).copied().unwrap_or(0);
        let missing = WANTED.iter().filter(|(what, wanted)| count(what) < *wanted);
        missing.map(|(what, wanted)| format!("{what}: {} of {wanted}", count(what))).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(|(what, count)| format!("{what} {count}")).collect();
        write!(out, "{}", parts.join(", "))
    }
}
