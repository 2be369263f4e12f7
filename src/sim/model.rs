//! The naive model: what a space is and does, said a second time and as plainly as possible.
//!
//! It is written from the contract and not from the engine, and shares no code with it but the table
//! of settings. A space is a list of workflows, a workflow is a list of tasks, every question is
//! answered by looking at all of them. There is no index, no counter that could be wrong, no
//! effect: a command simply does what it says. Where the simulator finds the two apart, one of them
//! does not keep the contract.
//!
//! Clocks step back. What a command decides by the clock (which leases are due, the next deadline)
//! it decides by the clock as it reads it. The times that are told later never run backwards: no
//! task was ready before its workflow was pushed, none started before it was ready, none ended
//! before it started ([`Workflow::not_before_push`], [`Task::end`]).

mod acknowledge;
mod arguments;
mod attempt;
mod cancel;
mod claim;
mod config;
mod definitions;
mod document;
mod events;
mod flow;
mod growth;
mod life;
mod list;
mod look;
mod options;
mod pause;
mod push;
mod results;
mod retry;
mod signal;
mod sweep;
mod wait;
mod why;
mod workers;

pub use definitions::Definition;
pub use events::Entry;
pub use list::Filter;
pub use look::PLENTY;
pub use options::{Backoff, Growth, Options};
pub use workers::{Return, Worker};

use super::tree::Tree;
use crate::engine::limits::Settings;
use std::collections::{BTreeMap, BTreeSet};

/// What a command answers.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// A reply.
    Reply(Tree),
    /// An error that begins with this word.
    Error(&'static str),
    /// None yet: the client waits.
    Blocks,
}

/// Why a command is refused: the first word of its error.
pub type Refusal = &'static str;

/// The circumstances of one command.
pub struct Moment<'a> {
    /// The clock.
    pub now: u64,
    /// When expiry is allowed: from then on, or not at all.
    pub expire_from: Option<u64>,
    /// Whether the client can wait.
    pub may_block: bool,
    /// The source of nonces.
    pub random: &'a mut dyn FnMut() -> u32,
    /// The operator's settings.
    pub settings: &'a Settings,
}

/// The states of a task, in the order of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Waiting,
    Delayed,
    Ready,
    Running,
    Completed,
    Failed,
    Skipped,
    Cancelled,
}

/// The names of all states that replies count, also of those that nothing reaches yet.
pub const STATES: [(&str, Option<State>); 8] = [
    ("waiting", Some(State::Waiting)),
    ("delayed", Some(State::Delayed)),
    ("ready", Some(State::Ready)),
    ("running", Some(State::Running)),
    ("completed", Some(State::Completed)),
    ("failed", Some(State::Failed)),
    ("skipped", Some(State::Skipped)),
    ("cancelled", Some(State::Cancelled)),
];

/// A task.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    pub name: Vec<u8>,
    pub kind: Vec<u8>,
    pub payload: Vec<u8>,
    pub priority: u64,
    pub options: Options,
    pub parents: Vec<usize>,
    /// When the edge from each of these holds.
    pub ons: Vec<flow::On>,
    /// Its failure does not fail the workflow.
    pub tolerated: bool,
    /// A signal ends it, and nobody claims it.
    pub signal: bool,
    /// It failed because no signal came in time.
    pub late: bool,
    pub state: State,
    pub attempts: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Deliveries that ended without an acknowledgement.
    pub lost: u64,
    pub worker: Option<Vec<u8>>,
    /// The random part of the newest token, as long as that may be used or repeated.
    pub nonce: Option<u32>,
    /// The attempt of the newest token failed and the task is tried again.
    pub spent: bool,
    /// Of the lease.
    pub deadline: u64,
    /// Until when it is delayed: the moment lies between the two, which differ only until the draw of
    /// a jitter is known.
    pub due: (u64, u64),
    pub ready: Option<u64>,
    pub started: Option<u64>,
    pub finished: Option<u64>,
    pub error: Option<Vec<u8>>,
    pub result: Option<Vec<u8>>,
    /// Children that it chose to skip when it completed.
    pub chose_to_skip: BTreeSet<usize>,
}

/// A workflow.
#[derive(Clone, Debug, PartialEq)]
pub struct Workflow {
    pub id: Vec<u8>,
    /// The how manieth it is of all that were ever pushed: no other has the number.
    pub serial: u64,
    pub name: Vec<u8>,
    pub priority: u64,
    pub input: Option<Vec<u8>>,
    pub paused: bool,
    pub failed: bool,
    /// A failure does not stop what does not depend on it.
    pub goes_on: bool,
    /// Somebody called it off: the reason, if one was given.
    pub cancelled: Option<Option<Vec<u8>>>,
    /// Its deadline passed.
    pub timed_out: bool,
    pub created: u64,
    pub finished: Option<u64>,
    pub timeout_ms: Option<u64>,
    pub deadline: Option<u64>,
    /// RETAIN of the push.
    pub retain_ms: Option<u64>,
    /// A task of it added others.
    pub grown: bool,
    pub tasks: Vec<Task>,
}

