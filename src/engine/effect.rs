//! Effects: everything that can happen to a space, with every choice already made.
//!
//! An effect names tasks by slot, which is an address inside one space. `encoding::effect_text`
//! gives it the form that travels, with ids in place of slots.

use super::extras::Timeout;
use super::ids::Id;
use super::limits::SettingSpec;
use super::shape::Checked;
use super::units::{BlueprintId, Millis, Nonce, Slot, TaskIndex, TaskRef};

/// One change. [`super::apply::apply`] carries it out and cannot fail.
#[derive(Clone, Copy, Debug)]
pub enum Effect<'a> {
    /// A workflow comes in.
    Push(Push<'a>),
    /// A workflow comes in by the definition of this name.
    Start {
        /// Whose.
        definition: &'a [u8],
        /// How.
        terms: Terms<'a>,
    },
    /// A definition comes, in place of the one of its name.
    Define(Define<'a>),
    /// A definition goes; what was started from it stays.
    Undefine {
        /// Whose.
        definition: &'a [u8],
    },
    /// A workflow gets more tasks.
    Add(Add<'a>),
    /// Tasks that are ready are leased to a worker.
    Claim(Lease<'a>),
    /// Running tasks are leased again, to the worker that restarted.
    Resume(Lease<'a>),
    /// A task completes.
    Complete {
        /// When.
        now: Millis,
        /// Which.
        task: TaskRef,
        /// What it gave.
        result: Option<&'a [u8]>,
        /// Children that it chose to skip, in order.
        skipped: &'a [TaskIndex],
        /// Results that nobody can want any more are freed. Not so in what was written before that was.
        frees: bool,
    },
    /// A task fails for good, and with it its workflow.
    Fail {
        /// When.
        now: Millis,
        /// Which.
        task: TaskRef,
        /// Why, in words.
        error: Option<&'a [u8]>,
        /// Why.
        cause: Cause,
    },
    /// A task that waits for a signal ends.
    Signal {
        /// When.
        now: Millis,
        /// Which.
        task: TaskRef,
        /// How.
        end: SignalEnd<'a>,
    },
    /// An attempt failed, and the task is to be tried again.
    Retry {
        /// When.
        now: Millis,
        /// Which.
        task: TaskRef,
        /// When it is tried again.
        due: Millis,
        /// Why, in words.
        error: Option<&'a [u8]>,
        /// Why: [`Cause::Reported`] or [`Cause::TimedOut`].
        cause: Cause,
    },
    /// The delay of a task is over.
    Due {
        /// When.
        now: Millis,
        /// Which.
        task: TaskRef,
    },
    /// The deadline of a workflow has passed.
    TimeOut {
        /// When it was noticed.
        now: Millis,
        /// Which.
        slot: Slot,
    },
    /// Somebody calls a workflow off.
    Cancel {
        /// When.
        now: Millis,
        /// Which.
        slot: Slot,
        /// Why, in words.
        reason: Option<&'a [u8]>,
    },
    /// What failed in a failed workflow runs again, and what was cancelled behind it.
    Rerun {
        /// When.
        now: Millis,
        /// Which.
        slot: Slot,
        /// Only this failed task.
        task: Option<TaskIndex>,
    },
    /// The clock was set ahead: leases and deadlines from before keep what they had left.
    Shift {
        /// What the clock should have shown.
        from: Millis,
        /// By how many milliseconds it showed more.
        by: u64,
    },
    /// The space gets a setting of its own, or with `None` gives it up.
    Configure {
        /// Which; one that a space can have.
        setting: &'static SettingSpec,
        /// The value.
        value: Option<u64>,
    },
    /// The space tells a stream what happens, or with `None` tells nobody.
    Stream {
        /// The key of the stream.
        key: Option<&'a [u8]>,
    },
    /// A lease gets a new deadline; if it had run out, it is taken up again.
    Extend {
        /// Which.
        task: TaskRef,
        /// Until when.
        deadline: Millis,
    },
    /// A lease ran out.
    Expire {
        /// When it was noticed.
        now: Millis,
        /// Which.
        task: TaskRef,
    },
    /// A worker restarted and its task is taken back, its token void.
    Recover {
        /// When.
        now: Millis,
        /// Which.
        task: TaskRef,
    },
    /// Something stops handing out tasks.
    Pause {
        /// What.
        target: Target<'a>,
    },
    /// Something goes on handing out tasks.
    Release {
        /// When.
        now: Millis,
        /// What.
        target: Target<'a>,
    },
    /// A workflow is removed with all it has.
    Delete {
        /// Which.
        slot: Slot,
    },
}

/// How a task ends that waits for a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalEnd<'a> {
    /// A signal completes it: what it gave.
    Completed(Option<&'a [u8]>),
    /// A signal fails it: why, in words.
    Failed(Option<&'a [u8]>),
    /// None came in time: that in words.
    TimedOut(Option<&'a [u8]>),
}

/// Why a task failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its worker said so.
    Reported,
    /// The attempt took too long.
    TimedOut,
    /// Its lease ran out once too often.
    Expired,
    /// WF.RECOVER took it back once too often.
    Recovered,
}

/// How a workflow comes in, whatever it is.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Its id.
    pub id: Id<'a>,
    /// When.
    pub now: Millis,
    /// The priority of tasks without their own.
    pub priority: u32,
    /// Whether it comes in paused.
    pub paused: bool,
    /// Its tasks without parents wait until then.
    pub delayed_until: Option<Millis>,
    /// Its deadline, not passed.
    pub timeout: Option<Timeout>,
    /// How long it is kept once it is finished, in milliseconds.
    pub retain_ms: Option<u64>,
    /// INPUT.
    pub input: Option<&'a [u8]>,
}

/// What an effect says of a shape and of payloads, when somebody has written it down before.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The shape, as if it were new.
    pub shape: &'a [u8],
    /// The payloads.
    pub payloads: &'a [u8],
}

/// What a document comes to.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    /// Its name; empty: none.
    pub name: &'a [u8],
    /// Its blueprint.
    pub blueprint: BlueprintId,
    /// The blueprint's content when it is new.
    pub new: Option<&'a Checked>,
    /// The payload of each task.
    pub payloads: &'a [&'a [u8]],
    /// The same as an effect says it, where that is known.
    pub told: Option<Told<'a>>,
}

/// A workflow that comes in.
#[derive(Clone, Copy, Debug)]
pub struct Push<'a> {
    /// How.
    pub terms: Terms<'a>,
    /// What.
    pub content: Content<'a>,
}

