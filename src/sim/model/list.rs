//! WF.LIST: which workflows and dead letters there are. A page shows some of them, and which ones is
//! the module's choice, so the model does not say what a page is but what may stand on it.

use super::arguments::{TEN_YEARS, Words};
use super::{Model, Moment, Refusal, State, Task, Workflow};
use crate::sim::tree::Tree;

const STATES: [&str; 5] = ["running", "paused", "completed", "failed", "cancelled"];

/// What a listing asks for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Dead letters instead of workflows.
    pub failed: bool,
    state: Option<&'static str>,
    kind: Option<Vec<u8>>,
    prefix: Vec<u8>,
    older: Option<u64>,
    newer: Option<u64>,
    /// How many at most stand on a page.
    pub count: u64,
}

/// Something that can be listed.
pub struct Entry {
    /// Tells it from everything else: the number of the push, the task, when it failed.
    pub key: (u64, usize, u64),
    /// Its map.
    pub map: Tree,
}

impl Filter {
    /// Reads the arguments after the key.
    pub fn read(args: &[Vec<u8>], moment: &Moment<'_>) -> Result<Filter, Refusal> {
        let mut words = Words(args);
        let mut filter = Filter { failed: words.keyword("FAILED"), count: 10, ..Filter::default() };
        while !words.0.is_empty() {
            if !filter.failed && words.keyword("STATE") {
                let word = words.need()?.to_ascii_lowercase();
                let known = STATES.into_iter().find(|state| state.as_bytes() == word);
                filter.state = Some(known.ok_or("ERR")?);
            } else if words.keyword("TYPE") {
                filter.kind = Some(words.need()?.to_vec());
            } else if words.keyword("PREFIX") {
                filter.prefix = words.need()?.to_vec();
            } else if words.keyword("OLDER") {
                filter.older = Some(words.number(0, TEN_YEARS)?);
            } else if words.keyword("NEWER") {
                filter.newer = Some(words.number(0, TEN_YEARS)?);
            } else if words.keyword("CURSOR") {
                let cursor = std::str::from_utf8(words.need()?).map_err(|_| "ERR")?;
                let parts: Result<Vec<u64>, _> = cursor.split('-').map(str::parse).collect();
                let wanted = if filter.failed && cursor != "0" { 3 } else { 1 };
                if parts.map_err(|_| "ERR")?.len() != wanted {
                    return Err("ERR");
                }
            } else if words.keyword("COUNT") {
                filter.count = words.number(1, moment.settings.max_count)?;
            } else {
                return Err("ERR");
            }
        }
        Ok(filter)
    }

    fn fits_age(&self, since: u64, now: u64) -> bool {
        // Less than nothing where the clock stepped back.
        let age = now as i64 - since as i64;
        self.older.is_none_or(|older| age >= older as i64)
            && self.newer.is_none_or(|newer| age <= newer as i64)
    }

    /// Whether a workflow is asked for.
    pub fn wants(&self, workflow: &Workflow, now: u64) -> bool {
        !self.failed
            && self.state.is_none_or(|state| workflow.state() == state)
            && workflow.name.starts_with(&self.prefix)
            && self.kind.as_ref().is_none_or(|kind| workflow.tasks.iter().any(|task| task.kind == *kind))
            && self.fits_age(workflow.created, now)
    }

    /// Whether a task is a dead letter that is asked for.
    pub fn wants_letter(&self, workflow: &Workflow, task: &Task, now: u64) -> bool {
        self.failed
            && task.state == State::Failed
            && workflow.name.starts_with(&self.prefix)
            && self.kind.as_ref().is_none_or(|kind| task.kind == *kind)
            && self.fits_age(task.finished.expect("it failed"), now)
    }
}

impl Model {
    /// `WF.LIST key [FAILED] ...`: only whether it is refused, and what a missing key says.
    pub fn list(&self, args: &[Vec<u8>], moment: &Moment<'_>) -> Result<Tree, Refusal> {
        Filter::read(args, moment)?;
        if self.exists {
            return Ok(Tree::Whatever);
        }
        Ok(Tree::Array(vec![Tree::text("0"), Tree::Array(Vec::new())]))
    }

    /// Everything that can be listed in the form of this filter, whether it wants it or not.
    pub fn entries(&self, failed: bool) -> Vec<Entry> {
        let mut entries = Vec::new();
        for workflow in &self.workflows {
            if !failed {
                let key = (workflow.serial, usize::MAX, workflow.created);
                entries.push(Entry { key, map: workflow_map(workflow) });
                continue;
            }
            for (index, task) in workflow.tasks.iter().enumerate() {
                if task.state == State::Failed {
                    let key = (workflow.serial, index, task.finished.expect("it failed"));
                    entries.push(Entry { key, map: letter_map(workflow, task) });
                }
            }
        }
        entries
    }

    /// Whether the filter wants what has this key.
    pub fn is_wanted(&self, filter: &Filter, key: (u64, usize, u64), now: u64) -> bool {
        let workflow = self.workflows.iter().find(|workflow| workflow.serial == key.0);
        workflow.is_some_and(|workflow| match workflow.tasks.get(key.1) {
            None => filter.wants(workflow, now),
            Some(task) => task.finished == Some(key.2) && filter.wants_letter(workflow, task, now),
        })
    }
}

fn workflow_map(workflow: &Workflow) -> Tree {
    Tree::map([
        ("id", Tree::text(&workflow.id)),
        ("name", Tree::maybe(Some(&workflow.name).filter(|name| !name.is_empty()), Tree::text)),
        ("state", Tree::text(workflow.state())),
        ("created", Tree::number(workflow.created)),
        ("finished", Tree::maybe(workflow.finished, Tree::number)),
        ("size", Tree::number(workflow.tasks.len() as u64)),
    ])
}

fn letter_map(workflow: &Workflow, task: &Task) -> Tree {
    Tree::map([
        ("workflow", Tree::text(&workflow.id)),
        ("name", Tree::text(&task.name)),
        ("type", Tree::text(&task.kind)),
        ("error", Tree::maybe(task.error.as_ref(), Tree::text)),
        ("attempts", Tree::number(task.attempts)),
        ("failures", Tree::number(task.failures)),
        ("lost", Tree::number(task.lost)),
        ("worker", Tree::maybe(task.worker.as_ref(), Tree::text)),
        ("failed", Tree::maybe(task.finished, Tree::number)),
    ])
}
