//! WF.GET and WF.STATS: what people see.

use super::{Kind, Model, Refusal, STATES, State, Task};
use crate::sim::tree::Tree;

impl Model {
    /// `WF.GET key id [TASKS]`
    pub fn get(&self, args: &[Vec<u8>]) -> Result<Tree, Refusal> {
        let tasks = match args {
            [_] => false,
            [_, word] if word.eq_ignore_ascii_case(b"TASKS") => true,
            _ => return Err("ERR"),
        };
        let Some(place) = self.find(&args[0]) else { return Ok(Tree::Null) };
        let workflow = &self.workflows[place];
        let mut fields = vec![
            ("id", Tree::text(&workflow.id)),
            ("name", Tree::maybe(Some(&workflow.name).filter(|name| !name.is_empty()), Tree::text)),
            ("state", Tree::text(workflow.state())),
            ("paused", Tree::Int(i64::from(workflow.paused))),
            ("priority", Tree::number(workflow.priority)),
            ("created", Tree::number(workflow.created)),
            ("finished", Tree::maybe(workflow.finished, Tree::number)),
            ("size", Tree::number(workflow.tasks.len() as u64)),
            ("counts", counts(&mut workflow.tasks.iter())),
        ];
        if tasks {
            fields.push(("tasks", Tree::Array(workflow.tasks.iter().map(task_map).collect())));
        }
        Ok(Tree::map(fields))
    }

    /// `WF.STATS key`
    pub fn stats(&self, args: &[Vec<u8>], now: u64) -> Result<Tree, Refusal> {
        if !args.is_empty() {
            return Err("ERR");
        }
        if !self.exists {
            return Ok(Tree::Null);
        }
        let states = ["running", "paused", "completed", "failed", "cancelled"];
        let of_state = |state| self.workflows.iter().filter(|workflow| workflow.state() == state).count();
        let types = self.kinds.iter().map(|(name, kind)| (Tree::text(name), self.type_map(name, kind, now)));
        Ok(Tree::map([
            ("workflows", Tree::map(states.map(|state| (state, Tree::number(of_state(state) as u64))))),
            ("tasks", counts(&mut self.workflows.iter().flat_map(|workflow| &workflow.tasks))),
            ("paused", Tree::Int(i64::from(self.paused))),
            ("types", Tree::Map(types.collect())),
        ]))
    }

    fn type_map(&self, name: &[u8], kind: &Kind, now: u64) -> Tree {
        let tasks: Vec<&Task> = self.workflows.iter().flat_map(|workflow| &workflow.tasks).collect();
        let of_state = |state| tasks.iter().filter(move |task| task.kind == name && task.state == state);
        let oldest = of_state(State::Ready).filter_map(|task| task.ready).min();
        Tree::map([
            ("paused", Tree::Int(i64::from(kind.paused))),
            ("ready", Tree::number(of_state(State::Ready).count() as u64)),
            ("running", Tree::number(of_state(State::Running).count() as u64)),
            ("delayed", Tree::Int(0)),
            ("oldest_ready_ms", Tree::maybe(oldest, |oldest| age(oldest, kind, now))),
            ("completed", Tree::number(kind.completed)),
            ("failed", Tree::number(kind.failed)),
            ("wait_p50_ms", percentile(&kind.waits, 50)),
            ("wait_p95_ms", percentile(&kind.waits, 95)),
            ("wait_p99_ms", percentile(&kind.waits, 99)),
            ("run_p50_ms", percentile(&kind.runs, 50)),
            ("run_p95_ms", percentile(&kind.runs, 95)),
            ("run_p99_ms", percentile(&kind.runs, 99)),
        ])
    }
}

/// The age of the oldest ready task. Exact while the clock goes forward and little is waiting. After a
/// step back it may be too high, but never older than what became ready meanwhile.
fn age(oldest: u64, kind: &Kind, now: u64) -> Tree {
    let exact = now.saturating_sub(oldest);
    if kind.readied.is_sorted() {
        return Tree::number(exact);
    }
    Tree::Between(exact as i64, now.saturating_sub(kind.earliest.unwrap_or(oldest)) as i64)
}

/// The value that so many percent do not exceed, as a histogram shows it: at most an eighth too high.
fn percentile(values: &[u64], percent: usize) -> Tree {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100);
    match rank.checked_sub(1) {
        None => Tree::Null,
        Some(place) => Tree::Between(sorted[place] as i64, (sorted[place] + sorted[place] / 8) as i64),
    }
}

fn counts(tasks: &mut dyn Iterator<Item = &Task>) -> Tree {
    let states: Vec<State> = tasks.map(|task| task.state).collect();
    Tree::map(STATES.map(|(name, state)| {
        (name, Tree::number(states.iter().filter(|&&other| Some(other) == state).count() as u64))
    }))
}

fn task_map(task: &Task) -> Tree {
    // The beginning of the attempt that runs, or that ended the task; not of one whose lease ran out.
    let started = task.started.filter(|_| !matches!(task.state, State::Waiting | State::Ready));
    Tree::map([
        ("name", Tree::text(&task.name)),
        ("type", Tree::text(&task.kind)),
        ("state", Tree::text(state_name(task))),
        ("attempts", Tree::number(task.attempts)),
        ("worker", Tree::maybe(task.worker.as_ref(), Tree::text)),
        ("ready", Tree::maybe(task.ready, Tree::number)),
        ("started", Tree::maybe(started, Tree::number)),
        ("finished", Tree::maybe(task.finished, Tree::number)),
        ("error", Tree::maybe(task.error.as_ref(), Tree::text)),
        ("result", Tree::maybe(task.result.as_ref(), Tree::text)),
    ])
}

fn state_name(task: &Task) -> &'static str {
    STATES.iter().find(|(_, state)| *state == Some(task.state)).expect("every state is in the table").0
}
