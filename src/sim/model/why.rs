//! WF.WHY: why something is not running. What it says in words, and who asked for work when, the model
//! leaves to others.

use super::look::{counts, state_name};
use super::{Model, Refusal, State, Task, Workflow};
use crate::sim::tree::Tree;

/// Tasks and parents shown.
const SHOWN: usize = 16;
/// Tasks ahead that are counted.
const COUNTED: usize = 1_000;

impl Model {
    /// `WF.WHY key id [task]`
    pub fn why(&self, args: &[Vec<u8>]) -> Result<Tree, Refusal> {
        let (id, name) = match args {
            [id] => (id, None),
            [_, name] if name.len() > 512 => return Err("LIMIT"),
            [id, name] => (id, Some(name)),
            _ => return Err("ERR"),
        };
        let Some(place) = self.find(id) else { return Ok(Tree::Null) };
        let workflow = &self.workflows[place];
        let Some(name) = name else { return Ok(self.why_workflow(place)) };
        let index = workflow.tasks.iter().position(|task| task.name == *name);
        Ok(Tree::maybe(index, |index| self.why_task(place, index)))
    }

    fn why_workflow(&self, place: usize) -> Tree {
        let workflow = &self.workflows[place];
        let holds = |&index: &usize| match workflow.tasks[index].state {
            State::Waiting => workflow.open_parents(index).is_empty(),
            _ => workflow.tasks[index].is_open(),
        };
        let holding: Vec<usize> = (0..workflow.tasks.len()).filter(holds).collect();
        let tasks = holding.iter().take(SHOWN).map(|&index| self.why_task(place, index));
        let pauses = names([(workflow.paused, "workflow"), (self.paused && workflow.is_live(), "space")]);
        Tree::map([
            ("workflow", Tree::text(&workflow.id)),
            ("state", Tree::text(workflow.state())),
            ("words", Tree::Whatever),
            ("finished", Tree::maybe(workflow.finished, Tree::number)),
            ("error", Tree::maybe(workflow.first_error(), Tree::text)),
            ("pauses", pauses),
            ("counts", counts(&mut workflow.tasks.iter())),
            ("holding", Tree::number(holding.len() as u64)),
            ("tasks", Tree::Array(tasks.collect())),
        ])
    }

    fn why_task(&self, place: usize, index: usize) -> Tree {
        let workflow = &self.workflows[place];
        let task = &workflow.tasks[index];
        let open = if task.state == State::Waiting { workflow.open_parents(index) } else { Vec::new() };
        let parents = open.iter().take(SHOWN).map(|&parent| {
            let parent = &workflow.tasks[parent];
            Tree::map([("name", Tree::text(&parent.name)), ("state", Tree::text(state_name(parent)))])
        });
        let can_be_held = task.is_open() && task.state != State::Running && !task.waits_for_signal();
        let pauses = [
            (can_be_held && workflow.paused, "workflow"),
            (can_be_held && !task.signal && self.kinds[&task.kind].paused, "type"),
            (can_be_held && !task.signal && self.paused, "space"),
        ];
        let paused = pauses.iter().any(|(holds, _)| *holds);
        let reasons = match task.state {
            State::Waiting => vec![(!open.is_empty(), "waiting"), (paused, "paused")],
            State::Delayed => vec![(true, "delayed"), (paused, "paused")],
            State::Ready => vec![(paused, "paused"), (true, if task.signal { "signal" } else { "ready" })],
            _ => vec![(true, state_name(task))],
        };
        let first = reasons.iter().find(|(holds, _)| *holds).map(|(_, name)| *name);
        let since = match task.state {
            State::Waiting | State::Delayed => None,
            State::Ready => task.ready,
            State::Running => task.started,
            _ => task.finished,
        };
        let deadline = (task.state == State::Running).then_some(task.deadline).or(task.signal_due());
        let ahead = task.is_offered().then(|| self.ahead(place, index));
        Tree::map([
            ("workflow", Tree::text(&workflow.id)),
            ("task", Tree::text(&task.name)),
            ("type", Tree::text(&task.kind)),
            ("state", Tree::text(state_name(task))),
            ("reason", Tree::maybe(first, Tree::text)),
            ("reasons", names(reasons)),
            ("words", Tree::Whatever),
            ("since", Tree::maybe(since, Tree::number)),
            ("open_parents", Tree::number(open.len() as u64)),
            ("parents", Tree::Array(parents.collect())),
            ("due", Tree::maybe((task.state == State::Delayed).then_some(task.due.1), Tree::number)),
            ("pauses", names(pauses)),
            ("ahead", Tree::maybe(ahead, Tree::number)),
            ("last_asked", Tree::Whatever),
            ("worker", Tree::maybe(task.worker.as_ref(), Tree::text)),
            ("attempt", Tree::number(task.attempts)),
            ("deadline", Tree::maybe(deadline, Tree::number)),
            ("failures", Tree::number(task.failures)),
            ("error", Tree::maybe(task.error.as_ref(), Tree::text)),
        ])
    }

    /// How many ready tasks of its type come before this one; those of paused workflows do not queue.
    fn ahead(&self, place: usize, index: usize) -> u64 {
        let task = &self.workflows[place].tasks[index];
        let key = |place: usize, index: usize, task: &Task| (task.priority, place, index);
        let own = key(place, index, task);
        let mut ahead = 0;
        for (place, workflow) in self.workflows.iter().enumerate().filter(|(_, workflow)| !workflow.paused) {
            for (index, other) in workflow.tasks.iter().enumerate() {
                let queues = other.is_offered() && other.kind == task.kind;
                ahead += usize::from(queues && key(place, index, other) < own);
            }
        }
        ahead.min(COUNTED) as u64
    }
}

impl Workflow {
    /// The parents of a task that have not ended.
    fn open_parents(&self, index: usize) -> Vec<usize> {
        let parents = self.tasks[index].parents.iter().copied();
        parents.filter(|&parent| self.tasks[parent].is_open()).collect()
    }

    /// Why it failed: its deadline, or its first failed task, preferably one that nothing handles; or why
    /// it was cancelled.
    fn first_error(&self) -> Option<Vec<u8>> {
        if let Some(reason) = &self.cancelled {
            return reason.clone();
        }
        if !self.failed {
            return None;
        }
        let has_failed = |&index: &usize| self.tasks[index].state == State::Failed;
        let failed: Vec<usize> = (0..self.tasks.len()).filter(has_failed).collect();
        let failed_it = || failed.iter().find(|&&index| self.is_fatal(index)).or(failed.first());
        let task = || self.tasks[*failed_it()?].error.clone();
        self.error().or_else(task)
    }
}

fn names<'a>(list: impl IntoIterator<Item = (bool, &'a str)>) -> Tree {
    Tree::Array(list.into_iter().filter(|(holds, _)| *holds).map(|(_, name)| Tree::text(name)).collect())
}
