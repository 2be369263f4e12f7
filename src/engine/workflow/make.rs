//! A workflow begins: from a push, or from a file.

use super::{INPUT, OWN_NAME, StoredId, TEXT_ID, Workflow};
use crate::engine::fresh::Fresh;
use crate::engine::packed::{self, Row};
use crate::engine::shape::Shape;
use crate::engine::state::{TaskState, WorkflowState};
use crate::engine::units::{BlueprintId, Millis, Sequence};
use smallvec::SmallVec;

/// What a new workflow is made of.
pub struct Parts<'a> {
    /// Its id.
    pub id: StoredId,
    /// Its age.
    pub sequence: Sequence,
    /// When it was pushed.
    pub created: Millis,
    /// Its interned shape.
    pub blueprint: BlueprintId,
    /// The priority of tasks without their own.
    pub priority: u32,
    /// A name other than the blueprint's; empty: none.
    pub own_name: Option<&'a [u8]>,
    /// INPUT.
    pub input: Option<&'a [u8]>,
    /// The payload of each task.
    pub payloads: Payloads<'a>,
}

/// The payloads of a new workflow.
#[derive(Clone, Copy)]
pub enum Payloads<'a> {
    /// One by one.
    Each(&'a [&'a [u8]]),
    /// As they lie in a file.
    Row(Row<'a>),
}

impl Workflow {
    /// A running workflow whose tasks are all waiting.
    pub fn new(parts: &Parts<'_>, shape: &Shape) -> Workflow {
        let states = shape.len() + shape.joins() * shape.counter_width();
        let waiting = |body: &mut Vec<u8>| body.resize(states, TaskState::Waiting as u8);
        let mut workflow = Workflow::begin(parts, shape.len(), states, waiting);
        for task in shape.indexes().filter(|_| shape.joins() > 0) {
            if let Some(join) = shape.join_of(task) {
                workflow.set_counter(shape, join, shape.parents(task).len() as u32);
            }
        }
        workflow
    }

    /// A running workflow as it is when its push is over.
    pub fn fresh(parts: &Parts<'_>, shape: &Shape, fresh: &Fresh) -> Workflow {
        let states = |body: &mut Vec<u8>| body.extend_from_slice(&fresh.states);
        Workflow::begin(parts, shape.len(), fresh.states.len(), states)
    }

    /// A running workflow of `count` tasks, whose block begins with what `states` writes.
    fn begin(parts: &Parts<'_>, count: usize, bytes: usize, states: impl FnOnce(&mut Vec<u8>)) -> Workflow {
        let extra: SmallVec<[&[u8]; 2]> = match (parts.input, parts.own_name) {
            (None, None) => SmallVec::new(),
            (input, own_name) => input.into_iter().chain(own_name).collect(),
        };
        let body = match parts.payloads {
            Payloads::Row(row) if count + extra.len() <= packed::BLOCK => {
                let more = packed::list_bytes(extra.iter().map(|entry| entry.len()));
                let mut body = Vec::with_capacity(bytes + row.bytes().len() + more);
                states(&mut body);
                body.extend_from_slice(row.bytes());
                extra.iter().for_each(|entry| packed::put_entry(&mut body, entry));
                body
            }
            Payloads::Row(row) => list_behind(bytes, states, row.iter().chain(extra).collect()),
            Payloads::Each(each) => list_behind(bytes, states, each.iter().copied().chain(extra).collect()),
        };
        let mut flags = WorkflowState::Running as u32;
        flags |= if parts.own_name.is_some() { OWN_NAME } else { 0 };
        flags |= if parts.input.is_some() { INPUT } else { 0 };
        Workflow {
            id: match parts.id {
                StoredId::Integer(id) => id,
                StoredId::Text(place) => TEXT_ID | u64::from(place),
            },
            sequence_open: parts.sequence.0 << 20 | count as u64,
            created: parts.created,
            blueprint: parts.blueprint,
            priority_flags: parts.priority << 8 | flags,
            body: body.into_boxed_slice(),
            history: None,
        }
    }

    /// Whether nothing has happened to it since its push.
    pub fn is_fresh(&self, fresh: &Fresh) -> bool {
        let running = self.history.is_none() && self.state() == WorkflowState::Running;
        running && fresh.is_of(self.blueprint, self.paused()) && self.body.starts_with(&fresh.states)
    }
}

/// A block of so many bytes that `states` writes, and a list behind them.
pub(super) fn list_behind(
    bytes: usize,
    states: impl FnOnce(&mut Vec<u8>),
    list: SmallVec<[&[u8]; 16]>,
) -> Vec<u8> {
    let room = bytes + packed::list_bytes(list.iter().map(|entry| entry.len()));
    let mut body = Vec::with_capacity(room);
    states(&mut body);
    packed::write(&mut body, list.len(), |at, out| out.extend_from_slice(list[at]));
    debug_assert_eq!(body.len(), room, "a block is not moved when it becomes a box");
    body
}
