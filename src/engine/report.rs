//! What `apply` says happened, for those who wake, announce and count.

use super::ids::Id;
use super::units::TypeId;

/// Something users can listen to as a keyspace notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Event {
    /// A workflow was pushed.
    WorkflowPushed = 1 << 0,
    /// Every task of a workflow completed.
    WorkflowCompleted = 1 << 1,
    /// A workflow failed and nothing of it is running any more.
    WorkflowFailed = 1 << 2,
    /// A workflow was removed.
    WorkflowDeleted = 1 << 3,
    /// A workflow, a type or the space was paused.
    WorkflowPaused = 1 << 4,
    /// A workflow, a type or the space was released.
    WorkflowReleased = 1 << 5,
    /// A task failed for good.
    TaskFailed = 1 << 6,
    /// A lease ran out.
    TaskExpired = 1 << 7,
    /// A worker's task was taken back by WF.RECOVER.
    TaskRecovered = 1 << 8,
    /// An attempt failed and the task will be tried again.
    TaskRetried = 1 << 9,
    /// An attempt took too long.
    TaskTimedOut = 1 << 10,
    /// A workflow took too long.
    WorkflowTimedOut = 1 << 11,
    /// A failed workflow runs again.
    WorkflowRetried = 1 << 12,
    /// A workflow was cancelled and nothing of it is running any more.
    WorkflowCancelled = 1 << 13,
}

impl Event {
    /// All events.
    pub const ALL: [Event; 14] = [
        Event::WorkflowPushed,
        Event::WorkflowCompleted,
        Event::WorkflowFailed,
        Event::WorkflowDeleted,
        Event::WorkflowPaused,
        Event::WorkflowReleased,
        Event::TaskFailed,
        Event::TaskExpired,
        Event::TaskRecovered,
        Event::TaskRetried,
        Event::TaskTimedOut,
        Event::WorkflowTimedOut,
        Event::WorkflowRetried,
        Event::WorkflowCancelled,
    ];

    /// The name of the notification.
    pub fn name(self) -> &'static str {
        match self {
            Event::WorkflowPushed => "workflow.pushed",
            Event::WorkflowCompleted => "workflow.completed",
            Event::WorkflowFailed => "workflow.failed",
            Event::WorkflowDeleted => "workflow.deleted",
            Event::WorkflowPaused => "workflow.paused",
            Event::WorkflowReleased => "workflow.released",
            Event::TaskFailed => "task.failed",
            Event::TaskExpired => "task.expired",
            Event::TaskRecovered => "task.recovered",
            Event::TaskRetried => "task.retried",
            Event::TaskTimedOut => "task.timedout",
            Event::WorkflowTimedOut => "workflow.timedout",
            Event::WorkflowRetried => "workflow.retried",
            Event::WorkflowCancelled => "workflow.cancelled",
        }
    }
}

/// The kinds of events of one command; each is announced once a command, as `lpush` is however
/// many elements it adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventSet(u16);

impl EventSet {
    /// Adds a kind.
    pub fn add(&mut self, event: Event) {
        self.0 |= event as u16;
    }

    /// The names, in a fixed order.
    pub fn iter(self) -> impl Iterator<Item = &'static str> {
        Event::ALL.into_iter().filter(move |event| self.0 & *event as u16 != 0).map(Event::name)
    }
}

/// The report; one is reused for many commands.
#[derive(Debug, Default)]
pub struct Report {
    /// Types that may have got claimable tasks, each once.
    pub readied: Vec<TypeId>,
    seen: Vec<bool>,
    /// Any type may have got claimable tasks.
    pub readied_all: bool,
    /// What happened.
    pub events: EventSet,
    /// Changes applied: an effect is one, or one for each task it leases.
    pub applied: u64,
    /// Leases that ran out.
    pub expired: u64,
    /// Attempts that took too long.
    pub timed_out: u64,
    /// Attempts that failed and are made again.
    pub retried: u64,
    /// Tasks that failed because too many deliveries were lost.
    pub poisoned: u64,
    /// Workflows that took too long.
    pub workflows_timed_out: u64,
    /// Whether anybody wants to know which workflows end; the caller says so beforehand.
    pub names_ended: bool,
    /// If so, the ids of those that finished or were removed.
    pub ended: Vec<Box<[u8]>>,
}

impl Report {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        for &TypeId(id) in &self.readied {
            self.seen[id as usize] = false;
        }
        self.readied.clear();
        self.readied_all = false;
        self.events = EventSet::default();
        self.applied = 0;
        self.expired = 0;
        self.timed_out = 0;
        self.retried = 0;
        self.poisoned = 0;
        self.workflows_timed_out = 0;
        self.names_ended = false;
        self.ended.clear();
    }

    /// A workflow finished or is being removed.
    pub fn end<'s>(&mut self, id: impl FnOnce() -> Id<'s>) {
        if self.names_ended {
            let mut text = Vec::new();
            id().write(&mut text);
            self.ended.push(text.into());
        }
    }

    /// A task of this type became claimable.
    pub fn ready(&mut self, type_id: TypeId) {
        let place = type_id.0 as usize;
        if place >= self.seen.len() {
            self.seen.resize(place + 1, false);
        }
        if !std::mem::replace(&mut self.seen[place], true) {
            self.readied.push(type_id);
        }
    }
}
