//! WF.PUSH and WF.DELETE: workflows come and go.

use super::arguments::{TEN_YEARS, Words};
use super::document::DocumentTask;
use super::{Model, Moment, Refusal, State, Task, Workflow, document};
use crate::sim::tree::Tree;

/// The largest id that is an integer.
const LARGEST_INTEGER_ID: u64 = 9_223_372_036_854_775_806;

/// How a workflow comes in, whatever it is.
#[derive(Default)]
pub struct Terms {
    id: Option<Vec<u8>>,
    nx: bool,
    input: Option<Vec<u8>>,
    priority: Option<u64>,
    paused: bool,
    start: Option<u64>,
    timeout: Option<u64>,
    retain: Option<u64>,
}

impl Terms {
    /// `[ID id] [NX] [INPUT value] [PRIORITY p] [PAUSED] [DELAY ms | AT unix-ms] [TIMEOUT ms]
    /// [RETAIN ms]`
    pub fn read(mut words: Words<'_>, moment: &Moment<'_>) -> Result<Terms, Refusal> {
        let now = moment.now;
        let mut terms = Terms::default();
        while !words.0.is_empty() {
            if words.keyword("ID") {
                terms.id = Some(words.need()?.to_vec());
            } else if words.keyword("NX") {
                terms.nx = true;
            } else if words.keyword("INPUT") {
                terms.input = Some(words.need()?.to_vec());
            } else if words.keyword("PRIORITY") {
                terms.priority = Some(words.number(0, 16_777_215)?);
            } else if words.keyword("PAUSED") {
                terms.paused = true;
            } else if words.has("DELAY") || words.has("AT") {
                let (base, name) = if words.has("AT") { (0, "AT") } else { (now, "DELAY") };
                words.keyword(name);
                let time = base + words.number(0, now - base + TEN_YEARS)?;
                if terms.start.replace(time).is_some() {
                    return Err("ERR");
                }
            } else if words.keyword("TIMEOUT") {
                if terms.timeout.replace(words.number(1, TEN_YEARS)?).is_some() {
                    return Err("ERR");
                }
            } else if words.keyword("RETAIN") {
                terms.retain = Some(words.number(0, TEN_YEARS)?);
            } else {
                return Err("ERR");
            }
        }
        if terms.input.as_ref().is_some_and(|input| input.len() as u64 > moment.settings.max_input_bytes) {
            return Err("LIMIT");
        }
        Ok(terms)
    }
}

impl Model {
    /// `WF.PUSH key workflow` and the options of [`Terms::read`]
    pub fn push(&mut self, args: &[Vec<u8>], moment: &mut Moment<'_>) -> Result<Tree, Refusal> {
        let mut words = Words(args);
        let source = words.need()?;
        let terms = Terms::read(words, moment)?;
        if document::is_oversized(source, moment) {
            return Err("LIMIT");
        }
        // That the id is taken is told before any other limit of the document.
        let document = match document::read(source, moment) {
            Ok(_) | Err("LIMIT") if self.is_taken(&terms) => return self.taken(&terms),
            document => document?,
        };
        self.need_id(&terms)?;
        self.check_room(document.tasks.iter().map(|task| &task.kind), moment.settings)?;
        Ok(self.take_in(document, terms, moment))
    }

    /// Whether there is a workflow of the id that is asked for.
    pub fn is_taken(&self, terms: &Terms) -> bool {
        terms.id.as_ref().is_some_and(|id| self.find(id).is_some())
    }

    /// What is said then.
    pub fn taken(&self, terms: &Terms) -> Result<Tree, Refusal> {
        if terms.nx { Ok(Tree::Null) } else { Err("EXISTS") }
    }

    /// Whether there is an id to give.
    pub fn need_id(&self, terms: &Terms) -> Result<(), Refusal> {
        if terms.id.is_none() && self.largest_id == LARGEST_INTEGER_ID { Err("LIMIT") } else { Ok(()) }
    }

