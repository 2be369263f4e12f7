//! Definitions: workflows that were read and checked once and are started by name from then on.
//!
//! A definition holds on to its blueprint and has the payloads as a new workflow has them, so a
//! start copies one run of bytes and reads no document. What it starts is its own from then on: it
//! shares nothing with the definition but the blueprint, as workflows of one shape do anyway.
//!
//! Rejected: payloads shared with the workflows that were started. A workflow would have to say
//! whose they are, and a definition could not go before the last of them.

use super::blueprints::Blueprint;
use super::fresh::Fresh;
use super::limits::{MAX_DEFINITIONS, MAX_NAME_BYTES};
use super::packed::{Row, put_entry};
use super::units::{BlueprintId, Millis, TaskIndex};
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

/// One definition.
#[derive(Clone, Debug)]
pub struct Definition {
    /// What it is started by; not empty.
    pub name: Box<[u8]>,
    /// The how manieth of its name since there was none, from 1.
    pub version: u64,
    /// The name of the workflows; empty: none.
    pub workflow: Box<[u8]>,
    /// The document's priority.
    pub priority: Option<u32>,
    /// The document's timeout, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Its shape, which it holds on to.
    pub blueprint: BlueprintId,
    /// When this version came.
    pub defined: Millis,
    /// Workflows started from this version.
    pub started: u64,
    /// When the last of them was.
    pub last_started: Option<Millis>,
    payloads: Box<[u8]>,
    /// What a workflow looks like that begins at once; `None`: a task without parents has a delay or waits for a signal.
    fresh: Option<Fresh>,
}

/// What a definition is made of, from a document or a file.
pub struct Parts<'a> {
    /// As in [`Definition`].
    pub name: &'a [u8],
    /// As in [`Definition`].
    pub version: u64,
    /// As in [`Definition`].
    pub workflow: &'a [u8],
    /// As in [`Definition`].
    pub priority: Option<u32>,
    /// As in [`Definition`].
    pub timeout_ms: Option<u64>,
    /// As in [`Definition`].
    pub defined: Millis,
    /// The payload of each task, one after the other.
    pub payloads: Box<[u8]>,
}

/// Payloads as a definition keeps them.
pub fn row(payloads: &[&[u8]]) -> Box<[u8]> {
    let mut bytes = Vec::new();
    payloads.iter().for_each(|payload| put_entry(&mut bytes, payload));
    bytes.into()
}

impl Definition {
    /// A definition from which nothing was started yet.
    pub fn new(parts: Parts<'_>, id: BlueprintId, blueprint: &Blueprint) -> Definition {
        let shape = &blueprint.shape;
        let is_root = |task: TaskIndex| shape.parents(task).len() == 0;
        let waits = |task: TaskIndex| {
            is_root(task) && (shape.options(task).delay_ms.is_some() || shape.is_signal(task))
        };
        let at_once = !shape.indexes().any(waits);
        Definition {
            name: parts.name.into(),
            version: parts.version,
            workflow: parts.workflow.into(),
            priority: parts.priority,
            timeout_ms: parts.timeout_ms,
            blueprint: id,
            defined: parts.defined,
            started: 0,
            last_started: None,
            payloads: parts.payloads,
            fresh: at_once.then(|| Fresh::of(id, blueprint, false).kept()),
        }
    }

