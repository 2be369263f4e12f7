//! Edges with conditions, and what a failure means.

use super::{Model, State, Workflow};

/// When an edge holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Success,
    Failure,
    Always,
}

impl Workflow {
    /// Whether a task can end otherwise than by completing in a workflow that goes on.
    pub fn is_flow(&self) -> bool {
        let asks = |on: &On| *on != On::Success;
        self.goes_on || self.tasks.iter().any(|task| task.tolerated || task.ons.iter().any(asks))
    }

    /// Whether a task need not wait for its parents any more.
    pub fn parents_are_done(&self, index: usize) -> bool {
        let flow = self.is_flow();
        self.tasks[index].parents.iter().all(|&parent| match flow {
            true => !self.tasks[parent].is_open(),
            // What is skipped there is what somebody chose to skip.
            false => matches!(self.tasks[parent].state, State::Completed | State::Skipped),
        })
    }

    /// Whether all edges to a task hold, its parents having ended.
    pub fn edges_hold(&self, index: usize) -> bool {
        let task = &self.tasks[index];
        task.parents.iter().zip(&task.ons).all(|(&parent, on)| {
            let holds = match (on, self.tasks[parent].state) {
                (On::Success, state) => state == State::Completed,
                (On::Failure, state) => state == State::Failed,
                (On::Always, _) => true,
            };
            holds && !self.tasks[parent].chose_to_skip.contains(&index)
        })
    }

    /// Whether a failure or a cancellation leaves a task: it, or something before it, asks for a failure
    /// or for any end.
    pub fn survives(&self, index: usize) -> bool {
        let mut line = self.before(index);
        line.push(index);
        line.iter().any(|&index| self.tasks[index].ons.iter().any(|on| *on != On::Success))
    }

    /// Whether the failure of a task fails the workflow.
    pub fn is_fatal(&self, index: usize) -> bool {
        let handles = |task: &super::Task| {
            task.parents.iter().zip(&task.ons).any(|edge| edge == (&index, &On::Failure))
        };
        !self.tasks[index].tolerated && !self.tasks.iter().any(handles)
    }

    /// Whether what a task does is still wanted.
    pub fn wants(&self, index: usize) -> bool {
        self.is_live() || (self.finished.is_none() && self.survives(index))
    }
}

impl Model {
    /// Skips the waiting tasks whose parents have ended and whose edges do not hold, as far as one
    /// leads to the next.
    pub fn skip(&mut self, place: usize, now: u64) {
        let workflow = &mut self.workflows[place];
        let time = workflow.created.max(now);
        while let Some(index) = (0..workflow.tasks.len()).find(|&index| {
            workflow.tasks[index].state == State::Waiting
                && workflow.parents_are_done(index)
                && !workflow.edges_hold(index)
        }) {
            workflow.tasks[index].end(State::Skipped, time);
            self.happened.insert("a task that is skipped");
            let task = &workflow.tasks[index];
            let chosen = |&parent: &usize| workflow.tasks[parent].chose_to_skip.contains(&index);
            let chosen = task.parents.iter().filter(|parent| chosen(parent)).count();
            self.happened.extend(match chosen {
                0 if !workflow.is_flow() => Some("a task behind one that somebody chose to skip"),
                0 => None,
                some if some < task.parents.len() => Some("a join that one parent chose to skip"),
                _ => Some("a task that somebody chose to skip"),
            });
            self.happened.extend((chosen > 0 && workflow.paused).then_some("a choice in a paused workflow"));
        }
    }
}
