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
        let again: Vec<bool> = (0..workflow.tasks.len())
            .map(|index| match workflow.tasks[index].state {
                State::Failed => named.is_none_or(|named| named == index),
                State::Cancelled => !workflow.is_behind_another_failure(index, named),
                _ => false,
            })
            .collect();
        let stay =
            workflow.tasks.iter().zip(&again).filter(|(_, again)| !**again).map(|(task, _)| task.state);
        let stay: Vec<State> = stay.collect();
        self.happened.extend(stay.contains(&State::Running).then_some("a retry of what runs down"));
        self.happened.extend(stay.contains(&State::Failed).then_some("a retry that leaves a failed task"));
        self.happened.extend(stay.contains(&State::Cancelled).then_some("a cancelled task that stays so"));
        self.happened.extend(workflow.timed_out.then_some("a retry of a timed-out workflow"));
        self.happened.extend((!again.contains(&true)).then_some("a retry of nothing"));
        for (task, again) in workflow.tasks.iter_mut().zip(again) {
            if again {
                task.state = State::Waiting;
                (task.attempts, task.failures, task.lost) = (0, 0, 0);
                (task.worker, task.nonce, task.spent) = (None, None, false);
                (task.ready, task.started, task.finished) = (None, None, None);
                (task.error, task.result) = (None, None);
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
    /// Whether a task that failed, and is not the one that is retried, comes before this one. Without a
    /// name all failed ones are retried, and nothing is behind another.
    fn is_behind_another_failure(&self, index: usize, retried: Option<usize>) -> bool {
        if retried.is_none() {
            return false;
        }
        let (mut seen, mut next) = (vec![false; self.tasks.len()], vec![index]);
        while let Some(index) = next.pop() {
            for &parent in &self.tasks[index].parents {
                if self.tasks[parent].state == State::Failed && Some(parent) != retried {
                    return true;
                }
                if !std::mem::replace(&mut seen[parent], true) {
                    next.push(parent);
                }
            }
        }
        false
    }
}
