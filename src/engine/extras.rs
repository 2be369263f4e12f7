//! What few workflows have: a deadline, a retention of their own, a reason why they were cancelled. A
//! flag in the workflow's record says whether to look.

use super::side_table::SideTable;
use super::units::{Millis, Slot};

/// The extras of one workflow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extra {
    /// When it times out, and what it times out after.
    pub timeout: Option<Timeout>,
    /// How long it is kept once it is finished, in milliseconds.
    pub retain_ms: Option<u64>,
    /// Why it was cancelled.
    pub reason: Option<Box<[u8]>>,
}

/// The deadline of a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    /// When.
    pub deadline: Millis,
    /// How long after it could begin, in milliseconds.
    pub after_ms: u64,
    /// It has passed, and the workflow failed of it.
    pub passed: bool,
}

impl Extra {
    /// Nothing.
    pub const NONE: Extra = Extra { timeout: None, retain_ms: None, reason: None };

    fn text_bytes(&self) -> usize {
        self.reason.as_ref().map_or(0, |reason| reason.len())
    }
}

/// The extras of a space.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    table: SideTable<Slot, Extra>,
    text_bytes: usize,
}

impl Extras {
    /// The extras of a workflow; all empty when it has none.
    pub fn get(&self, slot: Slot) -> &Extra {
        self.table.get(slot).unwrap_or(&Extra::NONE)
    }

    /// Writes the extras of a workflow, in place of those before.
    pub fn set(&mut self, slot: Slot, extra: Extra) {
        self.text_bytes += extra.text_bytes();
        let before = self.table.set(slot, extra);
        self.text_bytes -= before.map_or(0, |extra| extra.text_bytes());
    }

    /// Drops the extras of a workflow if there are any.
    pub fn remove(&mut self, slot: Slot) {
        let gone = self.table.remove(slot);
        self.text_bytes -= gone.map_or(0, |extra| extra.text_bytes());
    }

    /// Number of workflows with extras.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// True when no workflow has any.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.table.heap_bytes() + self.text_bytes
    }
}
