//! From drafts and files to shapes: everything that must be true of a DAG.

use super::{Flow, Shape};
use crate::engine::blueprints::hash_of;
use crate::engine::draft::{Draft, Invalid};
use crate::engine::edge::On;
use crate::engine::limits::{MAX_EDGES, MAX_NAME_BYTES, MAX_PAYLOADS_BYTES, MAX_TASKS, Settings};
use crate::engine::options::TaskOptions;
use crate::engine::restore::Impossible;
use crate::engine::units::TaskIndex;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hash};

/// A shape and the types it uses, by name; `type_of` counts these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The DAG.
    pub shape: Shape,
    /// Its distinct types in order of first use.
    pub types: Vec<Box<[u8]>>,
    /// What [`hash_of`] says of it.
    pub hash: u64,
}

impl Checked {
    /// A shape and the names of its types, unless tasks wait for each other.
    pub(super) fn without_cycle(shape: Shape, types: &[&[u8]]) -> Result<Checked, Invalid> {
        if let Some(cycle) = shape.find_cycle() {
            let name = |&task: &TaskIndex| String::from_utf8_lossy(shape.name(task)).into_owned();
            return Err(Invalid::Cycle { tasks: cycle.iter().map(name).collect() });
        }
        Ok(Checked::new(shape, types))
    }

    /// A shape that was checked, and the names of its types.
    pub fn new(shape: Shape, types: &[&[u8]]) -> Checked {
        let hash = hash_of(&shape, |place| types[place]);
        Checked { shape, types: types.iter().map(|&name| name.into()).collect(), hash }
    }
}

impl Shape {
    /// Checks a draft against the rules and the operator's limits.
    pub fn check(draft: &Draft<'_>, settings: &Settings) -> Result<Checked, Invalid> {
        Shape::check_sizes(draft, settings)?;
        let count = draft.tasks.len();
        let Edges { pairs: edges, conditions } = resolve_edges(draft, settings.max_edges)?;
        let (types, type_of) = distinct(draft.tasks.iter().map(|task| task.type_name.as_bytes()));
        let (options, option_of) = distinct_options(draft.tasks.iter().map(|task| task.options));
        let shape = Shape::assemble(
            count,
            |index, out| out.extend_from_slice(draft.tasks[index].name.as_bytes()),
            &edges,
            &type_of,
            options,
            &option_of,
            Flow { conditions, goes_on: draft.goes_on },
        );
        Checked::without_cycle(shape, &types)
    }

    /// A shape from a file: names, for each task the place of its type, options, and edges as
    /// (parent, child, condition). It is checked as a draft is.
    pub fn rebuild(
        names: &[&[u8]],
        type_of: &[u32],
        options: &[TaskOptions],
        mut edges: Vec<(u32, u32, On)>,
        goes_on: bool,
    ) -> Result<Shape, Impossible> {
        let count = names.len();
        if count == 0 || count > MAX_TASKS || edges.len() > MAX_EDGES {
            return Err(Impossible("a shape with too few or too many tasks or edges"));
        }
        if names.iter().any(|name| name.is_empty() || name.len() > MAX_NAME_BYTES) {
            return Err(Impossible("a task without a name, or with a long one"));
        }
        if Places::of(count, |index| names[index]).is_err() {
            return Err(Impossible("two tasks of one name"));
        }
        let known = |task: u32| (task as usize) < count;
        if edges.iter().any(|&(parent, child, _)| parent == child || !known(parent) || !known(child)) {
            return Err(Impossible("an edge between tasks that are not there"));
        }
        edges.sort_unstable_by_key(|&(parent, child, _)| (parent, child));
        edges.dedup_by_key(|&mut (parent, child, _)| (parent, child));
        let Edges { pairs: edges, conditions } = apart(edges);
        let (options, option_of) = distinct_options(options.iter().copied());
        let name = |index: usize, out: &mut Vec<u8>| out.extend_from_slice(names[index]);
        let shape =
            Shape::assemble(count, name, &edges, type_of, options, &option_of, Flow { conditions, goes_on });
        if shape.find_cycle().is_some() {
            return Err(Impossible("tasks that wait for each other"));
        }
        Ok(shape)
    }

