//! What must have happened, or it was not tested.

use super::Tally;
use crate::sim::step::Act;

impl Tally {
    /// What of the contract never happened.
    pub(super) fn never_happened(&self) -> Vec<String> {
        let answers =
            WANTED.iter().flat_map(|(name, answers)| answers.iter().map(move |answer| (*name, *answer)));
        let answers = answers
            .filter(|(name, answer)| !self.answers.contains_key(&((*name).to_owned(), (*answer).to_owned())));
        let events = crate::engine::report::Event::ALL.into_iter().map(|event| event.name());
        let events = events.filter(|event| !self.events.contains_key(event));
        let mut missing: Vec<String> = answers.map(|(name, answer)| format!("{name} -> {answer}")).collect();
        missing.extend(events.map(str::to_owned));
        let entries = ENTRIES.iter().filter(|event| !self.entries.contains_key(*event));
        missing.extend(entries.map(|event| format!("an entry {event}")));
        let happenings = HAPPENINGS.iter().map(|what| (*what).to_owned());
        let disturbances =
            DISTURBANCES.iter().flat_map(|act| WAITS.iter().map(move |wait| format!("{act} during {wait}")));
        missing.extend(happenings.chain(disturbances).filter(|what| !self.happenings.contains_key(what)));
        for (what, count) in [
            ("an expired lease", self.expired),
            ("a waiting client that was served", self.served),
            ("a reload", self.reloads),
            ("a rewrite", self.rewrites),
            ("a replay", self.replays),
            ("a copy", self.copies),
            ("a failover", self.failovers),
            ("stray effects that were refused", self.stray[1]),
            ("a damaged file that was refused", self.corrupt[1]),
        ] {
            if count == 0 {
                missing.push(what.to_owned());
            }
        }
        missing
    }
}

/// Every command, and every kind of answer that the contract gives it.
const WANTED: &[(&str, &[&str])] = &[
    ("WF.PUSH", &["ok", "nil", "INVALID", "EXISTS", "LIMIT", "ERR", "WRONGTYPE"]),
    ("WF.DEFINE", &["n", "INVALID", "LIMIT", "ERR", "WRONGTYPE"]),
    ("WF.START", &["ok", "nil", "UNDEFINED", "EXISTS", "LIMIT", "ERR", "WRONGTYPE"]),
    ("WF.UNDEFINE", &["n", "0", "WRONGTYPE"]),
    ("WF.DEFINITIONS", &["definitions", "empty", "ERR", "WRONGTYPE"]),
    ("WF.ADD", &["n", "0", "-1", "INVALID", "EXISTS", "LIMIT", "ERR", "WRONGTYPE"]),
    ("WF.CLAIM", &["tasks", "with results", "empty", "blocks", "ERR", "WRONGTYPE"]),
    ("WF.COMPLETE", &["1", "2", "0", "-1", "ERR", "LIMIT", "WRONGTYPE"]),
    ("WF.FAIL", &["1", "2", "0", "-1", "ERR", "LIMIT", "WRONGTYPE"]),
    ("WF.SIGNAL", &["1", "2", "3", "0", "-1", "ERR", "LIMIT", "WRONGTYPE"]),
    ("WF.EXTEND", &["1", "2", "0", "-1", "ERR", "WRONGTYPE"]),
    ("WF.PAUSE", &["n", "0", "ERR", "LIMIT", "WRONGTYPE"]),
    ("WF.RELEASE", &["n", "0", "ERR", "WRONGTYPE"]),
    ("WF.RECOVER", &["tokens", "tasks", "empty", "ERR", "WRONGTYPE"]),
    ("WF.WAIT", &["ok", "blocks", "ERR", "LIMIT", "WRONGTYPE"]),
    ("WF.GET", &["map", "map with tasks", "map with a page", "nil", "ERR", "WRONGTYPE"]),
    ("WF.DELETE", &["n", "0", "WRONGTYPE"]),
    ("WF.STATS", &["map", "nil", "ERR", "WRONGTYPE"]),
    ("WF.CANCEL", &["n", "0", "ERR", "LIMIT", "WRONGTYPE"]),
    (
        "WF.WHY",
        &[
            "nil",
            "waiting",
            "delayed",
            "paused",
            "ready",
            "signal",
            "running",
            "completed",
            "failed",
            "skipped",
            "cancelled",
            "workflow",
        ],
    ),
    ("WF.WHY", &["ERR", "LIMIT", "WRONGTYPE"]),
    ("WF.WORKERS", &["workers", "empty", "ERR", "WRONGTYPE"]),
    ("WF.RETRY", &["1", "0", "-1", "ERR", "WRONGTYPE"]),
    ("WF.LIST", &["ok", "ERR", "WRONGTYPE"]),
    ("WF.CONFIG", &["ok", "map", "ERR", "LIMIT", "WRONGTYPE"]),
    ("WF.APPLY", &["ERR"]),
];

/// What befalls the servers.
const DISTURBANCES: [&str; 6] =
    ["a restart", "a restart of the replica", "a promotion", "a rewritten file", "a replay", "a copy"];

