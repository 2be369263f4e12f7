//! One history, from its beginning: what one server saw, in order, and what is wrong in it. Of what
//! is found here `judge` has the table.

use super::history::Position;
use super::judge::{Violation, violation};
use super::record::{Event, Handed, Record, Seen, Shape, Task, Verb};
use super::request::task_of;
use crate::engine::edge::On;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What a server at that position has seen.
pub fn life(record: &Record, at: Position) -> Life {
    let mut events: Vec<&Event> =
        record.events.iter().filter(|event| record.histories.has_been(at, event.at)).collect();
    events.sort_by_key(|event| event.at.offset);
    let mut life = Life::default();
    events.into_iter().for_each(|event| life.see(event));
    life
}

/// The newest token of a task, whose it is, and from when until when its lease holds.
#[derive(Clone, Debug)]
pub struct Lease {
    token: String,
    worker: String,
    began: u64,
    until: u64,
}

/// A task in one history.
#[derive(Clone, Debug, Default)]
pub struct State {
    attempts: i64,
    /// Its newest token.
    newest: Option<Lease>,
    /// What became of the newest token.
    used: Option<Verb>,
    /// The token that completed it.
    pub completed: Option<String>,
    failed: bool,
}

/// A workflow in one history.
#[derive(Clone, Debug)]
pub struct Workflow {
    /// Its tasks.
    pub tasks: Vec<Task>,
    /// How they stand.
    pub states: Vec<State>,
    /// Nothing ends a task of it but its worker.
    plain: bool,
    /// It ran again, and what had been done may be done again.
    pub again: bool,
    /// Nothing of it is left to do.
    pub ended: bool,
}

/// A key in one history.
#[derive(Clone, Debug, Default)]
pub struct Key {
    /// Its workflows.
    pub workflows: BTreeMap<String, Workflow>,
    definitions: BTreeMap<String, Rc<Shape>>,
}

/// One history.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// The key.
    pub key: Key,
    dumps: BTreeMap<Position, Key>,
    issued: BTreeSet<String>,
    /// The latest that a clock has shown: a server that starts may be behind what another one did.
    latest: u64,
    /// What is wrong in it.
    pub found: Vec<Violation>,
}

impl Life {
    fn find(&mut self, kind: &'static str, story: String) {
        self.found.push(violation(kind, story));
    }

    fn come_in(&mut self, id: &str, shape: &Shape) {
        let workflow = Workflow {
            tasks: shape.tasks.clone(),
            states: vec![State::default(); shape.tasks.len()],
            plain: shape.plain,
            again: false,
            ended: false,
        };
        // One that ended may have been removed for its age.
        if self.key.workflows.insert(id.to_owned(), workflow).is_some_and(|before| !before.ended) {
            self.find("twice", format!("workflow {id} came in although it was there"));
        }
    }