    /// A workflow of a document comes in, and nothing speaks against it.
    pub fn take_in(&mut self, document: document::Document, terms: Terms, moment: &Moment<'_>) -> Tree {
        let now = moment.now;
        let Terms { id, nx: _, input, priority, paused, start, timeout, retain } = terms;
        self.exists = true;
        let id = id.unwrap_or_else(|| (self.largest_id + 1).to_string().into_bytes());
        if let Some(integer) = integer(&id) {
            self.largest_id = self.largest_id.max(integer);
        }
        let workflow_priority = priority.or(document.priority).unwrap_or(100);
        let tasks = document.tasks.into_iter().map(|task| {
            self.kinds.entry(task.kind.clone()).or_default();
            Task::new(task, workflow_priority)
        });
        let tasks = tasks.collect();
        // A time that has passed is no delay.
        self.note_if(start.is_some_and(|start| start < now), "AT in the past");
        self.note_if(timeout.is_some() && document.timeout_ms.is_some(), "TIMEOUT over the document's");
        let start = start.map_or(now, |start| start.max(now));
        self.note_if(start > now && paused, "a delay of a paused workflow");
        let timeout_ms = timeout.or(document.timeout_ms);
        self.pushed += 1;
        self.workflows.push(Workflow {
            id: id.clone(),
            serial: self.pushed,
            name: document.name,
            priority: workflow_priority,
            input,
            paused,
            goes_on: document.goes_on,
            failed: false,
            cancelled: None,
            timed_out: false,
            created: now,
            finished: None,
            timeout_ms,
            deadline: timeout_ms.map(|timeout| start + timeout),
            retain_ms: retain,
            grown: false,
            tasks,
        });
        let place = self.workflows.len() - 1;
        if start > now {
            self.delay_roots(place, start, now);
        }
        self.advance(place, now);
        self.events.insert("workflow.pushed");
        self.tell_pushed(place, now);
        Tree::Bulk(id)
    }

    /// The tasks without parents wait until a time, and then as long as their own `delay_ms` says.
    fn delay_roots(&mut self, place: usize, start: u64, now: u64) {
        for index in 0..self.workflows[place].tasks.len() {
            let task = &self.workflows[place].tasks[index];
            if task.parents.is_empty() {
                let due = start + task.options.delay_ms.unwrap_or(0);
                self.wait_until(place, index, (due, due), now);
            }
        }
    }

    /// `WF.DELETE key id [id ...]`
    pub fn delete(&mut self, args: &[Vec<u8>]) -> Result<Tree, Refusal> {
        if args.is_empty() {
            return Err("ERR");
        }
        let mut removed = 0;
        for id in args {
            if let Some(place) = self.find(id) {
                self.workflows.remove(place);
                removed += 1;
                self.events.insert("workflow.deleted");
            }
        }
        self.forget_workers();
        Ok(Tree::Int(removed))
    }
}

impl Task {
    /// A task of a document, in a workflow of this priority, to which nothing has happened.
    pub fn new(task: DocumentTask, workflow_priority: u64) -> Task {
        Task {
            name: task.name,
            kind: task.kind,
            payload: task.payload,
            priority: task.options.priority.unwrap_or(workflow_priority),
            options: task.options,
            parents: task.parents,
            ons: task.ons,
            tolerated: task.tolerated,
            signal: task.signal,
            late: false,
            chose_to_skip: Default::default(),
            state: State::Waiting,
            attempts: 0,
            failures: 0,
            lost: 0,
            worker: None,
            nonce: None,
            spent: false,
            deadline: 0,
            due: (0, 0),
            ready: None,
            started: None,
            finished: None,
            error: None,
            result: None,
        }
    }
}

/// The integer that an id is, if it is written as one.
fn integer(id: &[u8]) -> Option<u64> {
    let number: u64 = std::str::from_utf8(id).ok()?.parse().ok()?;
    (number <= LARGEST_INTEGER_ID && number.to_string().as_bytes() == id).then_some(number)
}
