//! Decisions about attempts, read-only: what a token is worth, until when a lease lasts, and whether
//! a task that failed or was lost is tried again.

use super::ids::Id;
use super::limits::Settings;
use super::options::TaskOptions;
use super::runs::Run;
use super::space::Space;
use super::state::{TaskState, WorkflowState};
use super::units::{Millis, Nonce, TaskIndex, TaskRef};
use super::workflow::MARK_VOID;

/// What a token is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No such workflow or task.
    Unknown,
    /// The lease went to someone else, was taken back, or the task ended otherwise.
    Stale,
    /// It may end or extend the task: running, or ready again and claimed by nobody else.
    Good(TaskRef),
    /// The attempt failed by this very token, and the task is to be tried again.
    Retried,
    /// The task completed by this very token.
    Completed,
    /// The task failed by this very token.
    Failed,
}

/// What a token is worth.
pub fn judge(space: &Space, id: Id<'_>, index: u32, nonce: Nonce) -> Standing {
    let Some(slot) = space.find(id) else { return Standing::Unknown };
    let (workflow, blueprint) = space.workflow(slot);
    let index = TaskIndex(index);
    if index.at() >= blueprint.shape.len() {
        return Standing::Unknown;
    }
    let shape = &blueprint.shape;
    let newest = workflow.nonce(shape, index) == Some(nonce) && workflow.marks(index) & MARK_VOID == 0;
    match workflow.task_state(index) {
        _ if !newest => Standing::Stale,
        TaskState::Running => Standing::Good(TaskRef { slot, index }),
        TaskState::Ready if workflow.run(shape, index).started.is_some() => {
            Standing::Good(TaskRef { slot, index })
        }
        TaskState::Ready | TaskState::Delayed => Standing::Retried,
        TaskState::Completed => Standing::Completed,
        TaskState::Failed => Standing::Failed,
        TaskState::Waiting | TaskState::Skipped | TaskState::Cancelled => Standing::Stale,
    }
}

/// What a signal to a task comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reception {
    /// Nothing: the task is run by a worker.
    NoSignal,
    /// The task does not wait for it yet.
    Early,
    /// It ends the task.
    Ends,
    /// A signal completed the task before.
    Completed,
    /// A signal failed the task before.
    Failed,
    /// The task ended without one.
    Late,
}

/// What a signal to a task, which must be there, comes to.
pub fn receive(space: &Space, task: TaskRef) -> Reception {
    let (workflow, blueprint) = space.workflow(task.slot);
    if !blueprint.shape.is_signal(task.index) {
        return Reception::NoSignal;
    }
    match workflow.task_state(task.index) {
        TaskState::Waiting | TaskState::Delayed => Reception::Early,
        TaskState::Ready => Reception::Ends,
        TaskState::Completed => Reception::Completed,
        TaskState::Failed if workflow.marks(task.index) & MARK_VOID == 0 => Reception::Failed,
        TaskState::Failed | TaskState::Running | TaskState::Skipped | TaskState::Cancelled => Reception::Late,
    }
}

/// How long a task, which is due, waited for a signal in vain, in milliseconds; `None` when it is due
/// because its delay is over, or is due no more.
pub fn vain(space: &Space, task: TaskRef) -> Option<u64> {
    if receive(space, task) == Reception::Ends { options(space, task).timeout_ms } else { None }
}

fn options(space: &Space, task: TaskRef) -> TaskOptions {
    space.workflow(task.slot).1.shape.options(task.index)
}

/// Whether the work of a task is still wanted: its workflow is running, or the task is what a failure
/// or a cancellation leaves.
pub fn is_wanted(space: &Space, task: TaskRef) -> bool {
    let (workflow, blueprint) = space.workflow(task.slot);
    workflow.state() == WorkflowState::Running || blueprint.shape.survives(task.index)
}

fn run(space: &Space, task: TaskRef) -> Run {
    let (workflow, blueprint) = space.workflow(task.slot);
    workflow.run(&blueprint.shape, task.index)
}