/// During each of these waits.
const WAITS: [&str; 16] = [
    "a signal",
    "a signal with a timeout",
    "a workflow that grew",
    "a delay",
    "a backoff",
    "a retry that is ready",
    "an attempt with a timeout",
    "another attempt",
    "another delivery",
    "a workflow with a deadline",
    "a timed-out workflow",
    "a workflow that runs again",
    "a finished workflow",
    "a setting of its own",
    "a definition that was started",
    "a stream of events",
];

/// Every entry of the stream of events.
const ENTRIES: [&str; 7] = [
    "workflow.pushed",
    "workflow.completed",
    "workflow.failed",
    "workflow.cancelled",
    "task.failed",
    "task.expired",
    "task.dead",
];

/// The name of what an act does to the servers.
pub fn disturbance(act: &Act) -> Option<&'static str> {
    Some(match act {
        Act::ReloadPrimary => DISTURBANCES[0],
        Act::ReloadReplica => DISTURBANCES[1],
        Act::Failover => DISTURBANCES[2],
        Act::Rewrite => DISTURBANCES[3],
        Act::Replay => DISTURBANCES[4],
        Act::Copy => DISTURBANCES[5],
        _ => return None,
    })
}

/// Every outcome that time has.
const HAPPENINGS: &[&str] = &[
    "a signal that completes",
    "a signal that fails",
    "a signal that completes again",
    "a signal that fails again",
    "a signal that contradicts the first",
    "a signal that comes early",
    "a signal that comes too late",
    "a signal to a task that was cancelled or skipped",
    "a signal in a paused workflow",
    "a signal in a stopped workflow",
    "a signal that did not come in time",
    "a signal that is late in a paused workflow",
    "a signal that is waited for again",
    "a wait for a signal that is cancelled",
    "a wait that another's end cut short",
    "a cancelled workflow that runs down",
    "a task that is skipped",
    "a result of a task without children",
    "a result that is kept",
    "a result that is freed",
    "a result that is freed at the end",
    "a task that somebody chose to skip",
    "a task behind one that somebody chose to skip",
    "a join that one parent chose to skip",
    "a choice in a paused workflow",
    "a choice in a flow",
    "a choice in a plain workflow",
    "a choice in a stopped workflow",
    "a choice of nothing",
    "a choice of some",
    "a repeated completion with a choice",
    "a task that chose and starts over",
    "a retry that keeps a choice",
    "a task that starts in a stopped workflow",
    "a workflow that fails at its end",
    "tasks added with a token whose lease ran out",
    "tasks added to a paused workflow",
    "a workflow that gets conditions",
    "a task that waits for an added one",
    "a failure handled by an added task",
    "an added task that waits",
    "an added task that is delayed",
    "an added task that is ready at once",
    "an added task that is skipped at once",
    "a task added to a stopped workflow that is cancelled",
    "a task added to a stopped workflow that stays",
    "a task added behind a failure that a retry left",
    "a delay",
    "a delay that is over",
    "a delay that is over in a paused workflow",
    "a delay of a paused workflow",
    "AT in the past",
    "a delayed task that is cancelled",
    "a backoff",
    "a backoff that is over",
    "a small jitter",
    "a large jitter",
    "an attempt that is retried at once",
    "an attempt that failed in a failed workflow",
    "a late failure that is retried",
    "a task whose attempts are used up",
    "RETRY",
    "RETRY of a task whose attempts are used up",
    "NORETRY",
    "FAIL with a spent token",
    "COMPLETE with a spent token",
    "EXTEND with a spent token",
    "EXTEND up to the timeout",
    "EXTEND at the very timeout",
    "EXTEND after the timeout",
    "a lease up to the timeout",
    "a timeout that is retried",
    "a timeout that is final",
    "a task that completes after failures",
    "a task that completes after losses",
    "a delivery lost in a failed workflow",
    "a poisoned task",
    "poison by WF.RECOVER",
    "poison by RESUME",
    "TIMEOUT over the document's",
    "a workflow that timed out",
    "a workflow that timed out and runs down",
    "a paused workflow that timed out",
    "a retry of a timed-out workflow",
    "a retry of what runs down",
    "a retry that leaves a failed task",
    "a completed task that starts over",
    "a skipped task that starts over",
    "a task that was about to run and starts over",
    "a cancelled task that stays so",
    "a removal by age",
    "a removal by RETAIN",
    "a removal by number",
    "a removal by bytes",
    "a lease moved along with the clock",
    "a deadline moved along with the clock",
    "a setting set back",
    "a start of a later version",
    "a start of a root with a delay",
    "a wait: answered",
    "a wait: answered: several",
    "a wait: answered: removed",
    "a wait: goes on",
    "a wait: goes on: the same one",
    "a wait: time is up",
    "events that nobody is told any more",
    "an event of a workflow that goes at once",
    "a listing: on a missing key",
    "a listing: workflows",
    "a listing: dead letters",
    "a listing: several pages while things changed",
    "a listing: several pages and a restart",
];
