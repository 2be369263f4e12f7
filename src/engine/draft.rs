//! A workflow as somebody asked for it: names instead of numbers, nothing checked yet.
//!
//! [`super::shape::Shape::check`] turns it into a shape or says why not.

use super::edge::On;
use super::options::TaskOptions;
use std::borrow::Cow;

/// A workflow to be.
#[derive(Debug, Default)]
pub struct Draft<'a> {
    /// The first failure does not stop what does not depend on it.
    pub goes_on: bool,
    /// What people call it; not unique.
    pub name: Option<Cow<'a, str>>,
    /// The priority of its tasks that have none of their own.
    pub priority: Option<u32>,
    /// How long it may take, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Its tasks, in push order.
    pub tasks: Vec<DraftTask<'a>>,
}

/// A task to be.
#[derive(Debug, Default)]
pub struct DraftTask<'a> {
    /// Unique in the workflow, not empty.
    pub name: Cow<'a, str>,
    /// Which workers may run it; may be empty.
    pub type_name: Cow<'a, str>,
    /// What its worker gets.
    pub payload: Cow<'a, str>,
    /// Tasks that must complete before it.
    pub parents: Vec<Cow<'a, str>>,
    /// The condition of each of these, or nothing when all ask for success.
    pub conditions: Vec<On>,
    /// Tasks that wait for it.
    pub children: Vec<Cow<'a, str>>,
    /// What is said of it beyond that.
    pub options: TaskOptions,
}

/// Why a draft is not a workflow. The words stand in `commands::error`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// There is no task.
    NoTasks,
    /// More tasks than allowed.
    TooManyTasks {
        /// How many there are.
        tasks: usize,
        /// How many there may be.
        max: u64,
    },
    /// More edges than allowed.
    TooManyEdges {
        /// How many there may be.
        max: u64,
    },
    /// The workflow's name is too long.
    WorkflowNameTooLong,
    /// A task without a name.
    EmptyName {
        /// Its place.
        index: usize,
    },
    /// A task whose name is too long.
    NameTooLong {
        /// Its place.
        index: usize,
    },
    /// A task whose type is too long.
    TypeTooLong {
        /// Its name.
        task: String,
    },
    /// All payloads together are too long.
    PayloadsTooLong,
    /// A task whose payload is too long.
    PayloadTooLong {
        /// Its name.
        task: String,
        /// Bytes allowed.
        max: u64,
    },
    /// Two tasks of one name.
    DuplicateName {
        /// The name.
        task: String,
    },
    /// A task to be added of the name of one that is there already.
    NameTaken {
        /// The name.
        task: String,
    },
    /// A task to be added before one that has begun.
    ChildStarted {
        /// The task to be added.
        task: String,
        /// The one that has begun.
        child: String,
    },
    /// A parent that is no task.
    UnknownParent {
        /// The task that names it.
        task: String,
        /// The name.
        parent: String,
    },
    /// A parent that is named with two conditions.
    TwoConditions {
        /// The task that names it.
        task: String,
        /// The name.
        parent: String,
    },
    /// A child that is no task.
    UnknownChild {
        /// The task that names it.
        task: String,
        /// The name.
        child: String,
    },
    /// A task that waits for itself.
    SelfEdge {
        /// The task.
        task: String,
    },
    /// Tasks that wait for each other.
    Cycle {
        /// Their names, each the parent of the next and the last of the first.
        tasks: Vec<String>,
    },
}
