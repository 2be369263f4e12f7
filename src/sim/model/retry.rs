//! WF.RETRY: a failed workflow runs again.

use super::arguments::Words;
use super::{Model, Moment, Refusal, State, Workflow};
use crate::sim::tree::Tree;

impl Model {
    /// `WF.RETRY key id [TASK name]`
    pub fn retry(&mut self, args: &[Vec<u8>], moment: &mut Moment<'_>) -> Result<Tree, Refusal> {
        let mut words = Words(args);
        let id = words.need()?;
        let name = if words.keyword("TASK") { Some(words.need()?) } else { None };
        if !words.0.is_empty() {
            return Err("ERR");
        }
        let Some(place) = self.find(id) else { return Ok(Tree::Int(-1)) };
        let workflow = &mut self.workflows[place];
        let named = name.map(|name| workflow.tasks.iter().position(|task| task.name == name));
        if named == Some(None) {
            return Ok(Tree::Int(-1));
        }
        let named = named.flatten();
        let has_failed = |index: usize| workflow.tasks[index].state == State::Failed;
        if !workflow.failed || named.is_some_and(|index| !has_failed(index)) {
            return Ok(Tree::Int(0));
        }
        let again: Vec<bool> =
            (0..workflow.tasks.len()).map(|index| workflow.starts_over(index, named)).collect();
        let stay =
            workflow.tasks.iter().zip(&again).filter(|(_, again)| !**again).map(|(task, _)| task.state);
        let stay: Vec<State> = stay.collect();
        self.happened.extend(stay.contains(&State::Running).then_some("a retry of what runs down"));
        self.happened.extend(stay.contains(&State::Failed).then_some("a retry that leaves a failed task"));
        self.happened.extend(stay.contains(&State::Cancelled).then_some("a cancelled task that stays so"));
        self.happened.extend(workflow.timed_out.then_some("a retry of a timed-out workflow"));
        self.happened.extend((!again.contains(&true)).then_some("a retry of nothing"));
        let keeps = |(task, again): (&super::Task, &bool)| !again && !task.chose_to_skip.is_empty();
        let kept = workflow.tasks.iter().zip(&again).any(keeps);
        self.happened.extend(kept.then_some("a retry that keeps a choice"));
        for (task, again) in workflow.tasks.iter_mut().zip(again) {
            if again {
                self.happened.extend(match task.state {
                    State::Completed => Some("a completed task that starts over"),
                    State::Skipped => Some("a skipped task that starts over"),
                    State::Ready | State::Delayed => Some("a task that was about to run and starts over"),
                    _ => None,
                });
                self.happened.extend(task.signal.then_some("a signal that is waited for again"));
                (task.state, task.late) = (State::Waiting, false);
                (task.attempts, task.failures, task.lost) = (0, 0, 0);
                (task.worker, task.nonce, task.spent) = (None, None, false);
                (task.ready, task.started, task.finished) = (None, None, None);
                (task.error, task.result) = (None, None);
                let chose = !std::mem::take(&mut task.chose_to_skip).is_empty();
                self.happened.extend(chose.then_some("a task that chose and starts over"));
            }
        }
        (workflow.failed, workflow.timed_out, workflow.finished) = (false, false, None);
        workflow.deadline = workflow.timeout_ms.map(|timeout| moment.now + timeout);
        self.forget_workers();
        self.events.insert("workflow.retried");
        self.advance(place, moment.now);
        // Everything had completed when its deadline passed.
        self.settle(place, moment.now);
        Ok(Tree::Int(1))
    }
}

impl Workflow {
    /// Whether a task starts over: it, or one before it, failed the workflow or was cancelled. What is
    /// running goes on, and what lies behind a failure that is not retried stays as it is.
    fn starts_over(&self, index: usize, named: Option<usize>) -> bool {
        let failed_it = |index: usize| self.tasks[index].state == State::Failed && self.is_fatal(index);
        let mut line = self.before(index);
        line.push(index);
        let stays = |index: usize| named.is_some_and(|named| named != index) && failed_it(index);
        if self.tasks[index].state == State::Running || line.iter().any(|&index| stays(index)) {
            return false;
        }
        line.iter().any(|&index| match (self.tasks[index].state, named) {
            (State::Cancelled, _) => true,
            (State::Failed, Some(named)) => named == index,
            (State::Failed, None) => self.is_fatal(index),
            _ => false,
        })
    }

    /// All tasks before one.
    pub fn before(&self, index: usize) -> Vec<usize> {
        let (mut found, mut next) = (Vec::new(), vec![index]);
        while let Some(index) = next.pop() {
            for &parent in &self.tasks[index].parents {
                if !found.contains(&parent) {
                    found.push(parent);
                    next.push(parent);
                }
            }
        }
        found
    }
}
