//! What comes by time alone: delays end, leases run out, attempts and workflows time out, finished
//! workflows are removed.

use super::attempt::{Fate, Wish};
use super::{Model, Moment, State};
use crate::engine::limits::Settings;

impl Model {
    /// Does all that is due. During a grace period (`expire_from` lies ahead) whatever would punish
    /// workers waits; without `expire_from` nothing happens at all.
    pub fn sweep_due(&mut self, moment: &mut Moment<'_>) {
        let Some(from) = moment.expire_from else { return };
        self.end_waits(moment.now);
        if moment.now >= from {
            self.end_leases(moment);
            self.end_workflows(moment.now);
        }
        self.remove_old(moment);
    }

    /// Delays, and waits for signals that did not come, in the order in which they end: where a signal's
    /// absence fails its workflow, what is behind it is cancelled.
    fn end_waits(&mut self, now: u64) {
        let mut due = Vec::new();
        for (place, workflow) in self.workflows.iter().enumerate() {
            for (index, task) in workflow.tasks.iter().enumerate() {
                let delay = (task.state == State::Delayed).then_some(task.due.1);
                due.extend(delay.or(task.signal_due()).map(|time| (time, place, index)));
            }
        }
        due.sort_unstable();
        for (_, place, index) in due.into_iter().take_while(|(time, ..)| *time <= now) {
            let workflow = &self.workflows[place];
            let task = &workflow.tasks[index];
            let signal = task.waits_for_signal();
            if !signal && task.state != State::Delayed {
                self.note("a wait that another's end cut short");
            } else if workflow.paused {
                self.note(match signal {
                    true => "a signal that is late in a paused workflow",
                    false => "a delay that is over in a paused workflow",
                });
            } else if signal {
                self.miss_signal(place, index, now);
            } else {
                let again = task.attempts > 0;
                self.note(if again { "a backoff that is over" } else { "a delay that is over" });
                self.make_ready(place, index, now);
            }
        }
    }

    /// In the order of their deadlines: where one fails its workflow, those behind it are cancelled.
    fn end_leases(&mut self, moment: &mut Moment<'_>) {
        let mut due = Vec::new();
        for (place, workflow) in self.workflows.iter().enumerate() {
            for (index, task) in workflow.tasks.iter().enumerate() {
                if task.state == State::Running && task.deadline <= moment.now {
                    due.push((task.deadline, place, index));
                }
            }
        }
        due.sort_unstable();
        for (_, place, index) in due {
            self.end_lease(place, index, moment);
        }
    }

    fn end_lease(&mut self, place: usize, index: usize, moment: &mut Moment<'_>) {
        let task = &self.workflows[place].tasks[index];
        let started = task.started.expect("it runs");
        if let Some(timeout) = task.options.timeout_ms
            && started + timeout <= moment.now
        {
            let error = format!("timed out after {timeout} ms").into_bytes();
            let fate = self.fail_attempt(place, index, Some(error), Wish::None, "timeout", moment);
            let again = fate == Fate::Retried;
            self.note(if again { "a timeout that is retried" } else { "a timeout that is final" });
            self.lifetime.tasks_timed_out += 1;
            self.events.insert("task.timedout");
            return;
        }
        self.expired += 1;
        self.lifetime.lease_expiries += 1;
        self.events.insert("task.expired");
        if !self.lose(place, index, "expired", moment) {
            self.tell_task(place, index, "task.expired", "expired", moment.now);
            self.back_to_ready(place, index, moment.now);
        }
    }

    fn end_workflows(&mut self, now: u64) {
        for place in 0..self.workflows.len() {
            let workflow = &mut self.workflows[place];
            if workflow.is_live() && workflow.deadline.is_some_and(|deadline| deadline <= now) {
                workflow.timed_out = true;
                self.happened.extend(workflow.paused.then_some("a paused workflow that timed out"));
                let runs = workflow.tasks.iter().any(|task| task.state == State::Running);
                self.happened.insert(if runs {
                    "a workflow that timed out and runs down"
                } else {
                    "a workflow that timed out"
                });
                self.lifetime.workflows_timed_out += 1;
                self.events.insert("workflow.timedout");
                self.fail_workflow(place, now);
                self.settle(place, now);
            }
        }
    }

    /// The clock was set ahead by so much when it should have shown `from`: what leases and deadlines had
    /// left they keep.
    pub fn set_clock_ahead(&mut self, from: u64, by: u64) {
        self.begin();
        for workflow in &mut self.workflows {
            if workflow.is_live() && workflow.created <= from {
                workflow.deadline = workflow.deadline.map(|deadline| deadline + by);
                self.happened.extend(workflow.deadline.map(|_| "a deadline moved along with the clock"));
            }
            for task in &mut workflow.tasks {
                if task.state == State::Running && task.started.is_some_and(|started| started <= from) {
                    task.started = task.started.map(|started| started + by);
                    task.deadline += by;
                    self.happened.insert("a lease moved along with the clock");
                }
            }
        }
    }

    /// When retention by age removes a finished workflow.
    pub fn expires(&self, place: usize, settings: &Settings) -> Option<u64> {
        let workflow = &self.workflows[place];
        let usual = if workflow.is_stopped() { "retain-failed-ms" } else { "retain-completed-ms" };
        let kept = workflow.retain_ms.unwrap_or_else(|| self.in_force(usual, settings));
        workflow.finished.map(|finished| finished + kept)
    }

    /// The places of the finished workflows, oldest first.
    pub fn finished(&self) -> Vec<usize> {
        let finished = |&place: &usize| self.workflows[place].finished.is_some();
        let mut places: Vec<usize> = (0..self.workflows.len()).filter(finished).collect();
        places.sort_by_key(|&place| self.workflows[place].finished);
        places
    }

    /// Removes finished workflows that are too old. Which go because there are too many, or too many
    /// bytes of them, is learned from the module (`adopt`): of those that finished at the same time any
    /// may go first, and what a workflow takes the model does not know.
    fn remove_old(&mut self, moment: &Moment<'_>) {
        self.swept = true;
        let too_old =
            |&place: &usize| self.expires(place, moment.settings).is_some_and(|time| time <= moment.now);
        let gone: Vec<usize> = self.finished().into_iter().filter(too_old).collect();
        for &place in &gone {
            let by_push = self.workflows[place].retain_ms.is_some();
            self.note(if by_push { "a removal by RETAIN" } else { "a removal by age" });
        }
        self.remove(gone);
    }

    /// Removes workflows by their places.
    pub fn remove(&mut self, mut places: Vec<usize>) {
        places.sort_unstable();
        for place in places.into_iter().rev() {
            self.note_if_told(place);
            self.workflows.remove(place);
            self.events.insert("workflow.deleted");
        }
        self.forget_workers();
    }
}
