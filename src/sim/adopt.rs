//! What the model leaves open and learns from the module, after a look whether it is within what the
//! contract allows: the moment that was drawn when a backoff has a jitter, and which finished
//! workflows go when there are too many, or too many bytes of them.

use super::model::{Model, PLENTY, State, Task};
use super::serving::run;
use super::step::Step;
use super::tree::{self, Tree};
use super::world::World;
use crate::commands::call::Outcome;
use crate::engine::ids::Id;

impl World {
    /// Learns from the primary what the model could not know.
    pub fn adopt(&mut self, step: &Step) -> Result<(), String> {
        self.adopt_removals()?;
        for place in 0..self.model.workflows.len() {
            let open = |world: &World, index: usize| {
                let task = &world.model.workflows[place].tasks[index];
                task.state == State::Delayed && task.due.0 < task.due.1
            };
            let indexes = 0..self.model.workflows[place].tasks.len();
            let indexes: Vec<usize> = indexes.filter(|&index| open(self, index)).collect();
            if indexes.is_empty() {
                continue;
            }
            let tasks = self.look(&self.model.workflows[place].id.clone(), step)?;
            for index in indexes {
                let task = &mut self.model.workflows[place].tasks[index];
                let Some(&Tree::Int(due)) = tasks.get(index).and_then(|task| task.field("due")) else {
                    return Err(format!(
                        "a task whose attempt failed is not delayed: {:?}",
                        tasks.get(index)
                    ));
                };
                let (from, until) = task.due;
                if !(from..=until).contains(&(due as u64)) {
                    return Err(format!("an attempt is due at {due}, should be in {from}..={until}"));
                }
                task.due = (due as u64, due as u64);
                let early = (due as u64 - from) < (until - from) / 2;
                self.model.happened.insert(if early { "a large jitter" } else { "a small jitter" });
            }
        }
        Ok(())
    }

    /// The tasks of a workflow on the primary, as all pages of WF.GET show them.
    fn look(&mut self, id: &[u8], step: &Step) -> Result<Vec<Tree>, String> {
        let mut out = Outcome::default();
        let mut tasks = Vec::new();
        let mut next = Some(0);
        while let Some(from) = next {
            let page = [b"TASKS".to_vec(), b"FROM".to_vec(), from.to_string().into_bytes()];
            let args: Vec<Vec<u8>> = [id.to_vec()].into_iter().chain(page).collect();
            run("WF.GET", &args, &mut self.primary, &step.conditions(&self.settings), &mut out)
                .map_err(|error| format!("WF.GET: {error:?}"))?;
            let shown = tree::read(&out.reply)?;
            tasks.extend_from_slice(shown.field("tasks").map_or(&[], Tree::elements));
            next = match shown.field("next") {
                Some(&Tree::Int(next)) => Some(next),
                _ => None,
            };
        }
        Ok(tasks)
    }

    /// Too many finished workflows, or too many bytes of them: the oldest go, and no more than must.
    fn adopt_removals(&mut self) -> Result<(), String> {
        if !std::mem::take(&mut self.model.swept) {
            return Ok(());
        }
        let Some(primary) = &self.primary else { return Ok(()) };
        let model = &self.model;
        let is_there = |place: &usize| primary.find(Id::of(&model.workflows[*place].id)).is_some();
        let (left, gone): (Vec<usize>, Vec<usize>) = model.finished().into_iter().partition(is_there);
        let finished = |place: &usize| model.workflows[*place].finished;
        if gone.iter().map(finished).max() > left.iter().map(finished).min() && !left.is_empty() {
            return Err("a finished workflow went before an older one".to_owned());
        }
        let allowed = model.in_force("retain-count", &self.settings) as usize;
        if left.len() > allowed {
            return Err(format!("{} finished workflows are kept, allowed are {allowed}", left.len()));
        }
        let too_many = (left.len() + gone.len()).saturating_sub(allowed);
        let allowed_bytes = model.in_force("retain-bytes", &self.settings);
        let bytes: u64 = left.iter().map(|&place| at_least_bytes(model, place)).sum();
        if bytes > allowed_bytes {
            return Err(format!(
                "finished workflows have {bytes} bytes or more, allowed are {allowed_bytes}"
            ));
        }
        if gone.len() > too_many && allowed_bytes >= PLENTY {
            return Err(format!("{} finished workflows went, only {too_many} had to", gone.len()));
        }
        if too_many > 0 {
            self.model.happened.insert("a removal by number");
        }
        if gone.len() > too_many {
            self.model.happened.insert("a removal by bytes");
        }
        self.model.forget_before_claim(&gone);
        self.model.remove(gone);
        Ok(())
    }
}

/// Bytes that a workflow, which is finished, cannot do without. One that completed gives up its payloads.
fn at_least_bytes(model: &Model, place: usize) -> u64 {
    let workflow = &model.workflows[place];
    let payload = |task: &Task| if workflow.is_stopped() { task.payload.len() } else { 0 };
    let result = |task: &Task| task.result.as_ref().map_or(0, Vec::len);
    workflow.tasks.iter().map(|task| (1 + payload(task) + result(task)) as u64).sum()
}
