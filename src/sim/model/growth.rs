//! WF.ADD: a running task adds tasks to its workflow.

use super::acknowledge::Found;
use super::arguments::Words;
use super::document::{DocumentTask, Object, TASK_FIELDS};
use super::flow::On;
use super::{Model, Moment, Refusal, State, Task, document, options};
use crate::sim::tree::Tree;
use std::collections::BTreeMap;

/// Tasks to be added as they are written, and what they say for themselves.
struct Added {
    objects: Vec<Object>,
    tasks: Vec<DocumentTask>,
}

type Edges = BTreeMap<(usize, usize), On>;

impl Model {
    /// `WF.ADD key token tasks`
    pub fn add(&mut self, args: &[Vec<u8>], moment: &mut Moment<'_>) -> Result<Tree, Refusal> {
        let mut words = Words(args);
        let (token, source) = (words.need()?, words.need()?);
        if !words.0.is_empty() {
            return Err("ERR");
        }
        let found = self.look_up(token)?;
        let added = read(source, moment)?;
        let (place, by) = match found {
            Found::Unknown => return Ok(Tree::Int(-1)),
            Found::Stale => return Ok(Tree::Int(0)),
            Found::Task(place, index) => (place, index),
        };
        let workflow = &self.workflows[place];
        let task = &workflow.tasks[by];
        let has_it = matches!(task.state, State::Running | State::Ready) && !task.spent;
        if !has_it || !workflow.wants(by) {
            return Ok(Tree::Int(0));
        }
        let late = task.state == State::Ready;
        let edges = self.check(place, &added, moment)?;
        self.note_if(late, "tasks added with a token whose lease ran out");
        let count = added.tasks.len();
        self.enter(place, added.tasks, edges, moment.now);
        Ok(Tree::number(count as u64))
    }

    /// The edges of tasks that may be added.
    fn check(&self, place: usize, added: &Added, moment: &Moment<'_>) -> Result<Edges, Refusal> {
        let (workflow, settings) = (&self.workflows[place], moment.settings);
        if added.tasks.is_empty() {
            return Err("INVALID");
        }
        for task in &added.tasks {
            if task.name.is_empty() {
                return Err("INVALID");
            }
            if task.payload.len() as u64 > settings.max_payload_bytes {
                return Err("LIMIT");
            }
        }
        let first = workflow.tasks.len();
        let text = |name: &[u8]| String::from_utf8(name.to_vec()).expect("JSON");
        let mut names: Vec<String> = workflow.tasks.iter().map(|task| text(&task.name)).collect();
        for task in &added.tasks {
            let name = text(&task.name);
            match names.iter().position(|other| *other == name) {
                Some(other) if other < first => return Err("EXISTS"),
                Some(_) => return Err("INVALID"),
                None => names.push(name),
            }
        }
        if names.len() as u64 > settings.max_tasks {
            return Err("LIMIT");
        }
        let edges = document::edges(&added.objects, first, &names)?;
        let begun = |child: usize| child < first && workflow.tasks[child].state != State::Waiting;
        if edges.keys().any(|&(_, child)| begun(child)) {
            return Err("INVALID");
        }
        let mut parents: Vec<Vec<usize>> = workflow.tasks.iter().map(|task| task.parents.clone()).collect();
        parents.resize(names.len(), Vec::new());
        edges.keys().for_each(|&(parent, child)| parents[child].push(parent));
        if parents.iter().map(Vec::len).sum::<usize>() as u64 > settings.max_edges {
            return Err("LIMIT");
        }
        if document::has_cycle(&parents.iter().map(Vec::as_slice).collect::<Vec<_>>()) {
            return Err("INVALID");
        }
        self.check_room(added.tasks.iter().map(|task| &task.kind), settings)?;
        Ok(edges)
    }

