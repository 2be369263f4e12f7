//! A checked DAG in flat arrays: names, types, edges both ways, options. No payloads.
//!
//! All numbers of a shape lie in one array, 16 bits each where tasks and edges allow it and 32
//! otherwise, so a workflow of ten tasks with names of its own costs 128 bytes for them:
//!
//! ```text
//! type_of      n        place of the task's type among the shape's types
//! child_start  n + 1    where a task's children begin in `children`
//! children     e
//! parent_start n + 1    where a task's parents begin in `parents`
//! parents      e
//! join_of      n        place of the task's counter; only when there are joins
//! option_of    n        1 + place of the task's options, 0: none; only when there are options
//! ```
//!
//! A join is a task with two or more parents. Only joins need a counter of open parents.

mod check;
mod grow;

use check::Places;
pub use check::{Checked, distinct};

use super::edge::On;
use super::options::TaskOptions;
use super::packed;
use super::state::TaskState;
use super::units::TaskIndex;

/// The numbers of a shape, as narrow as they can be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Words {
    Narrow(Box<[u16]>),
    Wide(Box<[u32]>),
}

impl Words {
    fn at(&self, place: usize) -> u32 {
        match self {
            Words::Narrow(words) => u32::from(words[place]),
            Words::Wide(words) => words[place],
        }
    }
}

/// The shape; see the module's prose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    tasks: u32,
    edges: u32,
    joins: u32,
    counter_width: u8,
    names: Box<[u8]>,
    words: Words,
    options: Box<[TaskOptions]>,
    conditions: Option<Box<Conditions>>,
    /// A failure does not stop what does not depend on it.
    goes_on: bool,
    flow: bool,
    /// Some task is a signal task.
    signals: bool,
}

/// The condition of each edge in the order of `children`, not all of which ask for success. Apart, so
/// that a shape without any pays for one pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Conditions(Box<[On]>);

impl Conditions {
    fn of(conditions: Vec<On>) -> Option<Box<Conditions>> {
        (!conditions.is_empty()).then(|| Box::new(Conditions(conditions.into())))
    }
}

/// What is said of how a workflow flows beyond its edges.
#[derive(Clone, Debug, Default)]
pub struct Flow {
    /// The condition of each edge, or nothing when all ask for success.
    pub conditions: Vec<On>,
    /// A failure does not stop what does not depend on it.
    pub goes_on: bool,
}

/// No counter: the task has at most one parent.
const NO_JOIN: u32 = u16::MAX as u32;

impl Shape {
    /// Puts the arrays together. `edges` are (parent, child), sorted and distinct.
    fn assemble(
        count: usize,
        mut name: impl FnMut(usize, &mut Vec<u8>),
        edges: &[(u32, u32)],
        type_of: &[u32],
        options: Vec<TaskOptions>,
        option_of: &[u32],
        flow: Flow,
    ) -> Shape {
        let mut names = Vec::new();
        packed::write(&mut names, count, &mut name);
        let mut in_degree = vec![0u32; count];
        for &(_, child) in edges {
            in_degree[child as usize] += 1;
        }
        let joins = in_degree.iter().filter(|&&parents| parents > 1).count();
        let widest = in_degree.iter().copied().max().unwrap_or(0);
        let sections = 3 + usize::from(joins > 0) + usize::from(!options.is_empty());
        let mut words = Vec::with_capacity(count * sections + 2 + edges.len() * 2);
        words.extend_from_slice(type_of);
        let mut next = 0;
        for task in 0..=count as u32 {
            while next < edges.len() && edges[next].0 < task {
                next += 1;
            }
            words.push(next as u32);
        }
        words.extend(edges.iter().map(|edge| edge.1));
        let mut start = 0u32;
        let mut fill: Vec<u32> = Vec::with_capacity(count);
        for &parents in &in_degree {
            words.push(start);
            fill.push(start);
            start += parents;
        }
        words.push(start);
        let parents_at = words.len();
        words.resize(parents_at + edges.len(), 0);
        for &(parent, child) in edges {
            let place = &mut fill[child as usize];
            words[parents_at + *place as usize] = parent;
            *place += 1;
        }
        let narrow = count < NO_JOIN as usize && edges.len() < NO_JOIN as usize;
        if joins > 0 {
            let none = if narrow { NO_JOIN } else { u32::MAX };
            let mut join = 0;
            words.extend(in_degree.iter().map(|&parents| {
                if parents < 2 {
                    return none;
                }
                join += 1;
                join - 1
            }));
        }
        if !options.is_empty() {
            words.extend_from_slice(option_of);
        }
        let tolerant = options.iter().any(|options| options.tolerated);
        Shape {
            flow: flow.goes_on || !flow.conditions.is_empty() || tolerant,
            signals: options.iter().any(|options| options.signal),
            tasks: count as u32,
            edges: edges.len() as u32,
            joins: joins as u32,
            counter_width: match widest {
                0..=0xff => 1,
                0x100..=0xffff => 2,
                _ => 4,
            },
            names: names.into(),
            words: if narrow {
                Words::Narrow(words.iter().map(|&word| word as u16).collect())
            } else {
                Words::Wide(words.into())
            },
            options: options.into(),
            conditions: Conditions::of(flow.conditions),
            goes_on: flow.goes_on,
        }
    }

