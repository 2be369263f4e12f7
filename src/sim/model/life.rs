//! How a task gets on: its parents are done, it waits for its time, it is ready, it is cancelled with
//! its workflow. And how a workflow ends.

use super::{Model, State, Workflow};

impl Model {
    /// The parents of a task are done: it waits as long as its `delay_ms` says, or is ready.
    fn open_gate(&mut self, place: usize, index: usize, now: u64) {
        let workflow = &self.workflows[place];
        let due = now + workflow.tasks[index].options.delay_ms.unwrap_or(0);
        self.wait_until(place, index, (due, due), now);
    }

    /// A task is delayed until it is due, or ready if that is not later than now.
    pub fn wait_until(&mut self, place: usize, index: usize, due: (u64, u64), now: u64) {
        if due.1 <= now {
            self.make_ready(place, index, now);
            return;
        }
        let workflow = &mut self.workflows[place];
        let due = (workflow.not_before_push(due.0), workflow.not_before_push(due.1));
        let task = &mut workflow.tasks[index];
        task.state = State::Delayed;
        task.due = due;
        task.ready = None;
        let again = task.attempts > 0;
        self.note(if again { "a backoff" } else { "a delay" });
    }

    /// A task may be claimed from now on.
    pub fn make_ready(&mut self, place: usize, index: usize, now: u64) {
        let time = self.workflows[place].not_before_push(now);
        let task = &mut self.workflows[place].tasks[index];
        let time = time.max(task.started.unwrap_or(0));
        task.state = State::Ready;
        task.ready = Some(time);
        if task.signal {
            return;
        }
        let kind = self.kinds.get_mut(&task.kind).expect("its type was pushed");
        kind.readied.push(time);
        kind.earliest = Some(kind.earliest.map_or(time, |earliest| earliest.min(time)));
    }

    /// A task whose attempt came to nothing: ready again, or cancelled in a failed workflow.
    pub fn back_to_ready(&mut self, place: usize, index: usize, now: u64) {
        let workflow = &mut self.workflows[place];
        if workflow.is_stopped() && !workflow.survives(index) {
            let time = workflow.not_before_push(now);
            workflow.tasks[index].end(State::Cancelled, time);
            self.advance(place, now);
            self.settle(place, now);
        } else {
            self.make_ready(place, index, now);
        }
    }

    /// Opens the gates of the tasks of a workflow whose parents are done.
    pub fn advance(&mut self, place: usize, now: u64) {
        self.skip(place, now);
        for index in 0..self.workflows[place].tasks.len() {
            let workflow = &self.workflows[place];
            let waits = workflow.tasks[index].state == State::Waiting && !workflow.paused;
            if waits && workflow.wants(index) && workflow.parents_are_done(index) {
                let stopped = workflow.is_stopped();
                self.note_if(stopped, "a task that starts in a stopped workflow");
                self.open_gate(place, index, now);
            }
        }
    }

    /// A workflow has failed.
    pub fn fail_workflow(&mut self, place: usize, now: u64) {
        self.workflows[place].failed = true;
        self.stop(place, now);
    }

    /// A workflow has failed or is called off: what has not started is cancelled, what runs runs down.
    pub fn stop(&mut self, place: usize, now: u64) {
        let workflow = &mut self.workflows[place];
        let time = workflow.not_before_push(now);
        let delayed = workflow.tasks.iter().any(|task| task.state == State::Delayed);
        self.happened.extend(delayed.then_some("a delayed task that is cancelled"));
        workflow.paused = false;
        for index in 0..workflow.tasks.len() {
            let survives = workflow.survives(index);
            let task = &mut workflow.tasks[index];
            if matches!(task.state, State::Waiting | State::Delayed | State::Ready) && !survives {
                let waits = task.waits_for_signal();
                self.happened.extend(waits.then_some("a wait for a signal that is cancelled"));
                task.end(State::Cancelled, time);
            }
        }
        self.advance(place, now);
    }

    /// Notes the end of a workflow, if this was it: nothing of it runs any more and nothing will. It
    /// has failed if a task of it has, also one that was left when others were retried.
    pub fn settle(&mut self, place: usize, now: u64) {
        let workflow = &mut self.workflows[place];
        if workflow.finished.is_some() || workflow.tasks.iter().any(|task| task.is_open()) {
            return;
        }
        let fatal = (0..workflow.tasks.len())
            .any(|index| workflow.tasks[index].state == State::Failed && workflow.is_fatal(index));
        let left = !workflow.is_stopped() && fatal;
        self.happened.extend(left.then_some("a workflow that fails at its end"));
        workflow.failed |= workflow.cancelled.is_none() && fatal;
        workflow.paused = false;
        workflow.finished = Some(workflow.not_before_push(now));
        let event = match workflow.state() {
            "cancelled" => "workflow.cancelled",
            "failed" => "workflow.failed",
            _ => "workflow.completed",
        };
        self.events.insert(event);
        self.tell_finished(place, event, now);
    }
}

impl Workflow {
    /// Whether a task of it failed for good.
    pub fn has_failed_task(&self) -> bool {
        self.tasks.iter().any(|task| task.state == State::Failed)
    }
}
