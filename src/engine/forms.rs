//! How documents of known shapes were spelled, so that one that is spelled like an earlier one need
//! not be read again: programs push the same text over and over, and only the payloads differ.
//!
//! A form is such a text with gaps. `encoding::document` makes forms and fills them; the engine
//! keeps a few and drops them with their blueprint. They are not state: no file, replica or digest
//! has them, and a space answers alike with and without them. A chain of ten tasks costs 35,000
//! instructions to read and 6,000 to recognise, its form 2,000 to fill.

use super::units::BlueprintId;

/// Forms of one space. One that would be more takes the place of the oldest.
const FORMS: usize = 8;

/// Bytes of a document of which a form is kept.
pub const MAX_FORM_BYTES: usize = 64 * 1024;

/// What stands in a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// The name of the workflow, a string.
    Name,
    /// The payload of the task at this place, any value.
    Payload(u32),
}

/// A document with gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// What such a document comes to.
    pub blueprint: BlueprintId,
    /// The document's priority.
    pub priority: Option<u32>,
    /// The document's timeout, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// What stands around the gaps, without anything between.
    pub text: Box<[u8]>,
    /// The gaps in order, each with how much of `text` stands before it.
    pub gaps: Box<[(u32, Gap)]>,
}

/// The forms; see the module's prose.
#[derive(Clone, Debug, Default)]
pub struct Forms {
    list: Vec<Form>,
    oldest: usize,
}

impl Forms {
    /// All forms.
    pub fn iter(&self) -> impl Iterator<Item = &Form> {
        self.list.iter()
    }

    /// Keeps a form.
    pub fn keep(&mut self, form: Form) {
        if self.list.len() < FORMS {
            self.list.push(form);
        } else {
            self.list[self.oldest] = form;
            self.oldest = (self.oldest + 1) % FORMS;
        }
    }

    /// Drops the forms of a blueprint that goes.
    pub fn forget(&mut self, blueprint: BlueprintId) {
        self.list.retain(|form| form.blueprint != blueprint);
        self.oldest = 0;
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let of = |form: &Form| form.text.len() + form.gaps.len() * size_of::<(u32, Gap)>();
        self.list.capacity() * size_of::<Form>() + self.list.iter().map(of).sum::<usize>()
    }
}
