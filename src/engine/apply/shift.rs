//! The clock was set ahead: leases and deadlines keep what they had left.

use crate::engine::agenda::deadline_key;
use crate::engine::extras::{Extra, Timeout};
use crate::engine::keys;
use crate::engine::runs::Run;
use crate::engine::space::Space;
use crate::engine::units::{Millis, Slot, TaskRef};

pub(super) fn shift(space: &mut Space, from: Millis, by: u64) {
    space.at_time(from.plus(by));
    let running: Vec<TaskRef> = space.agenda.leases.iter().map(keys::task_of_lease).collect();
    for task in running {
        let mut at = space.open(task);
        let run = at.run();
        let (Some(started), Some(deadline)) = (run.started, run.finished) else { continue };
        if started <= from {
            at.end_lease(&run);
            let started = at.within(started.plus(by));
            at.begin_lease(Run { started: Some(started), ..run }, deadline.plus(by));
        }
    }
    let waiting: Vec<Slot> = space.agenda.deadlines.iter().map(|key| keys::task_of_lease(key).slot).collect();
    for slot in waiting {
        let extra = space.extra(slot).clone();
        let Some(timeout) = extra.timeout.filter(|_| space.workflows.at(slot).created() <= from) else {
            continue;
        };
        space.drop_deadline(slot);
        let deadline = timeout.deadline.plus(by);
        space.extras.set(slot, Extra { timeout: Some(Timeout { deadline, ..timeout }), ..extra });
        space.agenda.deadlines.insert(deadline_key(deadline, slot));
    }
}