/// What is remembered of a type, besides its tasks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kind {
    pub paused: bool,
    pub completed: u64,
    pub failed: u64,
    pub waits: Vec<u64>,
    pub runs: Vec<u64>,
    /// When tasks became ready since the type had none last, or since the restart.
    pub readied: Vec<u64>,
    /// The earliest of these times, also from before the restart.
    pub earliest: Option<u64>,
}

/// What ever happened in a space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    pub lease_expiries: u64,
    pub attempts_retried: u64,
    pub tasks_timed_out: u64,
    pub tasks_poisoned: u64,
    pub workflows_timed_out: u64,
}

/// A space, or a key that does not exist.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub exists: bool,
    pub paused: bool,
    /// The largest integer ever used as an id.
    pub largest_id: u64,
    /// How many workflows were ever pushed.
    pub pushed: u64,
    /// In the order in which they were pushed.
    pub workflows: Vec<Workflow>,
    pub kinds: BTreeMap<Vec<u8>, Kind>,
    /// Those that had a task last that is there.
    pub workers: BTreeMap<Vec<u8>, Worker>,
    /// Who claimed in the last command.
    pub returned: Option<Return>,
    /// What WF.START can start, by name.
    pub definitions: BTreeMap<Vec<u8>, Definition>,
    /// What WF.CONFIG set and did not set back.
    pub config: BTreeMap<&'static str, u64>,
    /// The stream that is told what happens.
    pub stream: Option<Vec<u8>>,
    pub lifetime: Lifetime,
    /// Every token ever handed out, for the generator.
    pub issued: Vec<Vec<u8>>,
    /// Leases that ran out in the last command.
    pub expired: u64,
    /// What the last command is to append to the stream.
    pub entries: Vec<Entry>,
    /// What the last command is to announce.
    pub events: BTreeSet<&'static str>,
    /// What happened in the last command that a test must not miss.
    pub happened: BTreeSet<&'static str>,
    /// The last command removed what was old.
    pub swept: bool,
}

impl Model {
    /// Runs one command: its name and the arguments after the key.
    pub fn run(&mut self, name: &str, args: &[Vec<u8>], moment: &mut Moment<'_>) -> Answer {
        self.begin();
        let answer = match name {
            "WF.PUSH" => self.push(args, moment).map(Answer::Reply),
            "WF.DEFINE" => self.define(args, moment).map(Answer::Reply),
            "WF.START" => self.start(args, moment).map(Answer::Reply),
            "WF.UNDEFINE" => self.undefine(args).map(Answer::Reply),
            "WF.DEFINITIONS" => self.list_definitions(args).map(Answer::Reply),
            "WF.ADD" => self.add(args, moment).map(Answer::Reply),
            "WF.CLAIM" => self.claim(args, moment),
            "WF.RECOVER" => self.recover(args, moment).map(Answer::Reply),
            "WF.COMPLETE" => self.complete(args, moment).map(Answer::Reply),
            "WF.FAIL" => self.fail(args, moment).map(Answer::Reply),
            "WF.SIGNAL" => self.signal(args, moment).map(Answer::Reply),
            "WF.EXTEND" => self.extend(args, moment).map(Answer::Reply),
            "WF.PAUSE" => self.pause(args, moment).map(Answer::Reply),
            "WF.RELEASE" => self.release(args, moment).map(Answer::Reply),
            "WF.CANCEL" => self.cancel(args, moment).map(Answer::Reply),
            "WF.RETRY" => self.retry(args, moment).map(Answer::Reply),
            "WF.WAIT" => self.wait(args, moment),
            "WF.GET" => self.get(args, moment).map(Answer::Reply),
            "WF.LIST" => self.list(args, moment).map(Answer::Reply),
            "WF.DELETE" => self.delete(args).map(Answer::Reply),
            "WF.STATS" => self.stats(args, moment).map(Answer::Reply),
            "WF.WHY" => self.why(args).map(Answer::Reply),
            "WF.WORKERS" => self.list_workers(args).map(Answer::Reply),
            "WF.CONFIG" => self.configure(args, moment).map(Answer::Reply),
            "WF.APPLY" => Err("ERR"),
            other => panic!("the model knows no {other}"),
        };
        self.free_results();
        self.forget_readied();
        answer.unwrap_or_else(Answer::Error)
    }

    /// What the timer does.
    pub fn sweep(&mut self, moment: &mut Moment<'_>) {
        self.begin();
        self.sweep_due(moment);
        self.free_results();
        self.forget_readied();
    }

    /// Nothing has happened yet.
    fn begin(&mut self) {
        self.expired = 0;
        self.swept = false;
        self.returned = None;
        self.entries.clear();
        self.events.clear();
        self.happened.clear();
    }

