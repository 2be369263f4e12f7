//! A copy of a space. No token works on both: the copy's leases are void, whatever ran is ready
//! again there, and an acknowledgement that the original would know is stale.

use super::lease::end_unheard;
use crate::engine::report::Report;
use crate::engine::space::Space;
use crate::engine::state::TaskState;
use crate::engine::units::{Millis, TaskRef};
use crate::engine::workflow::MARK_VOID;

impl Space {
    /// The copy. The time at which its tasks became ready again is the latest that the space has
    /// seen: COPY runs on replicas too and has no clock of its own.
    pub fn void_copy(&self) -> Space {
        let mut copy = self.clone();
        let now = copy.latest;
        // Nobody has asked it for work.
        copy.asked = Millis(0);
        copy.types.forget_asked();
        copy.events_lost = 0;
        let mut report = Report::default();
        for slot in copy.workflows.by_age() {
            if !copy.workflows.at(slot).has_history() {
                continue;
            }
            let indexes = copy.workflow(slot).1.shape.indexes();
            for index in indexes {
                let task = TaskRef { slot, index };
                if copy.open(task).run().attempt == 0 {
                    continue;
                }
                copy.workflows.at_mut(slot).set_marks(index, MARK_VOID, true);
                if copy.state_of(task) == TaskState::Running {
                    end_unheard(&mut copy, task, now, &mut report);
                }
            }
        }
        copy
    }
}
