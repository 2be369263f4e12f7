//! A workflow document, read with a general JSON parser and checked rule by rule.

use super::arguments::TEN_YEARS;
use super::options::{self, Options};
use super::{Moment, Refusal};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};

/// A task of a document.
pub struct DocumentTask {
    pub name: Vec<u8>,
    pub kind: Vec<u8>,
    pub payload: Vec<u8>,
    pub options: Options,
    pub parents: Vec<usize>,
}

/// A checked document.
pub struct Document {
    pub name: Vec<u8>,
    pub priority: Option<u64>,
    pub timeout_ms: Option<u64>,
    pub tasks: Vec<DocumentTask>,
}

/// The fields of an object of a document.
pub type Object = BTreeMap<String, Box<RawValue>>;

const FIELDS: [&str; 7] = ["name", "priority", "tasks", "defaults", "timeout_ms", "workflow", "workflowid"];
const TASK_FIELDS: [&str; 14] = [
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
    let names = |task, list| field::<Option<Vec<String>>>(task, list).ok().flatten().flatten();
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
    let edges = edges(&objects, &names)?;
    if edges.len() as u64 > moment.settings.max_edges {
        return Err("LIMIT");
    }
    let defaults = options::defaults(&top)?;
    let mut tasks = Vec::new();
    for (index, task) in objects.iter().enumerate() {
        let payload = payload(task)?;
        if payload.len() as u64 > moment.settings.max_payload_bytes {
            return Err("LIMIT");
        }
        let kind: String = field(task, "type")?.unwrap_or_default();
        let parents = (0..objects.len()).filter(|&parent| edges.contains(&(parent, index)));
        tasks.push(DocumentTask {
            name: names[index].clone().into_bytes(),
            kind: kind.into_bytes(),
            payload,
            options: Options { priority: priority(task)?, ..options::read(task, &defaults)? },
            parents: parents.collect(),
        });
    }
    if has_cycle(&tasks) {
        return Err("INVALID");
    }
    let name: Option<String> = field(&top, "name")?;
    Ok(Document {
        name: name.unwrap_or_default().into_bytes(),
        priority: priority(&top)?,
        timeout_ms: options::ranged(&top, "timeout_ms", 1, TEN_YEARS)?,
        tasks,
    })
}

/// Fields under their own names, whichever of the two spellings they have.
fn lowercase(object: Object, known: &[&str]) -> Result<Object, Refusal> {
    let rename = |(name, value): (String, _)| {
        let own = if ANCESTOR.contains(&&*name) { name.to_ascii_lowercase() } else { name };
        if known.contains(&&*own) { Ok((own, value)) } else { Err("INVALID") }
    };
    object.into_iter().map(rename).collect()
}

fn field<T: serde::de::DeserializeOwned>(object: &Object, name: &str) -> Result<Option<T>, Refusal> {
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

/// Every edge, from parent to child, once however often it was written.
fn edges(objects: &[Object], names: &[String]) -> Result<BTreeSet<(usize, usize)>, Refusal> {
    let mut edges = BTreeSet::new();
    for (index, task) in objects.iter().enumerate() {
        for (list, is_parent) in [("parents", true), ("children", false)] {
            let others: Option<Vec<String>> = field(task, list)?;
            for other in others.unwrap_or_default() {
                let other = names.iter().position(|name| *name == other).ok_or("INVALID")?;
                if other == index {
                    return Err("INVALID");
                }
                edges.insert(if is_parent { (other, index) } else { (index, other) });
            }
        }
    }
    Ok(edges)
}

/// Takes away tasks without open parents until there are none; what is left has a cycle.
fn has_cycle(tasks: &[DocumentTask]) -> bool {
    let mut done = vec![false; tasks.len()];
    while let Some(next) = (0..tasks.len())
        .find(|&index| !done[index] && tasks[index].parents.iter().all(|&parent| done[parent]))
    {
        done[next] = true;
    }
    done.contains(&false)
}