    /// Whether a failure does not stop what does not depend on it.
    pub fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// Whether an edge asks for anything but success.
    pub fn has_conditions(&self) -> bool {
        self.conditions.is_some()
    }

    /// Whether a task can end otherwise than by completing without the workflow being stopped. Then
    /// children wait until their parents have ended; otherwise, which is faster, until they have
    /// completed.
    pub fn is_flow(&self) -> bool {
        self.flow
    }

    /// Whether children need not wait for a task in this state.
    pub fn is_done(&self, state: TaskState) -> bool {
        // Outside of a flow, skipped is only what a worker chose to skip, and what is behind it.
        match self.is_flow() {
            true => state.is_final(),
            false => matches!(state, TaskState::Completed | TaskState::Skipped),
        }
    }

    /// The condition of the edge between two tasks, which must be there.
    pub fn condition(&self, parent: TaskIndex, child: TaskIndex) -> On {
        let Some(conditions) = &self.conditions else { return On::Success };
        conditions.0[self.edge(parent, child)]
    }

    /// Whether there is an edge between two tasks.
    pub fn is_child(&self, parent: TaskIndex, child: TaskIndex) -> bool {
        let end = self.words.at(self.len() + parent.at() + 1) as usize;
        let edge = self.edge(parent, child);
        edge < end && self.words.at(2 * self.len() + 1 + edge) == child.0
    }

    /// The place of the edge between two tasks in `children`, or where it would belong.
    fn edge(&self, parent: TaskIndex, child: TaskIndex) -> usize {
        let n = self.len();
        let start = self.words.at(n + parent.at()) as usize;
        let end = self.words.at(n + parent.at() + 1) as usize;
        // The children of a task are in order.
        let (mut low, mut high) = (start, end);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.words.at(2 * n + 1 + middle) < child.0 {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }

    /// Whether some child asks for the failure of this task: then that is handled.
    pub fn handles_failure(&self, task: TaskIndex) -> bool {
        self.conditions.is_some()
            && self.children(task).any(|child| self.condition(task, child) == On::Failure)
    }

    /// Whether the failure of a task fails the workflow.
    pub fn is_fatal(&self, task: TaskIndex) -> bool {
        !self.options(task).tolerated && !self.handles_failure(task)
    }

    /// Whether a signal ends a task, and nobody claims it.
    #[inline]
    pub fn is_signal(&self, task: TaskIndex) -> bool {
        self.signals && self.says_signal(task)
    }

    /// Apart, so that the question costs others next to nothing.
    #[cold]
    fn says_signal(&self, task: TaskIndex) -> bool {
        self.options(task).signal
    }

    /// The tasks that a failure or a cancellation leaves: those with an edge that asks for failure or
    /// for any end, and what comes behind them. O(tasks + edges); nothing when there is no such edge.
    pub fn survivors(&self) -> Vec<bool> {
        if self.conditions.is_none() {
            return Vec::new();
        }
        let mut left = vec![false; self.len()];
        let mut front = Vec::new();
        for parent in self.indexes() {
            for child in self.children(parent) {
                let stays = self.condition(parent, child) != On::Success;
                if stays && !std::mem::replace(&mut left[child.at()], true) {
                    front.push(child);
                }
            }
        }
        while let Some(task) = front.pop() {
            for child in self.children(task) {
                if !std::mem::replace(&mut left[child.at()], true) {
                    front.push(child);
                }
            }
        }
        left
    }

    /// Whether one task is among the [`Shape::survivors`].
    pub fn survives(&self, task: TaskIndex) -> bool {
        self.survivors().get(task.at()).is_some_and(|&left| left)
    }

    /// Number of tasks.
    pub fn len(&self) -> usize {
        self.tasks as usize
    }

    /// Never: a workflow has a task.
    pub fn is_empty(&self) -> bool {
        self.tasks == 0
    }

    /// Number of edges.
    pub fn edges(&self) -> usize {
        self.edges as usize
    }

    /// All tasks.
    pub fn indexes(&self) -> impl Iterator<Item = TaskIndex> + use<> {
        (0..self.tasks).map(TaskIndex)
    }

    /// The name of a task.
    pub fn name(&self, task: TaskIndex) -> &[u8] {
        packed::get(&self.names, self.len(), task.at())
    }

    /// The names of all tasks, in order.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        packed::iter(&self.names, self.len())
    }