/// The deadline of a lease given now: after `lease_ms`, and never after the attempt times out. The
/// attempt starts now.
pub fn first_deadline(space: &Space, task: TaskRef, now: Millis, lease_ms: u64) -> Millis {
    let (workflow, blueprint) = space.workflow(task.slot);
    let lease = now.plus(lease_ms);
    let timeout = blueprint.shape.options(task.index).timeout_ms;
    workflow.within(timeout.map_or(lease, |timeout| {
        let ready = workflow.run(&blueprint.shape, task.index).ready.unwrap_or_default();
        lease.min(workflow.within(now).max(ready).plus(timeout))
    }))
}

/// The deadline of a lease that is extended now; `None` when the attempt has timed out already.
pub fn next_deadline(space: &Space, task: TaskRef, now: Millis, lease_ms: u64) -> Option<Millis> {
    let lease = now.plus(lease_ms);
    let deadline = match timeout_of(space, task) {
        None => lease,
        Some(timeout) if timeout <= now => return None,
        Some(timeout) => lease.min(timeout),
    };
    Some(space.workflows.at(task.slot).within(deadline))
}

/// When the attempt of a task that was handed out times out, if it may.
fn timeout_of(space: &Space, task: TaskRef) -> Option<Millis> {
    let timeout = options(space, task).timeout_ms?;
    Some(run(space, task).started?.plus(timeout))
}

/// What the worker says about trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing: as the task has it.
    AsSet,
    /// After so many milliseconds.
    After(u64),
    /// Never.
    Never,
}

/// When a task of which an attempt fails now is tried again; `None`: never.
pub fn retry_at(
    space: &Space,
    task: TaskRef,
    now: Millis,
    wish: Wish,
    settings: &Settings,
    random: &mut dyn FnMut() -> u32,
) -> Option<Millis> {
    let workflow = space.workflows.at(task.slot);
    let options = options(space, task);
    let failures = u64::from(space.tried(task).failures) + 1;
    let most = options.max_attempts.map_or(settings.default_max_attempts, u64::from);
    if !is_wanted(space, task) || wish == Wish::Never || failures >= most {
        return None;
    }
    let delay = match wish {
        Wish::After(delay) => delay,
        Wish::AsSet | Wish::Never => {
            let backoff = options.backoff.unwrap_or_default();
            // Only what jitters draws: a random number that nobody uses would make replayed runs differ.
            let random = if backoff.jitter > 0 { random() } else { 0 };
            backoff.delay(failures as u32, random)
        }
    };
    Some(workflow.within(now.plus(delay)))
}

/// What is to be done about a lease whose deadline has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// The task is given back.
    GiveBack,
    /// The attempt has timed out, after so many milliseconds.
    TimedOut(u64),
    /// The task was lost once too often: the error.
    Poisoned(Vec<u8>),
}

/// What is to be done about a running task whose deadline has passed.
pub fn overdue(space: &Space, task: TaskRef, now: Millis, settings: &Settings) -> Overdue {
    if timeout_of(space, task).is_some_and(|timeout| timeout <= now) {
        return Overdue::TimedOut(options(space, task).timeout_ms.unwrap_or_default());
    }
    poisoned(space, task, settings).map_or(Overdue::GiveBack, Overdue::Poisoned)
}

/// The error of a running task that is lost now, if it is lost once too often.
pub fn poisoned(space: &Space, task: TaskRef, settings: &Settings) -> Option<Vec<u8>> {
    let options = options(space, task);
    let lost = u64::from(space.tried(task).lost) + 1;
    let most = options.max_deliveries.map_or(settings.default_max_deliveries, u64::from);
    if !is_wanted(space, task) || lost < most {
        return None;
    }
    let worker = &space.workers.at(run(space, task).worker).name;
    let mut error = format!("lost {lost} times without an acknowledgement, last by ").into_bytes();
    error.extend_from_slice(worker);
    Some(error)
}
