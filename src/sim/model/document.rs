//! A workflow document, read with a general JSON parser and checked rule by rule.

use super::arguments::TEN_YEARS;
use super::flow::On;
use super::options::{self, Options};
use super::{Moment, Refusal};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A task of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentTask {
    pub name: Vec<u8>,
    pub kind: Vec<u8>,
    pub payload: Vec<u8>,
    pub options: Options,
    pub parents: Vec<usize>,
    /// When the edge from each of these holds.
    pub ons: Vec<On>,
    /// Its failure does not fail the workflow.
    pub tolerated: bool,
    /// A signal ends it.
    pub signal: bool,
}

/// A checked document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub name: Vec<u8>,
    pub priority: Option<u64>,
    pub timeout_ms: Option<u64>,
    /// A failure does not stop what does not depend on it.
    pub goes_on: bool,
    pub tasks: Vec<DocumentTask>,
}

/// The fields of an object of a document.
pub type Object = BTreeMap<String, Box<RawValue>>;

const FIELDS: [&str; 8] =
    ["fail_fast", "name", "priority", "tasks", "defaults", "timeout_ms", "workflow", "workflowid"];
pub const TASK_FIELDS: [&str; 17] = [
    "keep_result",
    "signal",
    "on_failure",
    "name",
    "type",
    "payload",
    "priority",
    "parents",
    "children",
    "lease_ms",
    "max_attempts",
    "max_deliveries",
    "backoff",
    "timeout_ms",
    "delay_ms",
    "workflow",
    "workflowid",
];
/// What the ancestor's documents call their fields.
const ANCESTOR: [&str; 9] =
    ["Name", "Tasks", "Type", "Payload", "Priority", "Parents", "Children", "Workflow", "WorkflowId"];

/// Whether a document is so large that it is not read to its end: more tasks than allowed, or four
/// times more parents and children than edges are allowed.
pub fn is_oversized(source: &[u8], moment: &Moment<'_>) -> bool {
    let top = serde_json::from_slice(source).ok().and_then(|top| lowercase(top, &FIELDS).ok());
    let tasks = top.and_then(|top| field::<Vec<Object>>(&top, "tasks").ok()?);
    let tasks: Vec<Object> =
        tasks.unwrap_or_default().into_iter().filter_map(|task| lowercase(task, &TASK_FIELDS).ok()).collect();
    is_too_much(&tasks, moment)
}

/// Whether there are more tasks, or four times more parents and children, than allowed.
pub fn is_too_much(tasks: &[Object], moment: &Moment<'_>) -> bool {
    let names = |task, list| field::<Option<Vec<Box<RawValue>>>>(task, list).ok().flatten().flatten();
    let names: usize = tasks
        .iter()
        .flat_map(|task| [names(task, "parents"), names(task, "children")])
        .map(|names| names.map_or(0, |names| names.len()))
        .sum();
    tasks.len() as u64 > moment.settings.max_tasks || names as u64 > 4 * moment.settings.max_edges
}

/// Reads and checks a document.
pub fn read(source: &[u8], moment: &Moment<'_>) -> Result<Document, Refusal> {
    let top = lowercase(serde_json::from_slice(source).map_err(|_| "INVALID")?, &FIELDS)?;
    let objects: Vec<Object> = field(&top, "tasks")?.ok_or("INVALID")?;
    if objects.is_empty() {
        return Err("INVALID");
    }
    if objects.len() as u64 > moment.settings.max_tasks {
        return Err("LIMIT");
    }
    let objects =
        objects.into_iter().map(|task| lowercase(task, &TASK_FIELDS)).collect::<Result<Vec<_>, _>>()?;
    let mut names = Vec::new();
    for task in &objects {
        let name: String = field(task, "name")?.ok_or("INVALID")?;
        if name.is_empty() || names.contains(&name) {
            return Err("INVALID");
        }
        names.push(name);
    }
    let edges = edges(&objects, 0, &names)?;
    if edges.len() as u64 > moment.settings.max_edges {
        return Err("LIMIT");
    }
    let defaults = options::defaults(&top)?;
    let mut tasks = Vec::new();
    for (index, task) in objects.iter().enumerate() {
        let parents: Vec<usize> =
            (0..objects.len()).filter(|&parent| edges.contains_key(&(parent, index))).collect();
        let task = DocumentTask {
            ons: parents.iter().map(|&parent| edges[&(parent, index)]).collect(),
            parents,
            ..read_task(task, &defaults)?
        };
        if task.payload.len() as u64 > moment.settings.max_payload_bytes {
            return Err("LIMIT");
        }
        tasks.push(task);
    }
    let parents: Vec<&[usize]> = tasks.iter().map(|task| &task.parents[..]).collect();
    if has_cycle(&parents) {
        return Err("INVALID");
    }
    let name: Option<String> = field(&top, "name")?;
    let fail_fast: Option<Option<bool>> = field(&top, "fail_fast")?;
    Ok(Document {
        name: name.unwrap_or_default().into_bytes(),
        priority: priority(&top)?,
        timeout_ms: options::ranged(&top, "timeout_ms", 1, TEN_YEARS)?,
        goes_on: fail_fast.flatten() == Some(false),
        tasks,
    })
}

