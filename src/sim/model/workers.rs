//! WF.WORKERS: who works. A worker is remembered as long as a task that it had last is there.

use super::{Model, Refusal, State};
use crate::sim::tree::Tree;

/// What a worker has done since it is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worker {
    pub seen: u64,
    pub claims: u64,
    pub completions: u64,
    pub failures: u64,
    pub lost: u64,
}

/// Who claims, as it was known just before: it may have been forgotten in between, with the last
/// workflow that named it, when retention made room ahead of the claim.
#[derive(Clone, Debug)]
pub struct Return {
    worker: Vec<u8>,
    claimed_at: u64,
    before: Worker,
    /// The serial numbers of the workflows that named it.
    named_by: Vec<u64>,
}

impl Worker {
    /// It was heard of.
    pub fn see(&mut self, now: u64) {
        self.seen = self.seen.max(now);
    }
}

impl Model {
    /// `WF.WORKERS key`
    pub fn list_workers(&self, args: &[Vec<u8>]) -> Result<Tree, Refusal> {
        if !args.is_empty() {
            return Err("ERR");
        }
        let held = |name: &[u8]| {
            let tasks = self.workflows.iter().flat_map(|workflow| &workflow.tasks);
            tasks.filter(|task| task.state == State::Running && task.worker.as_deref() == Some(name)).count()
        };
        let one = |(name, worker): (&Vec<u8>, &Worker)| {
            Tree::map([
                ("name", Tree::text(name)),
                ("held", Tree::number(held(name) as u64)),
                ("last_seen", Tree::number(worker.seen)),
                ("claims", Tree::number(worker.claims)),
                ("completions", Tree::number(worker.completions)),
                ("failures", Tree::number(worker.failures)),
                ("lost", Tree::number(worker.lost)),
            ])
        };
        Ok(Tree::Array(self.workers.iter().map(one).collect()))
    }

    /// The worker that had a task last.
    pub fn worker_of(&mut self, place: usize, index: usize) -> &mut Worker {
        let name = self.workflows[place].tasks[index].worker.as_ref().expect("somebody had it");
        self.workers.get_mut(name).expect("who had a task is remembered")
    }

    /// Forgets those that no task names.
    pub fn forget_workers(&mut self) {
        let tasks = || self.workflows.iter().flat_map(|workflow| &workflow.tasks);
        self.workers.retain(|name, _| tasks().any(|task| task.worker.as_ref() == Some(name)));
    }

    /// What is known of a worker that is about to claim.
    pub fn before_claim(&self, worker: &[u8], now: u64) -> Return {
        let names_it = |workflow: &&super::Workflow| {
            workflow.tasks.iter().any(|task| task.worker.as_deref() == Some(worker))
        };
        Return {
            worker: worker.to_vec(),
            claimed_at: now,
            before: self.workers.get(worker).copied().unwrap_or_default(),
            named_by: self.workflows.iter().filter(names_it).map(|workflow| workflow.serial).collect(),
        }
    }

    /// These workflows, by their places, went before the claim. If none was left that named its
    /// worker, that began anew.
    pub fn forget_before_claim(&mut self, gone: &[usize]) {
        let Some(Return { worker, claimed_at, before, named_by }) = self.returned.take() else { return };
        let gone: Vec<u64> = gone.iter().map(|&place| self.workflows[place].serial).collect();
        if named_by.is_empty() || !named_by.iter().all(|serial| gone.contains(serial)) {
            return;
        }
        if let Some(now) = self.workers.get_mut(&worker) {
            now.claims -= before.claims;
            now.completions -= before.completions;
            now.failures -= before.failures;
            now.lost -= before.lost;
            now.seen = claimed_at;
        }
    }
}
