//! A task that waits for a signal ends: one came, or none did in time.

use super::finish::{Completion, annotate, completed, failed};
use crate::engine::effect::SignalEnd;
use crate::engine::notes::NoteKind;
use crate::engine::report::{Event, Report};
use crate::engine::runs::Run;
use crate::engine::space::Space;
use crate::engine::state::TaskState;
use crate::engine::units::{Millis, TaskRef};
use crate::engine::workflow::MARK_VOID;

pub(super) fn end(space: &mut Space, task: TaskRef, now: Millis, end: SignalEnd<'_>, report: &mut Report) {
    space.at_time(now);
    match end {
        SignalEnd::Completed(result) => {
            leave(space, task, now, TaskState::Completed);
            let completion = Completion { result, skipped: &[], frees: true };
            completed(space, task, now, completion, report);
        }
        SignalEnd::Failed(error) => {
            leave(space, task, now, TaskState::Failed);
            annotate(space, task, NoteKind::Error, error);
            failed(space, task, now, report);
        }
        SignalEnd::TimedOut(error) => {
            leave(space, task, now, TaskState::Failed);
            space.open(task).mark(MARK_VOID, true);
            space.lifetime.tasks_timed_out += 1;
            report.timed_out += 1;
            report.events.add(Event::TaskTimedOut);
            annotate(space, task, NoteKind::Error, error);
            failed(space, task, now, report);
        }
    }
}

/// It waits no more and has ended. How long people take says nothing of workers: the times of the type
/// do not count it.
fn leave(space: &mut Space, task: TaskRef, now: Millis, state: TaskState) {
    let mut at = space.open(task);
    let run = at.run();
    at.leave_ready(&run);
    let ready = run.ready.unwrap_or(at.workflow.created());
    let finished = at.within(now).max(ready);
    at.set_run(Run { ready: Some(ready), finished: Some(finished), ..run });
    at.move_to(state);
    at.workflow.close_one();
    match state {
        TaskState::Completed => at.entry.completed += 1,
        _ => at.entry.failed += 1,
    }
}
