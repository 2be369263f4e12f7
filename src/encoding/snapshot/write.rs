//! A space into chunks.

use super::{CHUNK, EXTRA_REASON, VERSION, VOID, definitions, flag, kind, options};
use crate::encoding::bytes::put_text;
use crate::engine::fresh::LastFresh;
use crate::engine::histogram::Histogram;
use crate::engine::notes::NoteKind;
use crate::engine::packed::put_varint;
use crate::engine::runs::Run;
use crate::engine::space::{Lifetime, Space};
use crate::engine::state::WorkflowState;
use crate::engine::units::{Millis, Slot, WorkerId};
use crate::engine::workers::Deeds;
use crate::engine::workflow::{MARK_TRIED, MARK_VOID, StoredId};
use hashbrown::HashMap;

/// Writes a space; `sink` gets each chunk once, in order.
pub fn save(space: &Space, sink: &mut dyn FnMut(&[u8])) {
    let mut out = Chunks { sink, tag: b'H', body: Vec::new(), count: 0 };
    header(space, &mut out);
    own(space, &mut out);
    for (_, entry) in space.types().iter() {
        out.item(b'T', |bytes| {
            put_text(bytes, &entry.name);
            bytes.push(u8::from(entry.paused));
            put_varint(bytes, entry.completed);
            put_varint(bytes, entry.failed);
            histogram(&entry.waits, bytes);
            histogram(&entry.runs, bytes);
        });
    }
    let mut workers = HashMap::new();
    // A name that nothing mentions and a shape that nothing uses are only in a space that was never
    // wholly loaded; what it has is saved so that it loads.
    let mentioned = space.workers().iter().filter(|(_, worker)| worker.mentions > 0);
    for (place, (id, worker)) in mentioned.enumerate() {
        workers.insert(id, place as u64);
        let Deeds { seen, claims, completions, failures, lost } = worker.deeds;
        out.item(b'w', |bytes| {
            put_text(bytes, &worker.name);
            [seen.0, claims, completions, failures, lost]
                .into_iter()
                .for_each(|number| put_varint(bytes, number));
        });
    }
    let mut blueprints = 0;
    for (id, blueprint) in space.blueprints().iter().filter(|(_, blueprint)| blueprint.uses() > 0) {
        blueprints += 1;
        out.item(b'P', |bytes| {
            put_varint(bytes, u64::from(id.0));
            put_text(bytes, &blueprint.name);
            let shape = &blueprint.shape;
            bytes.push(u8::from(shape.goes_on()));
            put_varint(bytes, shape.len() as u64);
            for task in shape.indexes() {
                put_varint(bytes, u64::from(blueprint.type_id(task).0));
                put_text(bytes, shape.name(task));
                put_varint(bytes, shape.parents(task).len() as u64);
                for parent in shape.parents(task) {
                    put_varint(bytes, u64::from(parent.0) << 2 | shape.condition(parent, task) as u64);
                }
                options::write(&shape.options(task), bytes);
            }
        });
    }
    out.close();
    let slots = space.workflows().by_age();
    workflows(space, &slots, &workers, &mut out);
    let notes = notes(space, &slots, &mut out);
    let tries = tries(space, &slots, &mut out);
    let extras = extras(space, &slots, &mut out);
    let definitions = space.definitions().sorted();
    for definition in &definitions {
        let tasks = space.blueprints().get(definition.blueprint).shape.len();
        out.item(b'D', |bytes| definitions::write(definition, tasks, bytes));
    }
    out.close();
    out.tag = b'E';
    let definitions = definitions.len();
    for count in
        [space.types().len(), workers.len(), blueprints, slots.len(), notes, tries, extras, definitions]
    {
        put_varint(&mut out.body, count as u64);
    }
    out.emit();
}

/// Collects items of one kind and hands them on in chunks, each with their number in front.
struct Chunks<'s> {
    sink: &'s mut dyn FnMut(&[u8]),
    tag: u8,
    body: Vec<u8>,
    count: u64,
}

impl Chunks<'_> {
    fn item(&mut self, tag: u8, write: impl FnOnce(&mut Vec<u8>)) {
        if self.tag != tag || self.body.len() >= CHUNK {
            self.close();
            self.tag = tag;
        }
        write(&mut self.body);
        self.count += 1;
    }

    /// Hands on what there is, if anything.
    fn close(&mut self) {
        if self.count > 0 {
            let mut body = Vec::with_capacity(self.body.len() + 10);
            put_varint(&mut body, self.count);
            body.append(&mut self.body);
            self.body = body;
            self.emit();
        }
    }

    fn emit(&mut self) {
        self.body.insert(0, self.tag);
        (self.sink)(&self.body);
        self.body.clear();
        self.count = 0;
    }
}

