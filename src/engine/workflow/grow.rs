//! A workflow gets more tasks: its block is built anew for the larger shape.

use super::make::list_behind;
use super::{OWN_NAME, Workflow};
use crate::engine::runs::{PackedRun, Run};
use crate::engine::shape::Shape;
use crate::engine::state::TaskState;
use crate::engine::units::BlueprintId;
use smallvec::SmallVec;

/// What a workflow grows into.
pub struct Growth<'a> {
    /// The blueprint with the tasks that are added behind those that are there.
    pub blueprint: BlueprintId,
    /// The workflow's name when it is not that blueprint's; empty: none.
    pub own_name: Option<&'a [u8]>,
    /// The payload of each added task.
    pub payloads: &'a [&'a [u8]],
}

impl Workflow {
    /// Adds tasks, all waiting. What is known of the others stays. The workflow has not finished.
    pub fn grow(&mut self, before: &Shape, shape: &Shape, growth: &Growth<'_>) {
        debug_assert!(!self.sealed() && before.len() + growth.payloads.len() == shape.len());
        let own = self.payloads(before).chain(growth.payloads.iter().copied());
        let list: SmallVec<[&[u8]; 16]> = own.chain(self.input(before)).chain(growth.own_name).collect();
        let bytes = shape.len() + shape.joins() * shape.counter_width();
        let states = |body: &mut Vec<u8>| {
            body.extend_from_slice(&self.body[..before.len()]);
            body.resize(bytes, TaskState::Waiting as u8);
        };
        self.body = list_behind(bytes, states, list).into_boxed_slice();
        if let Some(history) = &mut self.history {
            let mut runs = Vec::with_capacity(shape.len());
            runs.extend_from_slice(&history.runs);
            runs.resize(shape.len(), PackedRun::pack(Run::NONE, self.created));
            history.runs = runs.into_boxed_slice();
        }
        self.blueprint = growth.blueprint;
        self.priority_flags &= !OWN_NAME;
        self.priority_flags |= if growth.own_name.is_some() { OWN_NAME } else { 0 };
        self.sequence_open += growth.payloads.len() as u64;
        self.count_parents(shape);
    }
}