    /// The place of a task's type among the shape's types.
    pub fn type_of(&self, task: TaskIndex) -> usize {
        self.words.at(task.at()) as usize
    }

    /// The tasks that wait for this one.
    pub fn children(&self, task: TaskIndex) -> impl Iterator<Item = TaskIndex> {
        let n = self.len();
        let start = self.words.at(n + task.at()) as usize;
        let end = self.words.at(n + task.at() + 1) as usize;
        (start..end).map(move |edge| TaskIndex(self.words.at(2 * n + 1 + edge)))
    }

    /// Whether all children of a task are so, of which one is known to be. Asks outwards from that one:
    /// where they become so one after the other, all calls together ask O(n log n) times for n children,
    /// because what is asked in vain is at most twice the shorter of two runs that become one.
    pub fn all_children(&self, task: TaskIndex, known: TaskIndex, so: impl Fn(TaskIndex) -> bool) -> bool {
        let n = self.len();
        let start = self.words.at(n + task.at()) as usize;
        let end = self.words.at(n + task.at() + 1) as usize;
        let so = |edge: usize| so(TaskIndex(self.words.at(2 * n + 1 + edge)));
        let mut left = self.edge(task, known);
        let mut right = left + 1;
        while left > start || right < end {
            if left > start {
                left -= 1;
                if !so(left) {
                    return false;
                }
            }
            if right < end {
                if !so(right) {
                    return false;
                }
                right += 1;
            }
        }
        true
    }

    /// The tasks that this one waits for.
    pub fn parents(&self, task: TaskIndex) -> impl ExactSizeIterator<Item = TaskIndex> {
        let first = 2 * self.len() + 1 + self.edges();
        let start = self.words.at(first + task.at()) as usize;
        let end = self.words.at(first + task.at() + 1) as usize;
        let parents = first + self.len() + 1;
        (start..end).map(move |edge| TaskIndex(self.words.at(parents + edge)))
    }

    /// The place of a task's counter of open parents, if it is a join.
    pub fn join_of(&self, task: TaskIndex) -> Option<usize> {
        if self.joins == 0 {
            return None;
        }
        let none = match self.words {
            Words::Narrow(_) => NO_JOIN,
            Words::Wide(_) => u32::MAX,
        };
        let place = self.words.at(3 * self.len() + 2 + 2 * self.edges() + task.at());
        (place != none).then_some(place as usize)
    }

    /// What is said of a task beyond name, type and edges.
    pub fn options(&self, task: TaskIndex) -> TaskOptions {
        if self.options.is_empty() {
            return TaskOptions::default();
        }
        let sections = 3 + usize::from(self.joins > 0);
        let place = self.words.at(sections * self.len() + 2 + 2 * self.edges() + task.at());
        match place {
            0 => TaskOptions::default(),
            place => self.options[place as usize - 1],
        }
    }

    /// Number of joins.
    pub fn joins(&self) -> usize {
        self.joins as usize
    }

