//! What happened, as clients and servers saw it: what the judge judges.
//!
//! A simulation knows what no client can: what was carried out although nobody heard of it, on which
//! branch of history and where on it. So a record holds all that servers answered, heard or not.

use super::history::{Histories, Position};
use crate::engine::edge::On;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A task as it was pushed.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// The tasks before it, and what is asked of them.
    pub parents: Vec<(String, On)>,
    /// The tasks that were there and now come after it; only of one that was added.
    pub children: Vec<String>,
    /// How long an attempt may take.
    pub timeout_ms: Option<u64>,
}

/// The tasks of a workflow.
#[derive(Clone, Debug)]
pub struct Shape {
    /// They.
    pub tasks: Vec<Task>,
    /// Nothing ends a task of it but its worker: no timeout, no limit of deliveries.
    pub plain: bool,
}

/// What a worker was told of its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// WF.COMPLETE.
    Complete,
    /// WF.FAIL.
    Fail,
    /// WF.EXTEND by so many milliseconds.
    Extend(u64),
}

/// A task that was handed out.
#[derive(Clone, Debug)]
pub struct Handed {
    /// Its token.
    pub token: String,
    /// Its name.
    pub name: String,
    /// Which attempt that is.
    pub attempt: i64,
    /// Until when the lease holds.
    pub deadline: u64,
    /// To whom.
    pub worker: String,
    /// By WF.RECOVER ... RESUME.
    pub resumed: bool,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A workflow came in.
    Pushed { id: String, shape: Rc<Shape> },
    /// A definition came in.
    Defined { name: String, shape: Rc<Shape> },
    /// A workflow came in by its definition.
    Started { id: String, name: String },
    /// A task was handed out.
    Handed(Handed),
    /// A token was used.
    Settled { verb: Verb, token: String, code: i64 },
    /// A task was taken back from its worker.
    TakenBack { token: String },
    /// A signal was sent.
    Signalled { id: String, name: String, code: i64 },
    /// Tasks were added.
    Added { token: String, tasks: Rc<Vec<Task>> },
    /// A workflow was called off: its tasks may end without a worker.
    Cancelled { id: String },
    /// A failed workflow runs again.
    Retried { id: String },
    /// A workflow was deleted.
    Deleted { id: String },
    /// A workflow finished, or was removed for its age.
    Ended { id: String },
    /// The clock of the server was set ahead.
    Shifted { from: u64, by: u64 },
    /// Leases ran out, or attempts timed out.
    Expired,
    /// The key was deleted.
    Dropped,
    /// The key was replaced by its copy.
    Copied,
    /// The key was dumped.
    Dumped,
    /// The key was replaced by the dump from then.
    Restored { from: Position },
}

/// It, where and when.
#[derive(Clone, Debug)]
pub struct Event {
    /// Where the server stood afterwards.
    pub at: Position,
    /// What the server's clock showed.
    pub clock: u64,
    /// What.
    pub seen: Seen,
}

/// What a server had promised to keep, and where it stood when it went on.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What it had to keep.
    pub must: Position,
    /// Where it stood.
    pub stands: Position,
    /// What had happened.
    pub why: String,
}

/// How workflows stand in the end: their tasks' states by name.
pub type Final = BTreeMap<String, BTreeMap<String, String>>;

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The branches.
    pub histories: Histories,
    /// What happened, in the order of true time.
    pub events: Vec<Event>,
    /// What was kept.
    pub kept: Vec<Kept>,
}
