//! WF.CANCEL: workflows are called off.

use super::arguments::Words;
use super::{Model, Moment, Refusal, State};
use crate::sim::tree::Tree;

impl Model {
    /// `WF.CANCEL key id [id ...] [REASON text]`
    pub fn cancel(&mut self, args: &[Vec<u8>], moment: &mut Moment<'_>) -> Result<Tree, Refusal> {
        let mut words = Words(args);
        let mut ids = vec![words.need()?];
        let mut reason = None;
        while !words.0.is_empty() {
            if words.0.len() <= 2 && words.keyword("REASON") {
                reason = Some(words.need()?.to_vec());
            } else {
                ids.push(words.need()?);
            }
        }
        if reason.as_ref().is_some_and(|reason| reason.len() as u64 > moment.settings.max_error_bytes) {
            return Err("LIMIT");
        }
        let mut cancelled = 0;
        for id in ids {
            let Some(place) = self.find(id).filter(|&place| self.workflows[place].is_live()) else {
                continue;
            };
            let workflow = &mut self.workflows[place];
            workflow.cancelled = Some(reason.clone());
            let runs = workflow.tasks.iter().any(|task| task.state == State::Running);
            self.note_if(runs, "a cancelled workflow that runs down");
            self.stop(place, moment.now);
            self.settle(place, moment.now);
            cancelled += 1;
        }
        Ok(Tree::Int(cancelled))
    }
}
