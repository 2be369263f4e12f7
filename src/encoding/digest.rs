//! Everything that makes two spaces equal, in one order that does not depend on slots, ids of
//! types or workers, or hash tables. `DEBUG DIGEST-VALUE` and the tests compare what this walks.

use super::effect_text::write_shape;
use crate::engine::definitions::Definition;
use crate::engine::options::{Backoff, TaskOptions};
use crate::engine::space::{Lifetime, Space};
use crate::engine::types::Type;
use crate::engine::workers::{Deeds, Worker};

/// Where the walk goes. Adding within an element is ordered; `end` closes the element.
pub trait DigestSink {
    /// Adds bytes to the element.
    fn bytes(&mut self, bytes: &[u8]);
    /// Adds a number to the element.
    fn int(&mut self, value: i64);
    /// Closes the element.
    fn end(&mut self);
}

/// Walks the whole state of a space.
pub fn walk(space: &Space, sink: &mut dyn DigestSink) {
    let (next_id, next_sequence, latest) = space.counters();
    sink.int(next_id as i64);
    sink.int(next_sequence.0 as i64);
    sink.int(latest.0 as i64);
    sink.int(i64::from(space.paused()));
    sink.int(i64::from(space.incomplete()));
    let Lifetime { lease_expiries, attempts_retried, tasks_timed_out, tasks_poisoned, workflows_timed_out } =
        space.lifetime();
    for count in [lease_expiries, attempts_retried, tasks_timed_out, tasks_poisoned, workflows_timed_out] {
        sink.int(count as i64);
    }
    for (name, value) in space.overrides().iter() {
        sink.bytes(name.as_bytes());
        sink.int(value as i64);
    }
    if let Some(stream) = space.overrides().events() {
        sink.bytes(b"events");
        sink.bytes(stream);
    }
    sink.end();
    let mut types: Vec<&Type> = space.types().iter().map(|(_, entry)| entry).collect();
    types.sort_unstable_by_key(|entry| &*entry.name);
    for entry in types {
        sink.bytes(b"type");
        sink.bytes(&entry.name);
        sink.int(i64::from(entry.paused));
        sink.int(entry.completed as i64);
        sink.int(entry.failed as i64);
        for histogram in [&entry.waits, &entry.runs] {
            sink.int(histogram.buckets().len() as i64);
            histogram.buckets().iter().for_each(|&count| sink.int(count as i64));
        }
        sink.end();
    }
    let mut workers: Vec<&Worker> = space.workers().iter().map(|(_, worker)| worker).collect();
    workers.sort_unstable_by_key(|worker| &*worker.name);
    for worker in workers {
        let Deeds { seen, claims, completions, failures, lost } = worker.deeds;
        sink.bytes(b"worker");
        sink.bytes(&worker.name);
        [seen.0, claims, completions, failures, lost].into_iter().for_each(|number| sink.int(number as i64));
        sink.end();
    }
    for slot in space.workflows().by_age() {
        let (workflow, blueprint) = space.workflow(slot);
        let shape = &blueprint.shape;
        let mut id = Vec::new();
        space.id_of(slot).write(&mut id);
        sink.bytes(b"workflow");
        sink.bytes(&id);
        sink.int(workflow.sequence().0 as i64);
        sink.int(workflow.created().0 as i64);
        optional(sink, workflow.finished(shape).map(|time| time.0 as i64));
        sink.int(i64::from(workflow.priority()));
        sink.int(workflow.word() as i64);
        sink.int(i64::from(workflow.paused()));
        sink.bytes(space.name_of(slot));
        match workflow.input(shape) {
            Some(input) => sink.bytes(input),
            None => sink.int(-1),
        }
        sink.int(i64::from(shape.goes_on()));
        let extra = space.extra(slot);
        if let Some(timeout) = extra.timeout {
            sink.int(timeout.deadline.0 as i64);
            sink.int(timeout.after_ms as i64);
            sink.int(i64::from(timeout.passed));
        }
        sink.bytes(extra.reason.as_deref().unwrap_or_default());
        optional(sink, extra.retain_ms.map(|retain| retain as i64));
        for task in space.tasks_of(slot) {
            let view = space.task(task);
            let options = shape.options(task.index);
            sink.bytes(view.name);
            sink.bytes(view.type_name);
            sink.bytes(workflow.payload(shape, task.index));
            for parent in shape.parents(task.index) {
                sink.int(i64::from(parent.0));
                sink.int(shape.condition(parent, task.index) as i64);
            }
            walk_options(&options, sink);
            sink.int(view.state as i64);
            sink.int(i64::from(view.marks));
            sink.int(i64::from(view.attempts));
            sink.int(i64::from(view.tried.failures));
            sink.int(i64::from(view.tried.lost));
            optional(sink, view.nonce.map(|nonce| i64::from(nonce.0)));
            // As stored, not as shown: a late acknowledgement uses what WF.GET hides.
            let run = workflow.run(shape, task.index);
            for time in [run.ready, run.started, run.finished] {
                optional(sink, time.map(|time| time.0 as i64));
            }
            space.skipped_by(task).for_each(|child| sink.int(i64::from(child.0)));
            for text in [view.worker, view.error, view.result] {
                sink.bytes(text.unwrap_or_default());
            }
        }
        sink.end();
    }
    for definition in space.definitions().sorted() {
        walk_definition(space, definition, sink);
    }
}

