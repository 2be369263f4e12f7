//! The sentences of `WF.WHY`.

use super::words::{brief, list, many, quoted, span};
use crate::engine::limits::MAX_SHOWN_AHEAD;
use crate::engine::obstacles::Reason;
use crate::engine::space::Space;
use crate::engine::state::{TaskState, WorkflowState};
use crate::engine::units::{Millis, Slot, TaskIndex, TaskRef};
use crate::engine::view::TaskView;

/// A space as somebody sees it at some time.
pub struct Sight<'s> {
    /// The space.
    pub space: &'s Space,
    /// The time.
    pub now: Millis,
    /// See [`super::call::Call::waits`].
    pub waits: &'s dyn Fn(&[u8], u32) -> bool,
}

/// Who asks for tasks of a type.
enum Asking {
    /// A client waits for one.
    Waits,
    /// A worker did, then.
    Asked(Millis),
    /// Nobody, as far as this server knows.
    Nobody,
}

impl Sight<'_> {
    /// When a worker last asked for a task's type, while that matters.
    pub fn asked(&self, task: TaskRef) -> Option<Millis> {
        let state = self.space.state_of(task);
        if state == TaskState::Running || state.is_final() || self.space.is_signal(task) {
            return None;
        }
        match self.asking(task) {
            Asking::Waits => Some(self.now),
            Asking::Asked(when) => Some(when),
            Asking::Nobody => None,
        }
    }

    fn asking(&self, task: TaskRef) -> Asking {
        let type_id = self.space.workflow(task.slot).1.type_id(task.index);
        if (self.waits)(self.space.type_name(type_id), self.space.priority_of(task)) {
            return Asking::Waits;
        }
        self.space.asked(type_id).map_or(Asking::Nobody, Asking::Asked)
    }

    /// Why a workflow failed or was cancelled.
    pub fn error_of(&self, slot: Slot) -> Option<Vec<u8>> {
        match self.space.workflow(slot).0.state() {
            WorkflowState::Failed => {}
            WorkflowState::Cancelled => return self.space.extra(slot).reason.as_deref().map(<[u8]>::to_vec),
            WorkflowState::Running | WorkflowState::Completed => return None,
        }
        if let Some(timeout) = self.space.extra(slot).timeout.filter(|timeout| timeout.passed) {
            return Some(format!("timed out after {} ms", timeout.after_ms).into_bytes());
        }
        self.space.task(self.first_failed(slot)?).error.map(<[u8]>::to_vec)
    }

    /// The first task that failed the workflow; if their failures are all handled since, by tasks that
    /// were added, the first that failed.
    fn first_failed(&self, slot: Slot) -> Option<TaskRef> {
        let shape = &self.space.workflow(slot).1.shape;
        let failed = |task: &TaskRef| self.space.state_of(*task) == TaskState::Failed;
        let failed_it = |task: &TaskRef| failed(task) && shape.is_fatal(task.index);
        self.space.tasks_of(slot).find(failed_it).or_else(|| self.space.tasks_of(slot).find(failed))
    }

    /// A workflow, of which so many tasks hold it up, and the first of them.
    pub fn of_workflow(
        &self,
        slot: Slot,
        first: Option<TaskRef>,
        holding: usize,
        counts: &[u64; 8],
    ) -> String {
        let (workflow, blueprint) = self.space.workflow(slot);
        let mut id = Vec::new();
        self.space.id_of(slot).write(&mut id);
        let finished = workflow.finished(&blueprint.shape);
        let ago = finished.map(|finished| format!(" {} ago", span(self.now.since(finished))));
        let ago = ago.unwrap_or_default();
        let what = match workflow.state() {
            WorkflowState::Completed => {
                let took = finished.unwrap_or_default().since(workflow.created());
                format!("completed{ago}, {} after it was pushed", span(took))
            }
            WorkflowState::Cancelled => {
                let reason = self.error_of(slot).map(|reason| format!(": {}", quoted(&reason)));
                format!("was cancelled{ago}{}", reason.unwrap_or_default())
            }
            WorkflowState::Failed => format!("failed{ago}{}", self.failure(slot)),
            WorkflowState::Running => {
                let pauses = self.space.pauses_of(slot);
                let what = match (pauses.workflow, pauses.space) {
                    (false, false) => "is running",
                    (true, false) => "is paused",
                    (false, true) => "is held by the pause of the space",
                    (true, true) => "is paused, and so is the space",
                };
                what.to_owned()
            }
        };
        let mut words = format!("Workflow {} {what}", quoted(&id));
        if let Some(first) = first {
            let ended: u64 = TaskState::ALL
                .into_iter()
                .filter(|state| state.is_final())
                .map(|state| counts[state as usize])
                .sum();
            words += &format!(
                "; {ended} of {} ended, {holding} {} it up, first {}: it {}",
                many(blueprint.shape.len(), "task"),
                if holding == 1 { "holds" } else { "hold" },
                quoted(blueprint.shape.name(first.index)),
                self.clauses(first),
            );
        }
        words + "."
    }

    fn failure(&self, slot: Slot) -> String {
        if let Some(timeout) = self.space.extra(slot).timeout.filter(|timeout| timeout.passed) {
            return format!(": it timed out after {}", span(timeout.after_ms));
        }
        let Some(task) = self.first_failed(slot) else { return String::new() };
        let view = self.space.task(task);
        format!(": task {} failed{}", quoted(view.name), because(&view))
    }

    /// A task.
    pub fn of_task(&self, task: TaskRef) -> String {
        let name = self.space.workflow(task.slot).1.shape.name(task.index);
        format!("Task {} {}.", quoted(name), self.clauses(task))
    }

    /// What is to be said of a task, each reason as one clause.
    fn clauses(&self, task: TaskRef) -> String {
        let view = self.space.task(task);
        let clause = |reason: &Reason| match reason {
            Reason::Settled(TaskState::Running) => self.running(&view),
            Reason::Settled(TaskState::Skipped) => self.skipped(task, &view),
            Reason::Settled(state) => self.ended(*state, &view),
            Reason::Waiting => self.waiting(task),
            Reason::Delayed => self.delayed(&view),
            Reason::Paused => self.paused(task, &view),
            Reason::Ready => self.ready(task, &view),
            Reason::Signal => self.signal(task, &view),
        };
        let clauses: Vec<String> = self.space.reasons(task).iter().map(clause).collect();
        clauses.join("; it ")
    }

    fn since(&self, view: &TaskView<'_>) -> String {
        span(view.since().map_or(0, |since| self.now.since(since)))
    }

    fn ended(&self, state: TaskState, view: &TaskView<'_>) -> String {
        let ago = self.since(view);
        match state {
            TaskState::Completed => format!("completed {ago} ago"),
            TaskState::Failed => format!("failed {ago} ago{}", because(view)),
            _ => format!("was {} {ago} ago", state.name()),
        }
    }

    fn skipped(&self, task: TaskRef, view: &TaskView<'_>) -> String {
        let shape = &self.space.workflow(task.slot).1.shape;
        let unmet = shape.parents(task.index).find_map(|parent| {
            let state = self.space.state_of(TaskRef { slot: task.slot, index: parent });
            let on = shape.condition(parent, task.index);
            let parent_name = quoted(shape.name(parent));
            match on.holds(state) {
                false => Some(format!(": it runs on {} of {parent_name}, which {}", on.name(), past(state))),
                true => self.space.skips(parent, task).then(|| format!(": {parent_name} chose to skip it")),
            }
        });
        format!("was skipped {} ago{}", self.since(view), unmet.unwrap_or_default())
    }

    fn running(&self, view: &TaskView<'_>) -> String {
        let deadline = view.deadline.unwrap_or_default();
        let lease = match deadline.since(self.now) {
            0 => format!("its lease ran out {} ago", span(self.now.since(deadline))),
            left => format!("it is leased for another {}", span(left)),
        };
        format!(
            "has been running for {} under worker {}, attempt {}, and {lease}",
            self.since(view),
            quoted(view.worker.unwrap_or_default()),
            view.attempts
        )
    }

    fn waiting(&self, task: TaskRef) -> String {
        const NAMED: usize = 3;
        let shape = &self.space.workflow(task.slot).1.shape;
        let open: Vec<TaskIndex> = self.space.open_parents_of(task).collect();
        let named = open.iter().take(NAMED).map(|&index| {
            let state = self.space.state_of(TaskRef { slot: task.slot, index });
            format!("{} ({})", quoted(shape.name(index)), state.name())
        });
        let mut named: Vec<String> = named.collect();
        if open.len() > NAMED {
            named.push(format!("{} more", open.len() - NAMED));
        }
        format!("waits for {}: {}", many(open.len(), "parent"), list(&named))
    }

    fn delayed(&self, view: &TaskView<'_>) -> String {
        let left = span(view.due.unwrap_or_default().since(self.now));
        match view.tried.failures {
            0 => format!("is delayed for another {left}"),
            failures => format!(
                "is tried again in {left} after {}{}",
                many(usize::from(failures), "failed attempt"),
                because(view)
            ),
        }
    }

    fn paused(&self, task: TaskRef, view: &TaskView<'_>) -> String {
        let named = self.space.pauses(task).names().map(|name| match name {
            "type" => format!("type {}", quoted(view.type_name)),
            name => format!("the {name}"),
        });
        format!("is held by the pause of {}", list(&named.collect::<Vec<_>>()))
    }

    fn signal(&self, task: TaskRef, view: &TaskView<'_>) -> String {
        let held = self.space.workflow(task.slot).0.paused();
        let limit = view.deadline.map(|deadline| match (held, deadline.since(self.now)) {
            (true, _) => ", and cannot time out while the workflow is paused".to_owned(),
            (false, 0) => ", and is about to time out".to_owned(),
            (false, left) => format!(", and times out in {}", span(left)),
        });
        format!("has been waiting for a signal for {}{}", self.since(view), limit.unwrap_or_default())
    }

    fn ready(&self, task: TaskRef, view: &TaskView<'_>) -> String {
        let type_name = quoted(view.type_name);
        let ahead = match self.space.ahead_of(task, MAX_SHOWN_AHEAD) {
            0 => "first".to_owned(),
            MAX_SHOWN_AHEAD => format!("behind {MAX_SHOWN_AHEAD} or more"),
            ahead => format!("behind {ahead}"),
        };
        let asking = match self.asking(task) {
            Asking::Waits => "a worker waits for it".to_owned(),
            Asking::Asked(when) => {
                format!("a worker last asked for that type {} ago", span(self.now.since(when)))
            }
            Asking::Nobody => "no worker is known to have asked for that type".to_owned(),
        };
        format!("has been ready for {}, {ahead} in the queue of type {type_name}; {asking}", self.since(view))
    }
}

/// How a task ended.
fn past(state: TaskState) -> String {
    match state {
        TaskState::Completed | TaskState::Failed => state.name().to_owned(),
        _ => format!("was {}", state.name()),
    }
}

/// Why an attempt failed, behind what is said of it.
fn because(view: &TaskView<'_>) -> String {
    view.error.map(|error| format!(": {}", brief(error))).unwrap_or_default()
}
