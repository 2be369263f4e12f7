//! WF.GET and WF.STATS: what people see.

use super::arguments::Words;
use super::{Kind, Model, Moment, Refusal, STATES, State, Task, Workflow};
use crate::engine::limits::Settings;
use crate::sim::tree::Tree;

/// A limit on bytes beyond this is never met here.
pub const PLENTY: u64 = 1 << 24;

impl Model {
    /// `WF.GET key id [TASKS [FROM place] [COUNT count]]`
    pub fn get(&self, args: &[Vec<u8>], moment: &Moment<'_>) -> Result<Tree, Refusal> {
        let most = moment.settings.max_count;
        let mut words = Words(args);
        words.need()?;
        let tasks = words.keyword("TASKS");
        let (mut from, mut count) = (None, None);
        let mut more = tasks;
        while more {
            if words.keyword("FROM") && from.is_none() {
                from = Some(words.number(0, 1_048_575)?);
            } else if words.keyword("COUNT") && count.is_none() {
                count = Some(words.number(1, most)?);
            } else {
                more = false;
            }
        }
        if words.next().is_some() {
            return Err("ERR");
        }
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
            ("deadline", Tree::maybe(workflow.deadline, Tree::number)),
            ("expires", Tree::maybe(self.expires(place, moment.settings), Tree::number)),
            ("error", Tree::maybe(workflow.error(), Tree::text)),
            ("size", Tree::number(workflow.tasks.len() as u64)),
            ("counts", counts(&mut workflow.tasks.iter())),
        ];
        if tasks {
            let (from, count) = (from.unwrap_or(0) as usize, count.unwrap_or(most) as usize);
            let page: Vec<Tree> = workflow.tasks.iter().skip(from).take(count).map(task_map).collect();
            let next = from + page.len();
            fields.push(("tasks", Tree::Array(page)));
            if next < workflow.tasks.len() {
                fields.push(("next", Tree::number(next as u64)));
            }
        }
        Ok(Tree::map(fields))
    }

    /// `WF.STATS key`
    pub fn stats(&self, args: &[Vec<u8>], moment: &Moment<'_>) -> Result<Tree, Refusal> {
        let (now, settings) = (moment.now, moment.settings);
        if !args.is_empty() {
            return Err("ERR");
        }
        if !self.exists {
            return Ok(Tree::Null);
        }
        let states = ["running", "paused", "completed", "failed", "cancelled"];
        let of_state = |state| self.workflows.iter().filter(|workflow| workflow.state() == state).count();
        let all = || self.workflows.iter().flat_map(|workflow| &workflow.tasks);
        let tasks = |state| all().filter(move |task| task.state == state);
        let types = self.kinds.iter().map(|(name, kind)| (Tree::text(name), self.type_map(name, kind, now)));
        Ok(Tree::map([
            ("workflows", Tree::map(states.map(|state| (state, Tree::number(of_state(state) as u64))))),
            ("tasks", counts(&mut all())),
            ("paused", Tree::Int(i64::from(self.paused))),
            ("delayed", Tree::number(tasks(State::Delayed).count() as u64)),
            ("retrying", Tree::number(tasks(State::Delayed).filter(|task| task.attempts > 0).count() as u64)),
            ("dead", Tree::number(tasks(State::Failed).count() as u64)),
            ("signals", Tree::number(all().filter(|task| task.waits_for_signal()).count() as u64)),
            ("next_due", self.next_due(settings, 0).not_before(now)),
            ("lease_expiries", Tree::number(self.lifetime.lease_expiries)),
            ("attempts_retried", Tree::number(self.lifetime.attempts_retried)),
            ("tasks_timed_out", Tree::number(self.lifetime.tasks_timed_out)),
            ("tasks_poisoned", Tree::number(self.lifetime.tasks_poisoned)),
            ("workflows_timed_out", Tree::number(self.lifetime.workflows_timed_out)),
            ("definitions", Tree::number(self.definitions.len() as u64)),
            ("events_lost", Tree::Int(0)),
            ("types", Tree::Map(types.collect())),
        ]))
    }

    /// When something happens by itself next, if what would punish workers waits until `expire_from`.
    pub fn next_due(&self, settings: &Settings, expire_from: u64) -> Tree {
        let mut times = Vec::new();
        for (place, workflow) in self.workflows.iter().enumerate() {
            times.extend(self.expires(place, settings));
            let deadline = workflow.deadline.filter(|_| workflow.is_live());
            times.extend(deadline.map(|deadline| deadline.max(expire_from)));
            times.extend(workflow.tasks.iter().filter_map(|task| match task.state {
                State::Delayed if !workflow.paused => Some(task.due.1),
                State::Running => Some(task.deadline.max(expire_from)),
                State::Ready if !workflow.paused => task.signal_due(),
                _ => None,
            }));
        }
        let next = times.into_iter().min();
        let finished = self.finished().len() as u64;
        if finished > self.in_force("retain-count", settings) {
            return Tree::Int(0);
        }
        match next {
            // They may be too many bytes already, in which case they go at once.
            Some(_) if finished > 0 && self.in_force("retain-bytes", settings) < PLENTY => Tree::Whatever,
            next => Tree::maybe(next, Tree::number),
        }
    }

    fn type_map(&self, name: &[u8], kind: &Kind, now: u64) -> Tree {
        let tasks: Vec<&Task> = self.workflows.iter().flat_map(|workflow| &workflow.tasks).collect();
        let of_state = |state| tasks.iter().filter(move |task| task.kind == name && task.state == state);
        let ready = || of_state(State::Ready).filter(|task| task.is_offered());
        let oldest = ready().filter_map(|task| task.ready).min();
        Tree::map([
            ("paused", Tree::Int(i64::from(kind.paused))),
            ("ready", Tree::number(ready().count() as u64)),
            ("running", Tree::number(of_state(State::Running).count() as u64)),
            ("delayed", Tree::number(of_state(State::Delayed).count() as u64)),
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

/// How many tasks are in each state.
pub fn counts(tasks: &mut dyn Iterator<Item = &Task>) -> Tree {
    let states: Vec<State> = tasks.map(|task| task.state).collect();
    Tree::map(STATES.map(|(name, state)| {
        (name, Tree::number(states.iter().filter(|&&other| Some(other) == state).count() as u64))
    }))
}

fn task_map(task: &Task) -> Tree {
    // The beginning of the attempt that runs, or that ended the task; not of one whose lease ran out.
    let started =
        task.started.filter(|_| !matches!(task.state, State::Waiting | State::Delayed | State::Ready));
    let due = (task.state == State::Delayed).then_some(task.due.1);
    let deadline = (task.state == State::Running).then_some(task.deadline).or(task.signal_due());
    Tree::map([
        ("name", Tree::text(&task.name)),
        ("type", Tree::text(&task.kind)),
        ("state", Tree::text(state_name(task))),
        ("attempts", Tree::number(task.attempts)),
        ("failures", Tree::number(task.failures)),
        ("lost", Tree::number(task.lost)),
        ("due", Tree::maybe(due, Tree::number)),
        ("deadline", Tree::maybe(deadline, Tree::number)),
        ("worker", Tree::maybe(task.worker.as_ref(), Tree::text)),
        ("ready", Tree::maybe(task.ready, Tree::number)),
        ("started", Tree::maybe(started, Tree::number)),
        ("finished", Tree::maybe(task.finished, Tree::number)),
        ("error", Tree::maybe(task.error.as_ref(), Tree::text)),
        ("result", Tree::maybe(task.result.as_ref(), Tree::text)),
    ])
}

impl Workflow {
    /// Why it failed, if that was not a task, or why it was cancelled.
    pub fn error(&self) -> Option<Vec<u8>> {
        let timeout = self.timeout_ms.filter(|_| self.timed_out);
        let timeout = timeout.map(|timeout| format!("timed out after {timeout} ms").into_bytes());
        timeout.or_else(|| self.cancelled.clone().flatten())
    }
}

/// The state of a task as the contract names it.
pub fn state_name(task: &Task) -> &'static str {
    STATES.iter().find(|(_, state)| *state == Some(task.state)).expect("every state is in the table").0
}