fn header(space: &Space, out: &mut Chunks<'_>) {
    let (next_id, next_sequence, latest) = space.counters();
    put_varint(&mut out.body, u64::from(VERSION));
    put_varint(&mut out.body, next_id);
    put_varint(&mut out.body, next_sequence.0);
    put_varint(&mut out.body, latest.0);
    out.body.push(u8::from(space.paused()));
    out.body.push(u8::from(space.incomplete()));
    out.emit();
}

/// What is of the space itself beyond the header.
fn own(space: &Space, out: &mut Chunks<'_>) {
    let Lifetime { lease_expiries, attempts_retried, tasks_timed_out, tasks_poisoned, workflows_timed_out } =
        space.lifetime();
    out.tag = b'S';
    for count in [lease_expiries, attempts_retried, tasks_timed_out, tasks_poisoned, workflows_timed_out] {
        put_varint(&mut out.body, count);
    }
    let settings = space.overrides().iter();
    put_varint(&mut out.body, settings.len() as u64);
    for (name, value) in settings {
        put_text(&mut out.body, name.as_bytes());
        put_varint(&mut out.body, value);
    }
    out.emit();
    if let Some(stream) = space.overrides().events() {
        out.tag = b'V';
        put_text(&mut out.body, stream);
        out.emit();
    }
}

fn histogram(histogram: &Histogram, bytes: &mut Vec<u8>) {
    put_varint(bytes, histogram.buckets().len() as u64);
    histogram.buckets().iter().for_each(|&count| put_varint(bytes, count));
}

/// Workflows in groups, each group one column after the other: what belongs together is alike, and
/// an RDB file compresses it well.
fn workflows(space: &Space, slots: &[Slot], workers: &HashMap<WorkerId, u64>, out: &mut Chunks<'_>) {
    let mut rest = slots;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|&&slot| {
            let enough = bytes >= CHUNK;
            bytes += space.workflows().at(slot).heap_bytes() + 8;
            !enough
        });
        let (group, tail) = rest.split_at(fits.count());
        rest = tail;
        out.tag = b'F';
        out.count = group.len() as u64;
        columns(space, group, workers, &mut out.body);
        out.close();
    }
}

fn columns(space: &Space, group: &[Slot], workers: &HashMap<WorkerId, u64>, bytes: &mut Vec<u8>) {
    let workflow = |slot: Slot| space.workflow(slot).0;
    let mut last = 0;
    for &slot in group {
        let sequence = workflow(slot).sequence().0;
        put_varint(bytes, sequence - last);
        last = sequence;
    }
    for &slot in group {
        let (workflow, blueprint) = space.workflow(slot);
        let mut flags = if workflow.paused() { flag::PAUSED } else { 0 };
        flags |= if workflow.input(&blueprint.shape).is_some() { flag::INPUT } else { 0 };
        flags |= if workflow.own_name(&blueprint.shape).is_some() { flag::OWN_NAME } else { 0 };
        flags |= if matches!(workflow.id(), StoredId::Text(_)) { flag::TEXT_ID } else { 0 };
        bytes.push(flags | (workflow.state() as u8) << 4);
    }
    for &slot in group {
        match space.id_of(slot) {
            crate::engine::ids::Id::Integer(id) => put_varint(bytes, id),
            crate::engine::ids::Id::Text(text) => put_text(bytes, text),
        }
    }
    let mut last = 0i64;
    for &slot in group {
        let created = workflow(slot).created().0 as i64;
        put_varint(bytes, zigzag(created - last));
        last = created;
    }
    for &slot in group {
        put_varint(bytes, u64::from(workflow(slot).blueprint().0));
    }
    for &slot in group {
        put_varint(bytes, u64::from(workflow(slot).priority()));
    }
    for &slot in group {
        let (workflow, blueprint) = space.workflow(slot);
        let shape = &blueprint.shape;
        workflow.own_name(shape).into_iter().for_each(|name| put_text(bytes, name));
        workflow.input(shape).into_iter().for_each(|input| put_text(bytes, input));
        workflow.payloads(shape).for_each(|payload| put_text(bytes, payload));
    }
    let mut fresh = LastFresh::default();
    for &slot in group {
        tasks(space, slot, &mut fresh, workers, bytes);
    }
}

