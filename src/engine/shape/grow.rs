//! A shape with tasks added behind its own. Those that were there keep their places, so that whatever
//! names one of them by its place goes on doing so.

use super::check::{distinct_options, named_edges, settle};
use super::{Checked, Flow, Places, Shape, distinct};
use crate::engine::draft::{Draft, Invalid};
use crate::engine::edge::On;
use crate::engine::limits::Settings;
use crate::engine::units::TaskIndex;

impl Shape {
    /// The shape with the tasks of a draft added. `types` are the names of its types; `waits` says of
    /// which of its tasks it is not too late to wait for more. O(tasks + edges) of the whole.
    pub fn grow(
        &self,
        types: &[&[u8]],
        draft: &Draft<'_>,
        settings: &Settings,
        waits: impl Fn(TaskIndex) -> bool,
    ) -> Result<Checked, Invalid> {
        Shape::check_sizes(draft, settings)?;
        let first = self.len();
        let names: Vec<&[u8]> =
            self.names().chain(draft.tasks.iter().map(|task| task.name.as_bytes())).collect();
        let name = |index: usize| names[index];
        // Before the limits of the whole, which somebody who repeats himself may have reached.
        let places = Places::of(names.len(), name).map_err(|twice| {
            let task = draft.tasks[twice - first].name.to_string();
            match names[..first].contains(&names[twice]) {
                true => Invalid::NameTaken { task },
                false => Invalid::DuplicateName { task },
            }
        })?;
        if names.len() as u64 > settings.max_tasks {
            return Err(Invalid::TooManyTasks { tasks: names.len(), max: settings.max_tasks });
        }
        let added = named_edges(draft, first, &places)?;
        let late = |&(parent, child, _): &(u32, u32, _)| {
            (parent as usize) >= first && (child as usize) < first && !waits(TaskIndex(child))
        };
        if let Some(&(parent, child, _)) = added.iter().find(|edge| late(edge)) {
            let text = |task: u32| String::from_utf8_lossy(name(task as usize)).into_owned();
            return Err(Invalid::ChildStarted { task: text(parent), child: text(child) });
        }
        let mut edges = Vec::with_capacity(self.edges() + added.len());
        for parent in self.indexes() {
            for child in self.children(parent) {
                let on = self.conditions.as_ref().map_or(On::Success, |conditions| conditions.0[edges.len()]);
                edges.push((parent.0, child.0, Some(on)));
            }
        }
        edges.extend(added);
        let edges = settle(edges, name, settings.max_edges)?;
        let own = self.indexes().map(|task| types[self.type_of(task)]);
        let (types, type_of) = distinct(own.chain(draft.tasks.iter().map(|task| task.type_name.as_bytes())));
        let own = self.indexes().map(|task| self.options(task));
        let (options, option_of) = distinct_options(own.chain(draft.tasks.iter().map(|task| task.options)));
        let shape = Shape::assemble(
            names.len(),
            |index, out| out.extend_from_slice(names[index]),
            &edges.pairs,
            &type_of,
            options,
            &option_of,
            Flow { conditions: edges.conditions, goes_on: self.goes_on },
        );
        Checked::without_cycle(shape, &types)
    }

    /// Whether this is another shape with tasks added behind its own, types aside. Its tasks may wait
    /// for what was added.
    pub fn has_grown_from(&self, before: &Shape) -> bool {
        let count = before.len();
        let same = |task: TaskIndex| {
            let own = |parent: &TaskIndex| parent.at() < count;
            self.options(task) == before.options(task)
                && self.parents(task).filter(own).eq(before.parents(task))
                && before
                    .parents(task)
                    .all(|parent| self.condition(parent, task) == before.condition(parent, task))
        };
        self.len() > count
            && self.goes_on == before.goes_on
            && self.names().take(count).eq(before.names())
            && before.indexes().all(same)
    }
}