fn walk_definition(space: &Space, definition: &Definition, sink: &mut dyn DigestSink) {
    let blueprint = space.blueprints().get(definition.blueprint);
    let mut shape = Vec::new();
    write_shape(&blueprint.shape, 0, |task| space.type_name(blueprint.type_id(task)), &mut shape);
    sink.bytes(b"definition");
    sink.bytes(&definition.name);
    sink.int(definition.version as i64);
    sink.bytes(&definition.workflow);
    optional(sink, definition.priority.map(i64::from));
    optional(sink, definition.timeout_ms.map(|timeout| timeout as i64));
    sink.int(definition.defined.0 as i64);
    sink.int(definition.started as i64);
    optional(sink, definition.last_started.map(|time| time.0 as i64));
    sink.bytes(&shape);
    sink.bytes(definition.payloads(blueprint.shape.len()).bytes());
    sink.end();
}

fn walk_options(options: &TaskOptions, sink: &mut dyn DigestSink) {
    let TaskOptions {
        priority,
        lease_ms,
        max_attempts,
        max_deliveries,
        backoff,
        timeout_ms,
        delay_ms,
        tolerated,
        keep_result,
        signal,
    } = *options;
    sink.int(i64::from(tolerated));
    sink.int(i64::from(keep_result.is_some()));
    sink.int(i64::from(signal));
    optional(sink, priority.map(i64::from));
    optional(sink, max_attempts.map(i64::from));
    optional(sink, max_deliveries.map(i64::from));
    for number in [lease_ms, timeout_ms, delay_ms] {
        optional(sink, number.map(|number| number as i64));
    }
    match backoff {
        None => sink.int(-1),
        Some(Backoff { kind, delay_ms, max_ms, jitter }) => {
            sink.int(kind as i64);
            sink.int(delay_ms as i64);
            sink.int(max_ms as i64);
            sink.int(i64::from(jitter));
        }
    }
}

fn optional(sink: &mut dyn DigestSink, value: Option<i64>) {
    sink.int(value.unwrap_or(-1));
}

/// A sink that keeps everything it is fed.
#[derive(Default)]
struct Kept(Vec<u8>);

impl DigestSink for Kept {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.push(b'b');
        self.0.extend((bytes.len() as u64).to_le_bytes());
        self.0.extend(bytes);
    }
    fn int(&mut self, value: i64) {
        self.0.push(b'i');
        self.0.extend(value.to_le_bytes());
    }
    fn end(&mut self) {
        self.0.push(b'e');
    }
}

/// The whole walk in one piece, for those who compare spaces: the simulators and the fuzzer. Equal
/// exactly where two spaces are.
pub fn all(space: &Space) -> Vec<u8> {
    let mut kept = Kept::default();
    walk(space, &mut kept);
    kept.0
}

/// Where two of these differ, for people; `None` where they are equal.
pub fn difference(left: &[u8], right: &[u8]) -> Option<String> {
    if left == right {
        return None;
    }
    let place = left.iter().zip(right).take_while(|(left, right)| left == right).count();
    let near = |digest: &[u8]| {
        let start = place.saturating_sub(120).min(digest.len());
        format!("{}", digest[start..digest.len().min(place + 60)].escape_ascii())
    };
    Some(format!("\n   {}\n   {}", near(left), near(right)))
}