/// Maps small numbers of either sign to small numbers.
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn tasks(
    space: &Space,
    slot: Slot,
    fresh: &mut LastFresh,
    workers: &HashMap<WorkerId, u64>,
    bytes: &mut Vec<u8>,
) {
    let (workflow, blueprint) = space.workflow(slot);
    let shape = &blueprint.shape;
    let fresh = fresh.of(workflow.blueprint(), blueprint, workflow.paused());
    let kind = match workflow.state() {
        WorkflowState::Completed => kind::COMPLETED,
        _ if workflow.has_history() => kind::RUNS,
        _ if workflow.is_fresh(fresh) => kind::FRESH,
        _ => kind::STATES,
    };
    bytes.push(kind);
    if kind == kind::FRESH {
        return;
    }
    for task in shape.indexes() {
        let void = if workflow.marks(task) & MARK_VOID != 0 { VOID } else { 0 };
        bytes.push(workflow.task_state(task) as u8 | void);
    }
    if kind == kind::STATES {
        return;
    }
    let created = workflow.created();
    put_varint(bytes, since(workflow.finished(shape), created));
    for task in shape.indexes() {
        run(&workflow.run(shape, task), created, workers, bytes);
    }
}

fn run(run: &Run, created: Millis, workers: &HashMap<WorkerId, u64>, bytes: &mut Vec<u8>) {
    put_varint(bytes, u64::from(run.attempt));
    put_varint(bytes, since(run.ready, created));
    if run.attempt > 0 {
        bytes.extend_from_slice(&run.nonce.0.to_le_bytes());
        put_varint(bytes, workers[&run.worker]);
        put_varint(bytes, since(run.started, created));
    }
    put_varint(bytes, since(run.finished, created));
}

/// 0 for none, else one more than the milliseconds since `created`.
fn since(time: Option<Millis>, created: Millis) -> u64 {
    time.map_or(0, |time| time.since(created) + 1)
}

fn notes(space: &Space, slots: &[Slot], out: &mut Chunks<'_>) -> usize {
    if space.notes().is_empty() {
        return 0;
    }
    let mut count = 0;
    for &slot in slots {
        let workflow = space.workflows().at(slot);
        for task in space.tasks_of(slot) {
            let marks = workflow.marks(task.index);
            for kind in NoteKind::ALL {
                if marks & kind.mark() == 0 {
                    continue;
                }
                let text = space.notes().get(task, kind).unwrap_or_default();
                count += 1;
                out.item(b'N', |bytes| {
                    put_varint(bytes, workflow.sequence().0);
                    put_varint(bytes, u64::from(task.index.0));
                    bytes.push(kind as u8);
                    put_text(bytes, text);
                });
            }
        }
    }
    count
}

fn tries(space: &Space, slots: &[Slot], out: &mut Chunks<'_>) -> usize {
    if space.tries().is_empty() {
        return 0;
    }
    let mut count = 0;
    for &slot in slots {
        let workflow = space.workflows().at(slot);
        for task in space.tasks_of(slot).filter(|task| workflow.marks(task.index) & MARK_TRIED != 0) {
            let tried = space.tried(task);
            count += 1;
            out.item(b'R', |bytes| {
                put_varint(bytes, workflow.sequence().0);
                put_varint(bytes, u64::from(task.index.0));
                put_varint(bytes, u64::from(tried.failures));
                put_varint(bytes, u64::from(tried.lost));
            });
        }
    }
    count
}

fn extras(space: &Space, slots: &[Slot], out: &mut Chunks<'_>) -> usize {
    let mut count = 0;
    for &slot in slots.iter().filter(|&&slot| space.workflows().at(slot).has_extra()) {
        let extra = space.extra(slot);
        count += 1;
        out.item(b'X', |bytes| {
            put_varint(bytes, space.workflows().at(slot).sequence().0);
            // 0: no timeout, 1: it will pass, 2: it has passed. The bit of a reason came later.
            let reason = if extra.reason.is_some() { EXTRA_REASON } else { 0 };
            match extra.timeout {
                None => bytes.push(reason),
                Some(timeout) => {
                    bytes.push((1 + u8::from(timeout.passed)) | reason);
                    put_varint(bytes, timeout.deadline.0);
                    put_varint(bytes, timeout.after_ms);
                }
            }
            put_varint(bytes, extra.retain_ms.map_or(0, |retain| retain + 1));
            extra.reason.iter().for_each(|reason| put_text(bytes, reason));
        });
    }
    count
}