    /// Checks what a draft says one by one: numbers and lengths.
    pub fn check_sizes(draft: &Draft<'_>, settings: &Settings) -> Result<(), Invalid> {
        let count = draft.tasks.len();
        if count == 0 {
            return Err(Invalid::NoTasks);
        }
        if count as u64 > settings.max_tasks {
            return Err(Invalid::TooManyTasks { tasks: count, max: settings.max_tasks });
        }
        if draft.name.as_ref().is_some_and(|name| name.len() > MAX_NAME_BYTES) {
            return Err(Invalid::WorkflowNameTooLong);
        }
        let payloads: usize = draft.tasks.iter().map(|task| task.payload.len()).sum();
        if payloads > MAX_PAYLOADS_BYTES {
            return Err(Invalid::PayloadsTooLong);
        }
        for (index, task) in draft.tasks.iter().enumerate() {
            if task.name.is_empty() {
                return Err(Invalid::EmptyName { index });
            }
            if task.name.len() > MAX_NAME_BYTES {
                return Err(Invalid::NameTooLong { index });
            }
            if task.type_name.len() > MAX_NAME_BYTES {
                return Err(Invalid::TypeTooLong { task: task.name.to_string() });
            }
            if task.payload.len() as u64 > settings.max_payload_bytes {
                let max = settings.max_payload_bytes;
                return Err(Invalid::PayloadTooLong { task: task.name.to_string(), max });
            }
        }
        Ok(())
    }

    /// The tasks of one cycle in order, or `None`: Kahn's algorithm, and from what it leaves over
    /// one walk along parents, which must come back to where it has been.
    fn find_cycle(&self) -> Option<Vec<TaskIndex>> {
        let mut open: Vec<u32> = self.indexes().map(|task| self.parents(task).len() as u32).collect();
        let mut free: Vec<TaskIndex> = self.indexes().filter(|task| open[task.at()] == 0).collect();
        let mut done = 0;
        while let Some(task) = free.pop() {
            done += 1;
            for child in self.children(task) {
                open[child.at()] -= 1;
                if open[child.at()] == 0 {
                    free.push(child);
                }
            }
        }
        if done == self.len() {
            return None;
        }
        let mut task = self.indexes().find(|task| open[task.at()] > 0)?;
        let mut step_at = vec![usize::MAX; self.len()];
        let mut path = Vec::new();
        while step_at[task.at()] == usize::MAX {
            step_at[task.at()] = path.len();
            path.push(task);
            task = self.parents(task).find(|parent| open[parent.at()] > 0)?;
        }
        let mut cycle = path.split_off(step_at[task.at()]);
        cycle.reverse();
        Some(cycle)
    }
}

/// Edges as (parent, child), and the condition of each unless all ask for success.
pub(super) struct Edges {
    pub(super) pairs: Vec<(u32, u32)>,
    pub(super) conditions: Vec<On>,
}

/// Edges, and their conditions unless all ask for success.
fn apart(edges: Vec<(u32, u32, On)>) -> Edges {
    let plain = edges.iter().all(|edge| edge.2 == On::Success);
    let conditions = if plain { Vec::new() } else { edges.iter().map(|edge| edge.2).collect() };
    Edges { pairs: edges.into_iter().map(|(parent, child, _)| (parent, child)).collect(), conditions }
}

/// All edges of a draft as (parent, child), sorted and distinct, and their conditions.
fn resolve_edges(draft: &Draft<'_>, max: u64) -> Result<Edges, Invalid> {
    let name = |index: usize| draft.tasks[index].name.as_bytes();
    let places = Places::of(draft.tasks.len(), name)
        .map_err(|twice| Invalid::DuplicateName { task: draft.tasks[twice].name.to_string() })?;
    settle(named_edges(draft, 0, &places)?, name, max)
}

/// The edges that the tasks of a draft name, of which the first is the task `first`.
pub(super) fn named_edges<'a>(
    draft: &Draft<'_>,
    first: usize,
    places: &Places<impl Fn(usize) -> &'a [u8]>,
) -> Result<Vec<Edge>, Invalid> {
    let find = |wanted: &str| places.find(wanted.as_bytes());
    let mut edges: Vec<Edge> = Vec::new();
    for (index, task) in draft.tasks.iter().enumerate() {
        let me = (first + index) as u32;
        for (at, parent) in task.parents.iter().enumerate() {
            let place = find(parent).ok_or_else(|| Invalid::UnknownParent {
                task: task.name.to_string(),
                parent: parent.to_string(),
            })?;
            edges.push((place, me, Some(task.conditions.get(at).copied().unwrap_or_default())));
        }
        for child in &task.children {
            let place = find(child).ok_or_else(|| Invalid::UnknownChild {
                task: task.name.to_string(),
                child: child.to_string(),
            })?;
            edges.push((me, place, None));
        }
    }
    Ok(edges)
}

