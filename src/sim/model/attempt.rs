//! How an attempt ends that did not complete: it failed, took too long, or was lost. A task is tried
//! again until it has used up its attempts, and handed out again until it has lost too many
//! deliveries.

use super::{Backoff, Growth, Model, Moment, State};

/// What a worker wants done with a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing special: the rules of the task hold.
    None,
    /// Another attempt after so long.
    Retry(u64),
    /// No other attempt.
    NoRetry,
}

/// What became of a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The task has failed for good.
    Final,
    /// It is tried again.
    Retried,
}

impl Model {
    /// An attempt failed.
    pub fn fail_attempt(
        &mut self,
        place: usize,
        index: usize,
        error: Option<Vec<u8>>,
        wish: Wish,
        cause: &'static str,
        moment: &mut Moment<'_>,
    ) -> Fate {
        let now = moment.now;
        let usual = self.in_force("default-max-attempts", moment.settings);
        self.worker_of(place, index).failures += 1;
        let workflow = &mut self.workflows[place];
        let live = workflow.wants(index);
        let task = &mut workflow.tasks[index];
        task.failures += 1;
        task.error = error;
        let used_up = task.failures >= task.options.max_attempts.unwrap_or(usual);
        let (late, often) = (task.state == State::Ready, task.failures > 1);
        self.note_if(!live && !used_up, "an attempt that failed in a failed workflow");
        self.note_if(used_up && often, "a task whose attempts are used up");
        self.note_if(wish == Wish::NoRetry && !used_up, "NORETRY");
        self.note_if(used_up && matches!(wish, Wish::Retry(_)), "RETRY of a task whose attempts are used up");
        if !live || used_up || wish == Wish::NoRetry {
            let event = if used_up { "task.dead" } else { "task.failed" };
            self.fail_for_good(place, index, (event, cause), now);
            return Fate::Final;
        }
        self.note_if(late, "a late failure that is retried");
        self.note_if(matches!(wish, Wish::Retry(_)), "RETRY");
        let task = &self.workflows[place].tasks[index];
        let pause = match wish {
            Wish::Retry(pause) => (pause, pause),
            Wish::None | Wish::NoRetry => task.options.backoff.pause(task.failures, moment),
        };
        self.note_run(place, index, now);
        let task = &mut self.workflows[place].tasks[index];
        task.spent = true;
        task.started = None;
        let workflow = &self.workflows[place];
        let due = (workflow.not_before_push(now + pause.0), workflow.not_before_push(now + pause.1));
        self.wait_until(place, index, due, now);
        self.events.insert("task.retried");
        self.lifetime.attempts_retried += 1;
        let at_once = self.workflows[place].tasks[index].state == State::Ready;
        self.note_if(at_once, "an attempt that is retried at once");
        Fate::Retried
    }

    /// A delivery ended without an acknowledgement; its worker is gone. True when the task has failed
    /// for good by that; otherwise what comes next is the caller's.
    pub fn lose(&mut self, place: usize, index: usize, cause: &'static str, moment: &Moment<'_>) -> bool {
        let usual = self.in_force("default-max-deliveries", moment.settings);
        self.worker_of(place, index).lost += 1;
        let workflow = &mut self.workflows[place];
        let live = workflow.wants(index);
        let task = &mut workflow.tasks[index];
        task.lost += 1;
        self.happened.extend((!live).then_some("a delivery lost in a failed workflow"));
        if !live || task.lost < task.options.max_deliveries.unwrap_or(usual) {
            return false;
        }
        let mut error = format!("lost {} times without an acknowledgement, last by ", task.lost).into_bytes();
        error.extend(task.worker.as_ref().expect("somebody had it"));
        task.error = Some(error);
        self.fail_for_good(place, index, ("task.dead", cause), moment.now);
        self.lifetime.tasks_poisoned += 1;
        self.note("a poisoned task");
        true
    }

    /// A task fails, and with it its workflow.
    fn fail_for_good(
        &mut self,
        place: usize,
        index: usize,
        (event, cause): (&'static str, &'static str),
        now: u64,
    ) {
        self.note_run(place, index, now);
        let time = self.workflows[place].not_before_push(now);
        self.fail_task_at(place, index, (event, cause), now, time);
    }

    /// The same of a task that may never have run: now, and what is told of it later is that time.
    pub fn fail_task_at(
        &mut self,
        place: usize,
        index: usize,
        (event, cause): (&'static str, &'static str),
        now: u64,
        time: u64,
    ) {
        let workflow = &mut self.workflows[place];
        let live = workflow.is_live();
        let task = &mut workflow.tasks[index];
        task.end(State::Failed, time);
        self.kinds.get_mut(&task.kind).expect("its type was pushed").failed += 1;
        self.events.insert("task.failed");
        self.tell_task(place, index, event, cause, now);
        let workflow = &self.workflows[place];
        if live && workflow.is_fatal(index) && !workflow.goes_on {
            self.fail_workflow(place, now);
        }
        self.advance(place, now);
        self.settle(place, now);
    }

    /// An attempt is over: how long it ran is remembered of the type.
    pub fn note_run(&mut self, place: usize, index: usize, now: u64) {
        let time = self.workflows[place].not_before_push(now);
        let task = &mut self.workflows[place].tasks[index];
        task.go_on();
        let started = task.started.expect("it ran");
        let kind = self.kinds.get_mut(&task.kind).expect("its type was pushed");
        kind.runs.push(time.max(started) - started);
    }
}

impl Backoff {
    /// The shortest and the longest time until the next attempt after so many failures. Draws a number
    /// where there is a jitter, as the module does, so that the next token is the same.
    fn pause(&self, failures: u64, moment: &mut Moment<'_>) -> (u64, u64) {
        let mut pause = u128::from(self.delay_ms);
        for nth in 1..failures {
            pause = match self.growth {
                Growth::Fixed => pause,
                Growth::Linear => pause + u128::from(self.delay_ms),
                Growth::Exponential => pause * 2,
            };
            if nth > 1_000 || pause > u128::from(self.max_ms) {
                break;
            }
        }
        let longest = pause.min(u128::from(self.max_ms)) as u64;
        let part = (u128::from(longest) * u128::from(self.jitter_thousandths) / 1_000) as u64;
        if self.jitter_thousandths > 0 {
            (moment.random)();
        }
        (longest - part, longest)
    }
}
