//! Effects: everything that can happen to a space, with every choice already made.
//!
//! An effect names tasks by slot, which is an address inside one space. `encoding::effect_text`
//! gives it the form that travels, with ids in place of slots.

use super::ids::Id;
use super::shape::Checked;
use super::units::{BlueprintId, Millis, Nonce, Slot, TaskRef};

/// One change. [`super::apply::apply`] carries it out and cannot fail.
#[derive(Clone, Copy, Debug)]
pub enum Effect<'a> {
    /// A workflow comes in.
    Push(Push<'a>),
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
    },
    /// A task fails for good, and with it its workflow.
    Fail {
        /// When.
        now: Millis,
        /// Which.
        task: TaskRef,
        /// Why.
        error: Option<&'a [u8]>,
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

/// A workflow that comes in.
#[derive(Clone, Copy, Debug)]
pub struct Push<'a> {
    /// Its id.
    pub id: Id<'a>,
    /// When.
    pub now: Millis,
    /// The priority of tasks without their own.
    pub priority: u32,
    /// Whether it comes in paused.
    pub paused: bool,
    /// Its name; empty: none.
    pub name: &'a [u8],
    /// INPUT.
    pub input: Option<&'a [u8]>,
    /// Its blueprint.
    pub blueprint: BlueprintId,
    /// The blueprint's content when it is new.
    pub new: Option<&'a Checked>,
    /// The payload of each task.
    pub payloads: &'a [&'a [u8]],
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