    /// Tasks come behind those that are there, and get on as far as they can.
    fn enter(&mut self, place: usize, added: Vec<DocumentTask>, edges: Edges, now: u64) {
        for task in &added {
            self.kinds.entry(task.kind.clone()).or_default();
        }
        let workflow = &mut self.workflows[place];
        let (first, flowed) = (workflow.tasks.len(), workflow.is_flow());
        let priority = workflow.priority;
        workflow.grown = true;
        workflow.tasks.extend(added.into_iter().map(|task| Task::new(task, priority)));
        for (&(parent, child), &on) in &edges {
            workflow.tasks[child].parents.push(parent);
            workflow.tasks[child].ons.push(on);
        }
        let becomes_flow = !flowed && workflow.is_flow();
        let (paused, stopped) = (workflow.paused, workflow.is_stopped());
        self.cancel_added(place, first, now);
        self.advance(place, now);
        self.note_if(becomes_flow, "a workflow that gets conditions");
        self.note_if(paused, "tasks added to a paused workflow");
        self.note_if(edges.keys().any(|&(_, child)| child < first), "a task that waits for an added one");
        let workflow = &self.workflows[place];
        let handled = edges.iter().any(|(&(parent, _), on)| {
            parent < first && workflow.tasks[parent].state == State::Failed && *on == On::Failure
        });
        let states: Vec<State> = workflow.tasks[first..].iter().map(|task| task.state).collect();
        self.note_if(handled, "a failure handled by an added task");
        for (state, what) in [
            (State::Waiting, "an added task that waits"),
            (State::Delayed, "an added task that is delayed"),
            (State::Ready, "an added task that is ready at once"),
            (State::Skipped, "an added task that is skipped at once"),
        ] {
            self.note_if(states.contains(&state), what);
        }
        let cancelled = states.contains(&State::Cancelled);
        self.note_if(stopped && cancelled, "a task added to a stopped workflow that is cancelled");
        self.note_if(
            stopped && states.contains(&State::Waiting),
            "a task added to a stopped workflow that stays",
        );
        self.note_if(!stopped && cancelled, "a task added behind a failure that a retry left");
    }

    /// What of the added tasks, and of those behind them, never runs.
    fn cancel_added(&mut self, place: usize, first: usize, now: u64) {
        let workflow = &mut self.workflows[place];
        let time = workflow.not_before_push(now);
        if workflow.is_stopped() {
            for index in first..workflow.tasks.len() {
                if !workflow.survives(index) {
                    workflow.tasks[index].end(State::Cancelled, time);
                }
            }
            return;
        }
        if workflow.is_flow() {
            return;
        }
        while let Some(index) = (0..workflow.tasks.len()).find(|&index| {
            let gone =
                |&parent: &usize| matches!(workflow.tasks[parent].state, State::Failed | State::Cancelled);
            workflow.tasks[index].state == State::Waiting && workflow.tasks[index].parents.iter().any(gone)
        }) {
            workflow.tasks[index].end(State::Cancelled, time);
        }
    }
}

/// Reads an array of tasks, or an object with one and defaults.
fn read(source: &[u8], moment: &Moment<'_>) -> Result<Added, Refusal> {
    let top: Object = match serde_json::from_slice::<Vec<Object>>(source) {
        Ok(tasks) => {
            let whole = serde_json::value::to_raw_value(&tasks).expect("it was JSON");
            Object::from([("tasks".to_owned(), whole)])
        }
        Err(_) => serde_json::from_slice(source).map_err(|_| "INVALID")?,
    };
    let top = document::lowercase(top, &["tasks", "defaults"])?;
    let objects: Vec<Object> = document::field(&top, "tasks")?.unwrap_or_default();
    let known = |task| document::lowercase(task, &TASK_FIELDS);
    let objects = objects.into_iter().map(known).collect::<Result<Vec<_>, _>>()?;
    if document::is_too_much(&objects, moment) {
        return Err("LIMIT");
    }
    let defaults = options::defaults(&top)?;
    let tasks = objects.iter().map(|task| document::read_task(task, &defaults));
    Ok(Added { tasks: tasks.collect::<Result<_, _>>()?, objects })
}
