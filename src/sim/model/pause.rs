//! WF.PAUSE and WF.RELEASE: three kinds of flags over the task states.

use super::arguments::Words;
use super::{Kind, Model, Moment, Refusal};
use crate::sim::tree::Tree;

impl Model {
    /// `WF.PAUSE key ID id [id ...] | TYPE type [type ...] | ALL`
    pub fn pause(&mut self, args: &[Vec<u8>], moment: &mut Moment<'_>) -> Result<Tree, Refusal> {
        self.flag(args, true, moment)
    }

    /// `WF.RELEASE key ID id [id ...] | TYPE type [type ...] | ALL`
    pub fn release(&mut self, args: &[Vec<u8>], moment: &mut Moment<'_>) -> Result<Tree, Refusal> {
        self.flag(args, false, moment)
    }

    fn flag(&mut self, args: &[Vec<u8>], paused: bool, moment: &mut Moment<'_>) -> Result<Tree, Refusal> {
        let mut words = Words(args);
        let mut changed = 0;
        if words.keyword("ALL") {
            if !words.0.is_empty() {
                return Err("ERR");
            }
            if self.exists && self.paused != paused {
                self.paused = paused;
                changed = 1;
            }
        } else if words.keyword("ID") && !words.0.is_empty() {
            while let Some(id) = words.next() {
                changed += self.find(id).map_or(0, |place| self.flag_workflow(place, paused, moment.now));
            }
        } else if words.keyword("TYPE") && !words.0.is_empty() {
            if paused && self.exists {
                self.check_room(words.0.iter(), moment.settings)?;
            }
            while let Some(name) = words.next() {
                if !self.exists || (!paused && !self.kinds.contains_key(name)) {
                    continue;
                }
                let kind: &mut Kind = self.kinds.entry(name.to_vec()).or_default();
                changed += i64::from(kind.paused != paused);
                kind.paused = paused;
            }
        } else {
            return Err("ERR");
        }
        if changed > 0 {
            self.events.insert(if paused { "workflow.paused" } else { "workflow.released" });
        }
        Ok(Tree::Int(changed))
    }

    fn flag_workflow(&mut self, place: usize, paused: bool, now: u64) -> i64 {
        let workflow = &mut self.workflows[place];
        if workflow.paused == paused || !["running", "paused"].contains(&workflow.state()) {
            return 0;
        }
        workflow.paused = paused;
        self.advance(place, now);
        1
    }
}
