//! What is known of a workflow that was worked on: the runs of its tasks, and when it finished.

use super::{History, INPUT, SEALED, Workflow};
use crate::engine::packed;
use crate::engine::runs::{PackedRun, Run, seal, unseal};
use crate::engine::shape::Shape;
use crate::engine::state::{TaskState, WorkflowState};
use crate::engine::units::{Millis, Nonce, TaskIndex};

impl Workflow {
    /// Whether any task of it was ever handed out or released.
    pub fn has_history(&self) -> bool {
        self.history.is_some() || self.sealed()
    }

    /// The run of a task.
    pub fn run(&self, shape: &Shape, task: TaskIndex) -> Run {
        if self.sealed() {
            return unseal(packed::get(self.list(shape), self.list_len(shape), task.at()), self.created);
        }
        match &self.history {
            Some(history) => history.runs[task.at()].unpack(self.created),
            // Nothing was claimed or released yet, so what is ready has been since the push.
            None if self.task_state(task) == TaskState::Ready => {
                Run { ready: Some(self.created), ..Run::NONE }
            }
            None => Run::NONE,
        }
    }

    /// The random part of a task's newest token, if it was ever handed out. Cheaper than its run.
    pub fn nonce(&self, shape: &Shape, task: TaskIndex) -> Option<Nonce> {
        match &self.history {
            Some(history) => history.runs[task.at()].nonce(),
            // What was skipped, or was ended by a signal, never had a token.
            None if self.sealed() => {
                Some(self.run(shape, task)).filter(|run| run.attempt > 0).map(|run| run.nonce)
            }
            None => None,
        }
    }

    /// How often a task was handed out. Cheaper than its run.
    pub fn attempts(&self, shape: &Shape, task: TaskIndex) -> u32 {
        match &self.history {
            Some(history) => history.runs[task.at()].attempts(),
            None => self.run(shape, task).attempt,
        }
    }

    /// Changes the run of a task. Makes room for runs if there is none yet; gives the bytes that
    /// took.
    pub fn set_run(&mut self, task: TaskIndex, count: usize, run: Run) -> usize {
        debug_assert!(!self.sealed());
        let run = PackedRun::pack(run, self.created);
        if let Some(history) = &mut self.history {
            history.runs[task.at()] = run;
            return 0;
        }
        let before = self.heap_bytes();
        let root = Run { ready: Some(self.created), ..Run::NONE };
        let runs = (0..count).map(|at| {
            let ready = self.task_state(TaskIndex(at as u32)) == TaskState::Ready;
            PackedRun::pack(if ready { root } else { Run::NONE }, self.created)
        });
        let mut runs: Box<[PackedRun]> = runs.collect();
        runs[task.at()] = run;
        self.history = Some(Box::new(History { finished: None, runs }));
        self.heap_bytes() - before
    }

    /// Changes two times of a task's run, of which there is one: a third of the cost of
    /// [`Workflow::set_run`] with what [`Workflow::run`] gave.
    pub fn set_times(&mut self, task: TaskIndex, ready: Option<Millis>, finished: Option<Millis>) {
        let history = self.history.as_mut().expect("a task with a run");
        history.runs[task.at()].set_times(ready, finished, self.created);
    }

    /// When a signal task, which is ready, has waited long enough; `None`: never.
    pub fn signal_due(&self, shape: &Shape, task: TaskIndex) -> Option<Millis> {
        let timeout = shape.options(task).timeout_ms?;
        Some(self.within(self.run(shape, task).ready.unwrap_or(self.created).plus(timeout)))
    }

    /// When nothing of it was left to do.
    pub fn finished(&self, shape: &Shape) -> Option<Millis> {
        if self.sealed() {
            let mut bytes = packed::get(self.list(shape), self.list_len(shape), shape.len());
            return packed::take_varint(&mut bytes).map(|offset| self.created.plus(offset));
        }
        self.history.as_ref()?.finished
    }

    /// Nothing of it is left to do. A completed workflow gives up payloads, input and counters.
    pub fn finish(&mut self, shape: &Shape, now: Millis) {
        let finished = now.max(self.created);
        if self.state() != WorkflowState::Completed {
            if let Some(history) = &mut self.history {
                history.finished = Some(finished);
            }
            return;
        }
        let count = shape.len();
        let own_name = self.own_name(shape).map(<[u8]>::to_vec);
        let mut body = Vec::with_capacity(count * 12 + 8);
        body.extend_from_slice(&self.body[..count]);
        packed::write(&mut body, count + 1 + usize::from(own_name.is_some()), |at, out| {
            if at < count {
                seal(self.run(shape, TaskIndex(at as u32)), self.created, out);
            } else if at == count {
                packed::put_varint(out, finished.since(self.created));
            } else {
                out.extend_from_slice(own_name.as_deref().unwrap_or_default());
            }
        });
        self.body = body.into_boxed_slice();
        self.history = None;
        self.priority_flags = self.priority_flags & !INPUT | SEALED;
    }
}