    /// Notes that something happened, for the tally.
    fn note(&mut self, what: &'static str) {
        self.happened.insert(what);
    }

    /// The same, if it did.
    fn note_if(&mut self, did: bool, what: &'static str) {
        if did {
            self.note(what);
        }
    }

    /// Whether the workflow has this id.
    pub fn find(&self, id: &[u8]) -> Option<usize> {
        self.workflows.iter().position(|workflow| workflow.id == id)
    }

    /// A copy of the space: no token works there, what ran is ready again. Nothing is counted as lost.
    pub fn void_copy(&self, now: u64) -> Model {
        let mut copy = self.clone();
        for place in 0..copy.workflows.len() {
            for index in 0..copy.workflows[place].tasks.len() {
                copy.workflows[place].tasks[index].nonce = None;
                if copy.workflows[place].tasks[index].state == State::Running {
                    copy.back_to_ready(place, index, now);
                }
            }
        }
        copy
    }

    /// Whether nothing that a command or a reply could see is different.
    pub fn same_state(&self, other: &Model) -> bool {
        let flat = |model: &Model| (model.exists, model.paused, model.largest_id, model.lifetime);
        flat(self) == flat(other)
            && self.workflows == other.workflows
            && self.kinds == other.kinds
            && self.workers == other.workers
            && self.config == other.config
            && self.definitions == other.definitions
            && self.stream == other.stream
    }

    /// Whether a claim of any type could get this task.
    pub fn is_claimable(&self, workflow: &Workflow, task: &Task) -> bool {
        task.is_offered() && !self.paused && !workflow.paused && !self.kinds[&task.kind].paused
    }

    /// The server restarts: it sorts what is ready by the time since when it is.
    pub fn reload(&mut self) {
        for (name, kind) in &mut self.kinds {
            let tasks = self.workflows.iter().flat_map(|workflow| &workflow.tasks);
            let ready = tasks.filter(|task| task.kind == *name && task.is_offered());
            kind.readied = ready.filter_map(|task| task.ready).collect();
            kind.readied.sort_unstable();
        }
    }

    /// A replica takes over: it may have restarted at any time before.
    pub fn promote(&mut self) {
        for kind in self.kinds.values_mut() {
            kind.readied.extend(kind.earliest);
        }
    }

    /// Whether the space has room for these types. Those it knows need none.
    fn check_room<'a>(
        &self,
        names: impl Iterator<Item = &'a Vec<u8>>,
        settings: &Settings,
    ) -> Result<(), Refusal> {
        let new: BTreeSet<_> = names.filter(|name| !self.kinds.contains_key(*name)).collect();
        let fits = new.is_empty() || (self.kinds.len() + new.len()) as u64 <= settings.max_types;
        if fits { Ok(()) } else { Err("LIMIT") }
    }

    /// Starts the lists of ready times over for types without ready tasks.
    fn forget_readied(&mut self) {
        for (name, kind) in &mut self.kinds {
            let mut tasks = self.workflows.iter().flat_map(|workflow| &workflow.tasks);
            if !tasks.any(|task| task.kind == *name && task.is_offered()) {
                kind.readied.clear();
                kind.earliest = None;
            }
        }
    }
}

impl Workflow {
    /// Its state as the contract names it.
    pub fn state(&self) -> &'static str {
        if self.cancelled.is_some() {
            return "cancelled";
        }
        match (self.failed, self.finished, self.paused) {
            (true, _, _) => "failed",
            (false, Some(_), _) => "completed",
            (false, None, true) => "paused",
            (false, None, false) => "running",
        }
    }

    /// Whether it may still do something new: it has neither ended nor failed.
    pub fn is_live(&self) -> bool {
        !self.is_stopped() && self.finished.is_none()
    }

    /// Whether it has failed or was called off: nothing more of it starts.
    pub fn is_stopped(&self) -> bool {
        self.failed || self.cancelled.is_some()
    }

    /// A time of one of its tasks.
    fn not_before_push(&self, time: u64) -> u64 {
        time.max(self.created)
    }

    /// The newest token of a task that was handed out.
    pub fn token(&self, index: usize) -> Vec<u8> {
        let nonce = self.tasks[index].nonce.expect("it was handed out");
        let mut token = self.id.clone();
        token.extend(format!("-{index}-{nonce:08x}").bytes());
        token
    }
}

impl Task {
    /// Whether something is still to come of it.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Waiting | State::Delayed | State::Ready | State::Running)
    }

    /// Whether it is ready for a worker.
    pub fn is_offered(&self) -> bool {
        self.state == State::Ready && !self.signal
    }

    /// The last move of a task.
    fn end(&mut self, state: State, now: u64) {
        self.state = state;
        self.finished = Some(now.max(self.started.unwrap_or(0)));
    }

    /// The attempt goes on, although its lease may have run out: that it was ready for a second time
    /// is forgotten.
    fn go_on(&mut self) {
        self.ready = self.ready.min(self.started);
    }
}
