//! What happened in one command, for the stream of a space that has one.
//!
//! Only effects that are planned here, on the primary, pass through `carry_out` and thus through
//! [`Journal::note`]; those that come from a primary or from a file do not, so a replica and a server that
//! loads append nothing of their own. Each effect is noted as soon as it was applied: a later one
//! of the same command may remove the workflow.
//!
//! Rejected: collecting this inside `apply`. It would have to be told who plans and who repeats, and
//! what an entry says can be read off the space that the effect left.

use crate::engine::effect::{Cause, Effect, Push, SignalEnd};
use crate::engine::limits::{MAX_EVENT_TEXT_BYTES, Settings};
use crate::engine::space::Space;
use crate::engine::state::{TaskState, WorkflowState};
use crate::engine::units::{Millis, Slot, TaskRef};

/// What an entry tells of.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// What its name says.
    Named(&'static str),
    /// A task failed for good after so many failures, of so many that it may have at most, if it says
    /// so itself.
    Failure(u16, Option<u16>),
}

impl Kind {
    fn name(self, settings: &Settings) -> &'static str {
        match self {
            Kind::Named(name) => name,
            Kind::Failure(failures, most) => {
                let most = most.map_or(settings.default_max_attempts, u64::from);
                if u64::from(failures) >= most { "task.dead" } else { "task.failed" }
            }
        }
    }
}

/// The entries of one command, in one buffer that is reused.
#[derive(Debug, Default)]
pub struct Journal {
    bytes: Vec<u8>,
    /// Each field and where its value ends.
    fields: Vec<(&'static str, usize)>,
    /// Each entry and where its fields end.
    entries: Vec<(Kind, usize)>,
}

impl Journal {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.fields.clear();
        self.entries.clear();
    }