    fn see(&mut self, event: &Event) {
        let before = self.latest;
        self.latest = before.max(event.clock);
        match &event.seen {
            Seen::Pushed { id, shape } => self.come_in(id, shape),
            Seen::Defined { name, shape } => {
                self.key.definitions.insert(name.clone(), shape.clone());
            }
            Seen::Started { id, name } => match self.key.definitions.get(name).cloned() {
                Some(shape) => self.come_in(id, &shape),
                None => self.find("nobody", format!("{id} was started by {name}, which was not defined")),
            },
            Seen::Handed(handed) => self.handed(handed, event.clock),
            Seen::Settled { verb, token, code } => self.settled(*verb, token, *code, event.clock),
            Seen::TakenBack { token } => {
                if let Some(state) = self.state(token) {
                    state.newest = None;
                }
            }
            Seen::Signalled { id, name, code } => self.signalled(id, name, *code),
            Seen::Added { token, tasks } => self.added(token, tasks),
            Seen::Cancelled { id } => self.workflow(id, |workflow| workflow.plain = false),
            Seen::Retried { id } => self.workflow(id, |workflow| {
                workflow.again = true;
                workflow.plain = false;
                workflow.ended = false;
            }),
            Seen::Deleted { id } => drop(self.key.workflows.remove(id)),
            Seen::Ended { id } => self.workflow(id, |workflow| workflow.ended = true),
            // A server whose clock was behind what others had shown cannot tell its own leases from theirs.
            Seen::Shifted { from, .. } if before > *from => {}
            Seen::Shifted { from, by } => {
                for state in self.key.workflows.values_mut().flat_map(|workflow| &mut workflow.states) {
                    if let Some(lease) = &mut state.newest
                        && lease.began <= *from
                    {
                        lease.began += by;
                        lease.until += by;
                    }
                }
            }
            Seen::Expired => {}
            Seen::Dropped => {
                self.key = Key::default();
            }
            Seen::Copied => {
                for workflow in self.key.workflows.values_mut() {
                    workflow.states.iter_mut().for_each(|state| state.newest = None);
                }
            }
            Seen::Dumped => {
                self.dumps.insert(event.at, self.key.clone());
            }
            Seen::Restored { from } => match self.dumps.get(from).cloned() {
                Some(key) => self.key = key,
                None => self.find("nobody", format!("what was dumped at {from:?} was restored elsewhere")),
            },
        }
    }

    fn workflow(&mut self, id: &str, body: impl FnOnce(&mut Workflow)) {
        if let Some(workflow) = self.key.workflows.get_mut(id) {
            body(workflow);
        }
    }

    fn state(&mut self, token: &str) -> Option<&mut State> {
        let (id, index) = task_of(token)?;
        self.key.workflows.get_mut(id)?.states.get_mut(index)
    }

    fn handed(&mut self, handed: &Handed, clock: u64) {
        let Handed { token, name, attempt, deadline, worker, resumed } = handed;
        self.issued.insert(token.clone());
        let place = task_of(token).map(|(id, index)| (id.to_owned(), index));
        let known = place.and_then(|(id, index)| Some((self.key.workflows.get_mut(&id)?, index)));
        let Some((workflow, index)) = known.filter(|(workflow, index)| *index < workflow.tasks.len()) else {
            return self.find("nobody", format!("{token} was handed out of no workflow"));
        };
        let task = &workflow.tasks[index];
        let mut found = Vec::new();
        if task.name != *name {
            found.push(violation("nobody", format!("{token} is called {name}, not {}", task.name)));
        }
        for (parent, on) in &task.parents {
            let place = workflow.tasks.iter().position(|task| task.name == *parent);
            let state = &workflow.states[place.expect("parents are known")];
            // That one failed or was skipped nobody need have said.
            if *on == On::Success && state.completed.is_none() {
                let story = format!("{token} ({name}) was handed out before {parent} was completed");
                found.push(violation("early", story));
            }
        }
        let state = &mut workflow.states[index];
        if !workflow.again {
            if let Some(done) = &state.completed {
                found.push(violation("after", format!("{token} was handed out after {done} completed it")));
            } else if state.failed {
                found.push(violation("after", format!("{token} was handed out after the task had failed")));
            }
            if *attempt != state.attempts + 1 {
                let before = state.attempts;
                let story = format!("{token} is attempt {attempt}, the last one was {before}");
                found.push(violation("attempt", story));
            }
        } else if *attempt != state.attempts + 1 && *attempt != 1 {
            found.push(violation("attempt", format!("{token} is attempt {attempt} of one that ran again")));
        }
        let starts_over = workflow.again && *attempt == 1;
        if let (Some(older), None) = (&state.newest, state.used)
            && !starts_over
        {
            let mine = *resumed && older.worker == *worker;
            if !mine && (*resumed || self.latest < older.until) {
                let story = format!("{token} was handed to {worker} at {clock}, while there is {older:?}");
                found.push(violation("lease", story));
            }
        }
        let newest = Lease { token: token.clone(), worker: worker.clone(), began: clock, until: *deadline };
        *state = State { attempts: *attempt, newest: Some(newest), ..State::default() };
        self.found.extend(found);
    }

