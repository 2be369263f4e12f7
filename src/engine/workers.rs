//! Names of workers, what each holds and what it has done. A name lives as long as a task is running
//! under it or a workflow remembers it, and takes its counts along when it goes.

use super::ordered::OrderedSet;
use super::split_table::SplitTable;
use super::units::{Millis, WorkerId};
use hashbrown::DefaultHashBuilder;
use std::hash::BuildHasher;

/// What a worker has done since its name is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deeds {
    /// When it was heard of last: it claimed, acknowledged or recovered. 0: a file did not say.
    pub seen: Millis,
    /// Tasks handed to it.
    pub claims: u64,
    /// Tasks it completed.
    pub completions: u64,
    /// Attempts of its that failed: by WF.FAIL, or because they took too long.
    pub failures: u64,
    /// Deliveries to it that ended without an acknowledgement.
    pub lost: u64,
}

impl Deeds {
    /// It was heard of. A clock that steps back does not make that longer ago.
    pub fn see(&mut self, now: Millis) {
        self.seen = self.seen.max(now);
    }

    /// It got so many tasks.
    pub fn claim(&mut self, tasks: usize, now: Millis) {
        self.claims += tasks as u64;
        self.see(now);
    }

    /// It completed a task.
    pub fn complete(&mut self, now: Millis) {
        self.completions += 1;
        self.see(now);
    }
}

/// One worker.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Its name.
    pub name: Box<[u8]>,
    /// Its running tasks, by [`super::keys::held`].
    pub held: OrderedSet,
    /// Runs that name it, whatever the task's state.
    pub mentions: u32,
    /// What it has done.
    pub deeds: Deeds,
}

/// All workers of a space.
#[derive(Clone, Debug, Default)]
pub struct Workers {
    entries: Vec<Option<Worker>>,
    free: Vec<u32>,
    by_name: SplitTable<u32>,
    hasher: DefaultHashBuilder,
    name_bytes: usize,
}

impl Workers {
    /// Number of names.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The worker of that name.
    pub fn find(&self, name: &[u8]) -> Option<WorkerId> {
        let same = |&id: &u32| *self.at(WorkerId(id)).name == *name;
        self.by_name.find(self.hasher.hash_one(name), same).map(|&id| WorkerId(id))
    }

    /// The worker of that name, made if need be.
    pub fn intern(&mut self, name: &[u8]) -> WorkerId {
        if let Some(id) = self.find(name) {
            return id;
        }
        self.name_bytes += name.len();
        let worker =
            Worker { name: name.into(), held: OrderedSet::default(), mentions: 0, deeds: Deeds::default() };
        let id = match self.free.pop() {
            Some(id) => {
                self.entries[id as usize] = Some(worker);
                id
            }
            None => {
                self.entries.push(Some(worker));
                self.entries.len() as u32 - 1
            }
        };
        let Workers { entries, by_name, hasher, .. } = self;
        by_name.insert(hasher.hash_one(name), id, |&other| {
            hasher.hash_one(&*entries[other as usize].as_ref().expect("named workers exist").name)
        });
        WorkerId(id)
    }

    /// A worker; it must exist.
    pub fn at(&self, id: WorkerId) -> &Worker {
        self.get(id).expect("a run's worker exists")
    }

    /// A worker.
    pub fn get(&self, id: WorkerId) -> Option<&Worker> {
        self.entries.get(id.0 as usize)?.as_ref()
    }

    /// A worker to change; it must exist.
    pub fn at_mut(&mut self, id: WorkerId) -> &mut Worker {
        self.entries[id.0 as usize].as_mut().expect("a run's worker exists")
    }

    /// What a worker has done, to change; it must exist.
    pub fn deeds(&mut self, id: WorkerId) -> &mut Deeds {
        &mut self.at_mut(id).deeds
    }

    /// One more run names it.
    pub fn mention(&mut self, id: WorkerId) {
        self.at_mut(id).mentions += 1;
    }

    /// One run less names it; the last takes the name along.
    pub fn forget(&mut self, id: WorkerId) {
        let worker = self.at_mut(id);
        worker.mentions -= 1;
        if worker.mentions > 0 {
            return;
        }
        debug_assert!(worker.held.is_empty(), "what it holds names it");
        let hash = self.hasher.hash_one(&*self.at(id).name);
        self.by_name.remove(hash, |&other| other == id.0);
        self.name_bytes -= self.at(id).name.len();
        self.entries[id.0 as usize] = None;
        self.free.push(id.0);
        if self.by_name.is_empty() {
            *self = Workers { hasher: self.hasher.clone(), ..Workers::default() };
        }
    }

    /// All workers, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.entries
            .iter()
            .enumerate()
            .filter_map(|(id, worker)| Some((WorkerId(id as u32), worker.as_ref()?)))
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let held: usize = self.iter().map(|(_, worker)| worker.held.heap_bytes()).sum();
        self.entries.capacity() * size_of::<Option<Worker>>()
            + self.by_name.heap_bytes()
            + self.free.capacity() * 4
            + self.name_bytes
            + held
    }
}
