//! WF.WAIT: what became of workflows, and when somebody who waits is told.

use super::arguments::Words;
use super::{Answer, Model, Moment, Refusal, State, Workflow};
use crate::sim::tree::Tree;

const CENTURY: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

impl Model {
    /// `WF.WAIT key id [id ...] [BLOCK ms]`
    pub fn wait(&self, args: &[Vec<u8>], moment: &Moment<'_>) -> Result<Answer, Refusal> {
        let mut words = Words(args);
        let mut ids = vec![words.need()?.to_vec()];
        let mut blocks = false;
        while !words.0.is_empty() {
            if words.0.len() <= 2 && words.keyword("BLOCK") {
                words.number(0, CENTURY)?;
                blocks = true;
            } else {
                ids.push(words.need()?.to_vec());
            }
        }
        if ids.len() > 1024 {
            return Err("LIMIT");
        }
        if blocks && moment.may_block && !self.have_ended(&ids) {
            return Ok(Answer::Blocks);
        }
        Ok(Answer::Reply(self.became(&ids)))
    }

    /// Whether whoever waits for these workflows is answered.
    pub fn have_ended(&self, ids: &[Vec<u8>]) -> bool {
        ids.iter().all(|id| self.find(id).is_none_or(|place| self.workflows[place].finished.is_some()))
    }

    /// What became of these workflows.
    pub fn became(&self, ids: &[Vec<u8>]) -> Tree {
        let entry = |id: &Vec<u8>| {
            Tree::maybe(self.find(id), |place| {
                let workflow = &self.workflows[place];
                Tree::map([
                    ("id", Tree::text(id)),
                    ("state", Tree::text(workflow.state())),
                    ("finished", Tree::maybe(workflow.finished, Tree::number)),
                    ("error", Tree::maybe(workflow.blamed(), Tree::text)),
                    ("results", workflow.final_results()),
                ])
            })
        };
        Tree::Array(ids.iter().map(entry).collect())
    }
}

impl Workflow {
    fn blamed(&self) -> Option<Vec<u8>> {
        if self.state() != "failed" || self.timed_out {
            return self.error();
        }
        let failed_it = |&index: &usize| self.tasks[index].state == State::Failed && self.is_fatal(index);
        let failed = (0..self.tasks.len()).filter(failed_it).map(|index| &self.tasks[index]);
        failed.min_by_key(|task| task.finished).and_then(|task| task.error.clone())
    }

    fn final_results(&self) -> Tree {
        let is_parent = |index| self.tasks.iter().any(|task| task.parents.contains(&index));
        let last = (0..self.tasks.len()).filter(|&index| !is_parent(index)).map(|index| &self.tasks[index]);
        let ended = last.filter(|task| !task.is_open());
        Tree::Map(
            ended
                .map(|task| (Tree::text(&task.name), Tree::maybe(task.result.as_ref(), Tree::text)))
                .collect(),
        )
    }
}