    /// True when there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
            + self.fields.capacity() * size_of::<(&str, usize)>()
            + self.entries.capacity() * size_of::<(Kind, usize)>()
    }

    /// The entries in the order in which things happened: the event and the other fields. `settings` are
    /// those in force in the space.
    pub fn entries(
        &self,
        settings: &Settings,
    ) -> impl Iterator<Item = (&'static str, impl Iterator<Item = (&'static str, &[u8])>)> {
        self.entries.iter().enumerate().map(|(place, &(kind, end))| {
            let start = if place == 0 { 0 } else { self.entries[place - 1].1 };
            (kind.name(settings), (start..end).map(|place| self.field(place)))
        })
    }

    fn field(&self, place: usize) -> (&'static str, &[u8]) {
        let start = if place == 0 { 0 } else { self.fields[place - 1].1 };
        let (name, end) = self.fields[place];
        (name, &self.bytes[start..end])
    }

    /// Notes an effect that was just applied to `space`. Out of the way of spaces that tell nobody.
    #[cold]
    pub fn note(&mut self, space: &Space, effect: &Effect<'_>) {
        let (slot, now) = match *effect {
            Effect::Push(Push { ref terms, .. }) | Effect::Start { ref terms, .. } => {
                let slot = space.find(terms.id).expect("it came in just now");
                self.workflow(space, slot, terms.now);
                self.number("tasks", space.workflow(slot).1.shape.len() as u64);
                self.close(Kind::Named("workflow.pushed"));
                (slot, terms.now)
            }
            Effect::Signal { now, task, end } => {
                let cause = match end {
                    SignalEnd::Completed(_) => None,
                    SignalEnd::Failed(_) => Some("signal"),
                    SignalEnd::TimedOut(_) => Some(cause_word(Cause::TimedOut)),
                };
                if let Some(cause) = cause {
                    self.task(space, task, now, cause);
                    self.close(Kind::Named("task.failed"));
                }
                (task.slot, now)
            }
            Effect::Fail { now, task, cause, .. } => {
                self.task(space, task, now, cause_word(cause));
                self.close(failure(space, task, cause));
                (task.slot, now)
            }
            Effect::Expire { now, task } => {
                self.task(space, task, now, cause_word(Cause::Expired));
                self.close(Kind::Named("task.expired"));
                (task.slot, now)
            }
            Effect::Complete { now, task, .. } | Effect::Recover { now, task } => (task.slot, now),
            Effect::TimeOut { now, slot }
            | Effect::Cancel { now, slot, .. }
            | Effect::Rerun { now, slot, .. } => (slot, now),
            Effect::Add(_)
            | Effect::Claim(_)
            | Effect::Resume(_)
            | Effect::Retry { .. }
            | Effect::Due { .. }
            | Effect::Extend { .. }
            | Effect::Shift { .. }
            | Effect::Configure { .. }
            | Effect::Stream { .. }
            | Effect::Pause { .. }
            | Effect::Release { .. }
            | Effect::Define(_)
            | Effect::Undefine { .. }
            | Effect::Delete { .. } => return,
        };
        // Before these effects something of the workflow was left to do, or it ran again by this one.
        if space.workflow(slot).0.open() == 0 {
            self.end(space, slot, now);
        }
    }

    /// Nothing of a workflow is left to do.
    fn end(&mut self, space: &Space, slot: Slot, now: Millis) {
        let workflow = space.workflow(slot).0;
        let counts = space.counts_of(slot);
        self.workflow(space, slot, now);
        self.number("pushed", workflow.created().0);
        self.number("tasks", counts.iter().sum());
        for state in [TaskState::Completed, TaskState::Failed, TaskState::Skipped, TaskState::Cancelled] {
            self.number(state.name(), counts[state as usize]);
        }
        let event = match workflow.state() {
            WorkflowState::Completed => "workflow.completed",
            WorkflowState::Cancelled => {
                self.text("reason", space.extra(slot).reason.as_deref().unwrap_or_default());
                "workflow.cancelled"
            }
            WorkflowState::Running | WorkflowState::Failed => "workflow.failed",
        };
        self.close(Kind::Named(event));
    }

    fn workflow(&mut self, space: &Space, slot: Slot, now: Millis) {
        self.value("workflow", |bytes| space.id_of(slot).write(bytes));
        self.text("name", space.name_of(slot));
        self.number("at", now.0);
    }

    fn task(&mut self, space: &Space, task: TaskRef, now: Millis, cause: &'static str) {
        let view = space.task(task);
        self.workflow(space, task.slot, now);
        self.text("task", view.name);
        self.text("type", view.type_name);
        self.text("worker", view.worker.unwrap_or_default());
        self.number("attempt", u64::from(view.attempts));
        self.text("cause", cause.as_bytes());
        self.text("error", view.error.unwrap_or_default());
    }

    fn number(&mut self, name: &'static str, number: u64) {
        self.value(name, |bytes| crate::engine::ids::write_integer(number, bytes));
    }

    fn text(&mut self, name: &'static str, text: &[u8]) {
        self.value(name, |bytes| bytes.extend_from_slice(&text[..text.len().min(MAX_EVENT_TEXT_BYTES)]));
    }

    fn value(&mut self, name: &'static str, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.fields.push((name, self.bytes.len()));
    }

    fn close(&mut self, kind: Kind) {
        self.entries.push((kind, self.fields.len()));
    }
}

fn cause_word(cause: Cause) -> &'static str {
    match cause {
        Cause::Reported => "reported",
        Cause::TimedOut => "timeout",
        Cause::Expired => "expired",
        Cause::Recovered => "recovered",
    }
}

/// A task failed for good: whether it has used up its attempts or its deliveries, or may not try again
/// for another reason.
fn failure(space: &Space, task: TaskRef, cause: Cause) -> Kind {
    match cause {
        Cause::Expired | Cause::Recovered => Kind::Named("task.dead"),
        Cause::Reported | Cause::TimedOut => {
            let options = space.workflow(task.slot).1.shape.options(task.index);
            Kind::Failure(space.tried(task).failures, options.max_attempts)
        }
    }
}