/// Sorted and distinct edges, and their conditions. An edge that is written from both ends has the
/// condition that the child names.
pub(super) fn settle<'a>(
    mut edges: Vec<Edge>,
    name: impl Fn(usize) -> &'a [u8],
    max: u64,
) -> Result<Edges, Invalid> {
    let name = |task: u32| String::from_utf8_lossy(name(task as usize)).into_owned();
    if let Some(&(me, ..)) = edges.iter().find(|(parent, child, _)| parent == child) {
        return Err(Invalid::SelfEdge { task: name(me) });
    }
    // Those with a condition come first among those between the same tasks.
    edges.sort_unstable_by_key(|&(parent, child, on)| (parent, child, on.is_none(), on.map(|on| on as u8)));
    let same = |one: &Edge, other: &Edge| (one.0, one.1) == (other.0, other.1);
    if let Some(pair) = edges
        .windows(2)
        .find(|pair| same(&pair[0], &pair[1]) && pair[1].2.is_some() && pair[0].2 != pair[1].2)
    {
        let (parent, task, _) = pair[0];
        return Err(Invalid::TwoConditions { task: name(task), parent: name(parent) });
    }
    edges.dedup_by(|later, first| same(later, first));
    if edges.len() as u64 > max {
        return Err(Invalid::TooManyEdges { max });
    }
    Ok(apart(edges.into_iter().map(|(parent, child, on)| (parent, child, on.unwrap_or_default())).collect()))
}

/// An edge as (parent, child), and its condition when the child names it.
pub(super) type Edge = (u32, u32, Option<On>);

/// From names of tasks to their places.
pub(super) struct Places<F> {
    table: HashTable<u32>,
    hasher: hashbrown::DefaultHashBuilder,
    name: F,
}

impl<'a, F: Fn(usize) -> &'a [u8]> Places<F> {
    /// Of so many tasks; the place of the second of two tasks of one name is the error.
    pub(super) fn of(count: usize, name: F) -> Result<Places<F>, usize> {
        let hasher = hashbrown::DefaultHashBuilder::default();
        let mut table: HashTable<u32> = HashTable::with_capacity(count);
        for index in 0..count {
            let hash = hasher.hash_one(name(index));
            if table.find(hash, |&other| name(other as usize) == name(index)).is_some() {
                return Err(index);
            }
            table.insert_unique(hash, index as u32, |&other| hasher.hash_one(name(other as usize)));
        }
        Ok(Places { table, hasher, name })
    }

    fn find(&self, wanted: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(wanted);
        self.table.find(hash, |&other| (self.name)(other as usize) == wanted).copied()
    }
}

/// The distinct items in order of first use, and for each item its place among them.
pub fn distinct<T: Hash + Eq + Copy>(items: impl Iterator<Item = T>) -> (Vec<T>, Vec<u32>) {
    let hasher = hashbrown::DefaultHashBuilder::default();
    let mut found: Vec<T> = Vec::new();
    let mut places: HashTable<u32> = HashTable::new();
    let mut place_of = Vec::with_capacity(items.size_hint().0);
    for item in items {
        if let Some(&last) = place_of.last()
            && found[last as usize] == item
        {
            place_of.push(last);
            continue;
        }
        let hash = hasher.hash_one(item);
        let place = match places.find(hash, |&place| found[place as usize] == item) {
            Some(&place) => place,
            None => {
                found.push(item);
                let place = found.len() as u32 - 1;
                places.insert_unique(hash, place, |&place| hasher.hash_one(found[place as usize]));
                place
            }
        };
        place_of.push(place);
    }
    (found, place_of)
}

/// The distinct options other than none, and for each task 1 + the place of its own, 0 for none.
pub(super) fn distinct_options(options: impl Iterator<Item = TaskOptions>) -> (Vec<TaskOptions>, Vec<u32>) {
    let with_none = std::iter::once(TaskOptions::default()).chain(options);
    let (mut found, mut place_of) = distinct(with_none);
    found.remove(0);
    place_of.remove(0);
    (found, place_of)
}