    /// The payloads of its `tasks` tasks.
    pub fn payloads(&self, tasks: usize) -> Row<'_> {
        Row::of(&self.payloads, tasks)
    }

    /// What a workflow looks like that begins at once, if a task of it can.
    pub fn fresh(&self) -> Option<&Fresh> {
        self.fresh.as_ref()
    }

    /// Bytes on the heap, without the shape.
    pub fn heap_bytes(&self) -> usize {
        let fresh = self.fresh.as_ref().map_or(0, Fresh::heap_bytes);
        size_of::<Definition>() + self.name.len() + self.workflow.len() + self.payloads.len() + fresh
    }

    /// What must be true of it, given its blueprint and the latest time of the space.
    pub fn check(&self, blueprint: &Blueprint, latest: Millis) -> Result<(), String> {
        let mut rest = &*self.payloads;
        let whole = Row::take(&mut rest, blueprint.shape.len()).is_some() && rest.is_empty();
        let last = self.last_started.max(Some(self.defined));
        let rules = [
            (!self.name.is_empty() && self.name.len() <= MAX_NAME_BYTES, "has a name too short or too long"),
            (self.version > 0, "has no version"),
            (whole, "has other payloads than tasks"),
            ((self.started == 0) == self.last_started.is_none(), "was started or has a time of it, not both"),
            (last <= Some(latest), "is from the future"),
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            Some((_, broken)) => Err(format!("definition '{}' {broken}", self.name.escape_ascii())),
            None => Ok(()),
        }
    }
}

/// The definitions of a space; a space without any pays for a pointer.
#[derive(Clone, Debug, Default)]
pub struct Definitions(Option<Box<Table>>);

/// There are at most [`MAX_DEFINITIONS`], so the table may grow all at once.
#[derive(Clone, Debug, Default)]
struct Table {
    entries: HashTable<Box<Definition>>,
    hasher: DefaultHashBuilder,
    heap_bytes: usize,
}

impl Definitions {
    /// Number of definitions.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |table| table.entries.len())
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether one of this name can be taken in.
    pub fn has_room_for(&self, name: &[u8]) -> bool {
        self.len() < MAX_DEFINITIONS || self.get(name).is_some()
    }

    /// The definition of that name.
    pub fn get(&self, name: &[u8]) -> Option<&Definition> {
        let table = self.0.as_ref()?;
        let found = table.entries.find(table.hasher.hash_one(name), |entry| *entry.name == *name);
        found.map(|entry| &**entry)
    }

    /// The version that the next definition of that name has.
    pub fn next_version(&self, name: &[u8]) -> u64 {
        self.get(name).map_or(0, |definition| definition.version).saturating_add(1)
    }

    /// All of them, by name.
    pub fn sorted(&self) -> Vec<&Definition> {
        let entries = self.0.iter().flat_map(|table| &table.entries);
        let mut all: Vec<&Definition> = entries.map(|entry| &**entry).collect();
        all.sort_unstable_by_key(|definition| &*definition.name);
        all
    }

    /// Adds a definition in place of the one of its name; gives that.
    pub fn insert(&mut self, definition: Definition) -> Option<Box<Definition>> {
        let before = self.remove(&definition.name);
        let Table { entries, hasher, heap_bytes } = &mut **self.0.get_or_insert_default();
        *heap_bytes += definition.heap_bytes();
        let hash = hasher.hash_one(&*definition.name);
        entries.insert_unique(hash, Box::new(definition), |entry| hasher.hash_one(&*entry.name));
        before
    }

    /// Takes out the definition of that name.
    pub fn remove(&mut self, name: &[u8]) -> Option<Box<Definition>> {
        let table = self.0.as_mut()?;
        let hash = table.hasher.hash_one(name);
        let (gone, _) = table.entries.find_entry(hash, |entry| *entry.name == *name).ok()?.remove();
        table.heap_bytes -= gone.heap_bytes();
        if table.entries.is_empty() {
            self.0 = None;
        }
        Some(gone)
    }

    /// Counts a workflow that is started from the definition of that name, which must be there.
    pub fn start(&mut self, name: &[u8], now: Millis) -> &Definition {
        let table = self.0.as_mut().expect("a definition that is started exists");
        let hash = table.hasher.hash_one(name);
        let found = table.entries.find_mut(hash, |entry| *entry.name == *name);
        let definition = found.expect("a definition that is started exists");
        definition.started = definition.started.saturating_add(1);
        definition.last_started = definition.last_started.max(Some(now));
        definition
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let of = |table: &Table| size_of::<Table>() + table.entries.allocation_size() + table.heap_bytes;
        self.0.as_deref().map_or(0, of)
    }
}
