//! WF.SIGNAL: something outside ends a task that no worker runs; and what becomes of such a task when
//! nothing comes.

use super::arguments::Words;
use super::{Model, Moment, Refusal, State, Task};
use crate::sim::tree::Tree;

impl Task {
    /// Whether a signal would end it now.
    pub fn waits_for_signal(&self) -> bool {
        self.signal && self.state == State::Ready
    }

    /// When it has waited long enough, if it waits and not for ever.
    pub fn signal_due(&self) -> Option<u64> {
        let timeout = self.options.timeout_ms.filter(|_| self.waits_for_signal())?;
        Some(self.ready.expect("it waits") + timeout)
    }
}

impl Model {
    /// `WF.SIGNAL key id task [RESULT value | FAIL error]`
    pub fn signal(&mut self, args: &[Vec<u8>], moment: &mut Moment<'_>) -> Result<Tree, Refusal> {
        let mut words = Words(args);
        let (id, name) = (words.need()?, words.need()?);
        if name.len() > 512 {
            return Err("LIMIT");
        }
        let (fails, longest) = match words.has("FAIL") {
            true => (true, moment.settings.max_error_bytes),
            false => (false, moment.settings.max_result_bytes),
        };
        let mut text = None;
        if words.keyword("FAIL") || words.keyword("RESULT") {
            let given = words.need()?;
            if given.len() as u64 > longest {
                return Err("LIMIT");
            }
            text = Some(given.to_vec());
        }
        if !words.0.is_empty() {
            return Err("ERR");
        }
        let Some(place) = self.find(id) else { return Ok(Tree::Int(-1)) };
        let workflow = &self.workflows[place];
        let Some(index) = workflow.tasks.iter().position(|task| task.name == name) else {
            return Ok(Tree::Int(-1));
        };
        let (paused, stopped) = (workflow.paused, workflow.is_stopped());
        let task = &workflow.tasks[index];
        if !task.signal {
            return Err("ERR");
        }
        let (code, what) = match (task.state, fails) {
            (State::Waiting | State::Delayed, _) => (3, "a signal that comes early"),
            (State::Ready, false) => (1, "a signal that completes"),
            (State::Ready, true) => (1, "a signal that fails"),
            (State::Completed, false) => (2, "a signal that completes again"),
            (State::Failed, true) if !task.late => (2, "a signal that fails again"),
            (State::Failed, _) if task.late => (0, "a signal that comes too late"),
            (State::Completed, true) | (State::Failed, false) => (0, "a signal that contradicts the first"),
            _ => (0, "a signal to a task that was cancelled or skipped"),
        };
        self.note(what);
        if code == 1 {
            self.note_if(paused, "a signal in a paused workflow");
            self.note_if(stopped, "a signal in a stopped workflow");
            match fails {
                true => self.fail_signal(place, index, text, "signal", moment.now),
                false => self.complete_signal(place, index, text, moment.now),
            }
        }
        Ok(Tree::Int(code))
    }

    /// No signal came in time.
    pub fn miss_signal(&mut self, place: usize, index: usize, now: u64) {
        let task = &mut self.workflows[place].tasks[index];
        task.late = true;
        let timeout = task.options.timeout_ms.expect("it had a time");
        let error = format!("timed out after {timeout} ms").into_bytes();
        self.note("a signal that did not come in time");
        self.lifetime.tasks_timed_out += 1;
        self.events.insert("task.timedout");
        self.fail_signal(place, index, Some(error), "timeout", now);
    }

    fn fail_signal(
        &mut self,
        place: usize,
        index: usize,
        error: Option<Vec<u8>>,
        cause: &'static str,
        now: u64,
    ) {
        let task = &mut self.workflows[place].tasks[index];
        task.error = error;
        // It does not end before it began to wait.
        let time = now.max(task.ready.expect("it waits"));
        self.fail_task_at(place, index, ("task.failed", cause), now, time);
    }

    fn complete_signal(&mut self, place: usize, index: usize, result: Option<Vec<u8>>, now: u64) {
        let task = &mut self.workflows[place].tasks[index];
        task.result = result;
        let time = now.max(task.ready.expect("it waits"));
        task.end(State::Completed, time);
        self.kinds.get_mut(&task.kind).expect("its type was pushed").completed += 1;
        self.advance(place, now);
        self.settle(place, now);
    }
}
