//! The types of a space: each has its queue of ready tasks, a pause flag, and statistics.
//!
//! A type lives as long as the space: its counters are what dashboards follow.

use super::ages::Ages;
use super::histogram::Histogram;
use super::ordered::OrderedSet;
use super::state::TaskState;
use super::units::{Millis, TypeId};
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

/// One type.
#[derive(Clone, Debug, Default)]
pub struct Type {
    /// Its name.
    pub name: Box<[u8]>,
    /// Whether it is paused by its own flag.
    pub paused: bool,
    /// Ready tasks of workflows that are not paused, in claim order.
    pub queue: OrderedSet,
    /// Tasks by state.
    pub tasks: [u64; 8],
    /// Tasks completed since the space exists.
    pub completed: u64,
    /// Tasks failed for good since the space exists.
    pub failed: u64,
    /// Milliseconds from ready to claimed.
    pub waits: Histogram,
    /// Milliseconds from claimed to completed or failed.
    pub runs: Histogram,
    /// Since when its ready tasks have been ready, without those that wait for a signal.
    pub ages: Ages,
    /// When a worker last asked for this type by name, 0: never. Not part of what the space is: neither
    /// replicas nor files know it.
    pub asked: Millis,
}

impl Type {
    /// Tasks that could be claimed but for pauses: all that are ready and do not wait for a signal.
    /// O(1), in some hundred steps at most.
    pub fn ready(&self) -> u64 {
        self.ages.count()
    }

    /// Tasks that wait for a signal. As [`Type::ready`].
    pub fn signals(&self) -> u64 {
        self.tasks[TaskState::Ready as usize] - self.ready()
    }

    /// One task of it goes from one state to another.
    pub fn count_move(&mut self, from: TaskState, to: TaskState) {
        self.tasks[from as usize] -= 1;
        self.tasks[to as usize] += 1;
    }
}

/// All types of a space.
#[derive(Clone, Debug, Default)]
pub struct Types {
    entries: Vec<Type>,
    by_name: HashTable<u16>,
    hasher: DefaultHashBuilder,
}

impl Types {
    /// Number of types.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The type of that name.
    pub fn find(&self, name: &[u8]) -> Option<TypeId> {
        let same = |&id: &u16| *self.entries[id as usize].name == *name;
        self.by_name.find(self.hasher.hash_one(name), same).map(|&id| TypeId(id))
    }

    /// The type of that name, made if need be. Planning has seen to it that there is room.
    pub fn intern(&mut self, name: &[u8]) -> TypeId {
        if let Some(id) = self.find(name) {
            return id;
        }
        let id = u16::try_from(self.entries.len()).expect("planning keeps types within 16 bits");
        self.entries.push(Type { name: name.into(), ..Type::default() });
        let Types { entries, by_name, hasher } = self;
        by_name.insert_unique(hasher.hash_one(name), id, |&other| {
            hasher.hash_one(&*entries[other as usize].name)
        });
        TypeId(id)
    }

    /// A type; it must exist.
    pub fn at(&self, id: TypeId) -> &Type {
        &self.entries[id.0 as usize]
    }

    /// A type to change; it must exist.
    pub fn at_mut(&mut self, id: TypeId) -> &mut Type {
        &mut self.entries[id.0 as usize]
    }

    /// Nobody has asked for any.
    pub fn forget_asked(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.asked = Millis(0));
    }

    /// All types, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (TypeId, &Type)> {
        self.entries.iter().enumerate().map(|(id, entry)| (TypeId(id as u16), entry))
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let of = |entry: &Type| {
            entry.name.len()
                + entry.queue.heap_bytes()
                + entry.ages.heap_bytes()
                + (entry.waits.buckets().len() + entry.runs.buckets().len()) * 8
        };
        self.entries.capacity() * size_of::<Type>()
            + self.by_name.allocation_size()
            + self.entries.iter().map(of).sum::<usize>()
    }
}