/// A definition that comes.
#[derive(Clone, Copy, Debug)]
pub struct Define<'a> {
    /// What it is started by.
    pub name: &'a [u8],
    /// The how manieth of its name.
    pub version: u64,
    /// When.
    pub now: Millis,
    /// The priority of tasks without their own, unless a start says otherwise.
    pub priority: Option<u32>,
    /// How long a workflow may take, in milliseconds, unless a start says otherwise.
    pub timeout_ms: Option<u64>,
    /// What.
    pub content: Content<'a>,
}

/// Tasks that are added to a workflow.
#[derive(Clone, Copy, Debug)]
pub struct Add<'a> {
    /// When.
    pub now: Millis,
    /// The task that adds them.
    pub task: TaskRef,
    /// The blueprint of all its tasks, those that were there first.
    pub blueprint: BlueprintId,
    /// The blueprint's content when it is new.
    pub new: Option<&'a Checked>,
    /// The payload of each added task.
    pub payloads: &'a [&'a [u8]],
    /// The same as an effect says it, where that is known.
    pub told: Option<Told<'a>>,
}

/// Tasks leased to one worker at one time.
#[derive(Clone, Copy, Debug)]
pub struct Lease<'a> {
    /// To whom.
    pub worker: &'a [u8],
    /// When.
    pub now: Millis,
    /// What.
    pub grants: &'a [Grant],
}

/// One leased task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Which.
    pub task: TaskRef,
    /// The random part of its token.
    pub nonce: Nonce,
    /// Until when.
    pub deadline: Millis,
}

/// What is paused or released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// One workflow.
    Workflow(Slot),
    /// One type, by name: a type may be paused before the first task of it comes in.
    Type(&'a [u8]),
    /// The whole space.
    All,
}