    fn settled(&mut self, verb: Verb, token: &str, code: i64, clock: u64) {
        let issued = self.issued.contains(token);
        let Some((id, index)) = task_of(token) else { return };
        let accepted = code > 0;
        let Some(workflow) = self.key.workflows.get_mut(id) else {
            if accepted {
                self.find("foreign", format!("{verb:?} of {token} was accepted where it has no task"));
            }
            return;
        };
        let Some(state) = workflow.states.get_mut(index) else { return };
        let timeout = workflow.tasks[index].timeout_ms;
        let newest = state.newest.as_ref().is_some_and(|newest| newest.token == token);
        let mut found = Vec::new();
        let mut find = |kind, story: String| found.push(violation(kind, story));
        match (verb, code) {
            (_, 0 | -1) => {
                if newest && workflow.plain && state.used.is_none() && state.completed.is_none() {
                    find(
                        "refused",
                        format!("{verb:?} of {token} is answered with {code}, and it is the newest"),
                    );
                }
            }
            (Verb::Complete, 2) => {
                if state.completed.as_deref() != Some(token) {
                    find("repeat", format!("{token} had not completed its task when it was told so"));
                }
            }
            (Verb::Fail, _) if newest && state.used == Some(Verb::Fail) => {}
            _ if !issued => {
                find("foreign", format!("{verb:?} of {token} was accepted where it was not issued"))
            }
            _ if state.completed.is_some() => {
                find("twice", format!("{verb:?} of {token} was accepted, and the task was completed before"));
            }
            _ if !newest => {
                let newest = &state.newest;
                find("stale", format!("{verb:?} of {token} was accepted although {newest:?} is the newest"));
            }
            _ if state.used.is_some() => {
                let used = state.used;
                find("stale", format!("{verb:?} of {token} was accepted after its {used:?}"));
            }
            (Verb::Complete, _) => {
                state.completed = Some(token.to_owned());
                state.used = Some(verb);
            }
            (Verb::Fail, _) => {
                state.failed = code == 1;
                state.used = Some(verb);
                // What else runs there ends with its lease.
                workflow.plain &= code != 1;
            }
            (Verb::Extend(ms), _) => {
                if let Some(lease) = &mut state.newest {
                    let most = timeout.map_or(u64::MAX, |timeout| lease.began + timeout);
                    lease.until = (clock + ms).min(most);
                }
            }
        }
        self.found.extend(found);
    }

    fn signalled(&mut self, id: &str, name: &str, code: i64) {
        let Some(workflow) = self.key.workflows.get_mut(id) else { return };
        let Some(place) = workflow.tasks.iter().position(|task| task.name == name) else { return };
        let state = &mut workflow.states[place];
        match code {
            1 if (state.completed.is_some() || state.failed) && !workflow.again => {
                self.find("twice", format!("{name} of {id} was signalled after it had ended"));
            }
            1 => state.completed = Some("a signal".to_owned()),
            2 if state.completed.is_none() => {
                self.find("repeat", format!("{name} of {id} had not been signalled when that was said"));
            }
            _ => {}
        }
    }

    fn added(&mut self, token: &str, tasks: &[Task]) {
        let newest = self
            .state(token)
            .is_some_and(|state| state.newest.as_ref().is_some_and(|newest| newest.token == token));
        if !newest {
            self.find("stale", format!("WF.ADD by {token} was accepted, and it is not the newest"));
        }
        let Some(workflow) = task_of(token).and_then(|(id, _)| self.key.workflows.get_mut(id)) else {
            return;
        };
        for task in tasks {
            for child in &task.children {
                if let Some(child) = workflow.tasks.iter_mut().find(|other| other.name == *child) {
                    child.parents.push((task.name.clone(), On::Success));
                }
            }
            workflow.tasks.push(task.clone());
            workflow.states.push(State::default());
        }
    }
}