    /// Bytes of one counter of open parents.
    pub fn counter_width(&self) -> usize {
        self.counter_width as usize
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let words = match &self.words {
            Words::Narrow(words) => words.len() * 2,
            Words::Wide(words) => words.len() * 4,
        };
        self.names.len()
            + words
            + self.options.len() * size_of::<TaskOptions>()
            + self.conditions.as_ref().map_or(0, |all| size_of::<Conditions>() + all.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::draft::{Draft, DraftTask, Invalid};
    use crate::engine::limits::Settings;

    fn draft(tasks: &[(&'static str, &[&'static str])]) -> Draft<'static> {
        let task = |(name, parents): &(&'static str, &[&'static str])| DraftTask {
            name: (*name).into(),
            type_name: "t".into(),
            parents: parents.iter().map(|&parent| parent.into()).collect(),
            ..DraftTask::default()
        };
        Draft { tasks: tasks.iter().map(task).collect(), ..Draft::default() }
    }

    fn check(tasks: &[(&'static str, &[&'static str])]) -> Result<Checked, Invalid> {
        Shape::check(&draft(tasks), &Settings::default())
    }

    #[test]
    fn edges_read_back_both_ways() {
        let mut diamond = draft(&[("d", &["b", "c", "b"]), ("b", &["a"]), ("c", &["a"]), ("a", &[])]);
        diamond.tasks[3].children = vec!["b".into()];
        diamond.tasks[1].options.lease_ms = Some(5);
        let shape = Shape::check(&diamond, &Settings::default()).unwrap().shape;
        let children = |task| shape.children(TaskIndex(task)).map(|t| t.0).collect::<Vec<_>>();
        let parents = |task| shape.parents(TaskIndex(task)).map(|t| t.0).collect::<Vec<_>>();
        assert_eq!((shape.len(), shape.edges(), shape.joins()), (4, 4, 1));
        assert_eq!(
            [children(0), children(1), children(2), children(3)],
            [vec![], vec![0], vec![0], vec![1, 2]]
        );
        assert_eq!([parents(0), parents(1), parents(2), parents(3)], [vec![1, 2], vec![3], vec![3], vec![]]);
        assert_eq!(
            shape.indexes().map(|t| shape.join_of(t)).collect::<Vec<_>>(),
            [Some(0), None, None, None]
        );
        assert_eq!(shape.options(TaskIndex(1)).lease_ms, Some(5));
        assert_eq!(shape.options(TaskIndex(2)), TaskOptions::default());
        assert_eq!(shape.name(TaskIndex(3)), b"a");
    }

    #[test]
    fn each_fault_has_its_reason() {
        let s = |text: &str| text.to_owned();
        assert_eq!(check(&[]), Err(Invalid::NoTasks));
        assert_eq!(check(&[("a", &[]), ("a", &[])]), Err(Invalid::DuplicateName { task: s("a") }));
        assert_eq!(check(&[("a", &["x"])]), Err(Invalid::UnknownParent { task: s("a"), parent: s("x") }));
        assert_eq!(check(&[("a", &["a"])]), Err(Invalid::SelfEdge { task: s("a") }));
        assert_eq!(check(&[("a", &[]), ("", &[])]), Err(Invalid::EmptyName { index: 1 }));
        let cycle =
            check(&[("root", &[]), ("a", &["c", "root"]), ("b", &["a"]), ("c", &["b"]), ("after", &["c"])]);
        let Err(Invalid::Cycle { tasks }) = cycle else { panic!("{cycle:?}") };
        assert_eq!(tasks.len(), 3);
        let at = tasks.iter().position(|name| name == "a").unwrap();
        assert_eq!([&tasks[at], &tasks[(at + 1) % 3], &tasks[(at + 2) % 3]], ["a", "b", "c"]);
    }

    #[test]
    fn a_shape_too_large_for_16_bits_reads_the_same() {
        let names: Vec<String> = (0..70_000).map(|i| format!("t{i}")).collect();
        let mut wide = Draft::default();
        for (index, name) in names.iter().enumerate() {
            let parents = match index {
                0 => vec![],
                69_999 => names[1..69_999].iter().map(|n| n.as_str().into()).collect(),
                _ => vec![names[0].as_str().into()],
            };
            wide.tasks.push(DraftTask { name: name.as_str().into(), parents, ..DraftTask::default() });
        }
        let shape = Shape::check(&wide, &Settings::default()).unwrap().shape;
        assert_eq!(shape.counter_width(), 4);
        assert_eq!(shape.children(TaskIndex(0)).count(), 69_998);
        assert_eq!(shape.parents(TaskIndex(69_999)).len(), 69_998);
        assert_eq!(shape.join_of(TaskIndex(69_999)), Some(0));
        assert_eq!(shape.join_of(TaskIndex(5)), None);
        assert_eq!(shape.name(TaskIndex(69_998)), b"t69998");
    }
}