/// What a task says for itself, its edges aside. One without a name has an empty one.
pub fn read_task(task: &Object, defaults: &Object) -> Result<DocumentTask, Refusal> {
    let name: Option<String> = field(task, "name")?;
    let kind: Option<Option<String>> = field(task, "type")?;
    let on_failure: Option<Option<String>> = field(task, "on_failure")?;
    let tolerated = match on_failure.flatten().as_deref() {
        None | Some("fail") => false,
        Some("continue") => true,
        Some(_) => return Err("INVALID"),
    };
    let signal: Option<Option<bool>> = field(task, "signal")?;
    let signal = signal.flatten() == Some(true);
    let given = |name: &&str| task.get(*name).is_some_and(|raw| raw.get() != "null");
    if signal && ["lease_ms", "max_attempts", "max_deliveries", "backoff"].iter().any(given) {
        return Err("INVALID");
    }
    // Of the defaults only these are for those that no worker runs.
    let mut defaults = defaults.clone();
    defaults.retain(|name, _| !signal || name == "delay_ms" || name == "keep_result");
    Ok(DocumentTask {
        name: name.unwrap_or_default().into_bytes(),
        kind: kind.flatten().unwrap_or_default().into_bytes(),
        payload: payload(task)?,
        options: Options { priority: priority(task)?, ..options::read(task, &defaults)? },
        parents: Vec::new(),
        ons: Vec::new(),
        tolerated,
        signal,
    })
}

/// A parent as it is written: a name, or an object with the name and the condition.
fn read_parent(raw: &RawValue) -> Result<(String, On), Refusal> {
    if let Ok(name) = serde_json::from_str(raw.get()) {
        return Ok((name, On::Success));
    }
    let object: Object = serde_json::from_str(raw.get()).map_err(|_| "INVALID")?;
    let object = lowercase(object, &["task", "on"])?;
    let on: Option<Option<String>> = field(&object, "on")?;
    let on = match on.flatten().as_deref() {
        None | Some("success") => On::Success,
        Some("failure") => On::Failure,
        Some("always") => On::Always,
        Some(_) => return Err("INVALID"),
    };
    Ok((field(&object, "task")?.ok_or("INVALID")?, on))
}

/// Fields under their own names, whichever of the two spellings they have.
pub fn lowercase(object: Object, known: &[&str]) -> Result<Object, Refusal> {
    let rename = |(name, value): (String, _)| {
        let own = if ANCESTOR.contains(&&*name) { name.to_ascii_lowercase() } else { name };
        if known.contains(&&*own) { Ok((own, value)) } else { Err("INVALID") }
    };
    object.into_iter().map(rename).collect()
}

pub fn field<T: serde::de::DeserializeOwned>(object: &Object, name: &str) -> Result<Option<T>, Refusal> {
    object.get(name).map(|raw| serde_json::from_str(raw.get()).map_err(|_| "INVALID")).transpose()
}

fn priority(object: &Object) -> Result<Option<u64>, Refusal> {
    let Some(raw) = object.get("priority") else { return Ok(None) };
    match raw.get().trim_matches('"').parse() {
        Ok(priority) if priority <= 16_777_215 => Ok(Some(priority)),
        _ => Err("INVALID"),
    }
}

fn payload(task: &Object) -> Result<Vec<u8>, Refusal> {
    let Some(raw) = task.get("payload") else { return Ok(Vec::new()) };
    match raw.get() {
        "null" => Ok(Vec::new()),
        text if text.starts_with('"') => {
            serde_json::from_str::<String>(text).map(String::into_bytes).map_err(|_| "INVALID")
        }
        source => Ok(source.as_bytes().to_vec()),
    }
}

/// Every edge that tasks write, of which the first is the task `first`, from parent to child, once
/// however often it was written.
pub fn edges(
    objects: &[Object],
    first: usize,
    names: &[String],
) -> Result<BTreeMap<(usize, usize), On>, Refusal> {
    let mut edges = BTreeMap::new();
    for (index, task) in (first..).zip(objects) {
        let parents: Option<Option<Vec<Box<RawValue>>>> = field(task, "parents")?;
        for parent in parents.flatten().unwrap_or_default() {
            let (parent, on) = read_parent(&parent)?;
            let parent = other_task(&parent, index, names)?;
            if *edges.entry((parent, index)).or_insert(on) != on {
                return Err("INVALID");
            }
        }
    }
    // A child that does not say otherwise runs on success.
    for (index, task) in (first..).zip(objects) {
        let children: Option<Option<Vec<String>>> = field(task, "children")?;
        for child in children.flatten().unwrap_or_default() {
            edges.entry((index, other_task(&child, index, names)?)).or_insert(On::Success);
        }
    }
    Ok(edges)
}

/// The task of that name, which is not this one.
fn other_task(name: &str, index: usize, names: &[String]) -> Result<usize, Refusal> {
    names.iter().position(|other| other == name).filter(|&other| other != index).ok_or("INVALID")
}

/// Takes away tasks without open parents until there are none; what is left has a cycle.
pub fn has_cycle(parents: &[&[usize]]) -> bool {
    let mut done = vec![false; parents.len()];
    while let Some(next) =
        (0..parents.len()).find(|&index| !done[index] && parents[index].iter().all(|&parent| done[parent]))
    {
        done[next] = true;
    }
    done.contains(&false)
}
