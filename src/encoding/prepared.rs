//! Documents that are read and checked apart from the space that they are for, by whoever has the time.
//!
//! Reading depends on the bytes and the operator's limits alone, so it needs no space: it may happen on
//! another thread, and what comes of it is judged by the space's state later, in one step that is short.
//! All that the step needs is here, nothing of it borrowed: the shape and what it hashes to, the
//! payloads, and both as an effect says them.
//!
//! Tasks that are added belong to a workflow, of which a [`Base`] holds what matters. When that has
//! changed meanwhile, they are read once more.

use super::document::{self, DocumentError};
use super::effect_text::{write_packed_shape, write_payloads, write_shape};
use crate::engine::draft::{Draft, Invalid};
use crate::engine::effect::Told;
use crate::engine::limits::Settings;
use crate::engine::shape::{Checked, Shape};
use crate::engine::space::Space;
use crate::engine::state::TaskState;
use crate::engine::units::{Slot, TaskIndex};
use std::cell::RefCell;
use std::ops::Range;

/// A document that is to be read, but for its text.
#[derive(Debug)]
pub enum Unread {
    /// A workflow.
    Workflow,
    /// Tasks that are added to one.
    Added(Box<Base>),
}

/// What was read.
#[derive(Debug)]
pub struct Prepared {
    read: Result<Read, DocumentError>,
    /// The workflow that they were read for, if they are tasks that are added.
    base: Option<Box<Base>>,
}

/// A document that reads, and its shape or why it has none.
pub type Read = (Document, Result<Checked, Invalid>);

/// A document that reads, but for its shape.
#[derive(Debug)]
pub struct Document {
    /// The name of the workflow; empty: none.
    pub name: Box<[u8]>,
    /// The document's priority.
    pub priority: Option<u32>,
    /// The document's timeout, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// The shape and the payloads as an effect says them.
    shape: Vec<u8>,
    payloads: Vec<u8>,
    /// Where in `payloads` each payload stands.
    places: Vec<Range<u32>>,
}

/// What of a workflow matters to tasks that are added to it.
#[derive(Debug)]
pub struct Base {
    shape: Shape,
    types: Vec<Box<[u8]>>,
    /// Which of its tasks wait.
    waiting: Vec<bool>,
    /// Which of these were asked after.
    asked: Vec<TaskIndex>,
}

impl Unread {
    /// Reads the text.
    pub fn read(self, text: &[u8], settings: &Settings) -> Prepared {
        match self {
            Unread::Workflow => Prepared { read: read(text, settings), base: None },
            Unread::Added(mut base) => {
                let read = base.read(text, settings);
                Prepared { read, base: Some(base) }
            }
        }
    }
}

impl Prepared {
    /// What was read, or why it does not read.
    pub fn into_read(self) -> Result<Read, DocumentError> {
        self.read
    }

    /// Whether it reads.
    pub fn reads(&self) -> Result<(), DocumentError> {
        self.read.as_ref().map(drop).map_err(DocumentError::clone)
    }

    /// Whether what the tasks were read for is the workflow in this slot as it is now.
    pub fn is_for(&self, space: &Space, slot: Slot) -> bool {
        let Some(base) = &self.base else { return false };
        let (workflow, blueprint) = space.workflow(slot);
        blueprint.shape == base.shape
            && space.types_of(slot).iter().copied().eq(base.types.iter().map(|name| &**name))
            && base.asked.iter().all(|&task| workflow.task_state(task) == TaskState::Waiting)
    }
}

impl Document {
    fn of(draft: &Draft<'_>, checked: &Result<Checked, Invalid>, first: usize) -> Document {
        let mut document = Document {
            name: draft.name.as_deref().unwrap_or_default().as_bytes().into(),
            priority: draft.priority,
            timeout_ms: draft.timeout_ms,
            shape: Vec::new(),
            payloads: Vec::new(),
            places: Vec::new(),
        };
        if let Ok(Checked { shape, types, .. }) = checked {
            match first {
                0 => write_packed_shape(shape, types, &mut document.shape),
                _ => write_shape(shape, first, |task| &types[shape.type_of(task)], &mut document.shape),
            }
            let payloads = draft.tasks.iter().map(|task| task.payload.as_bytes());
            let places = &mut document.places;
            places.reserve_exact(payloads.len());
            write_payloads(payloads, &mut document.payloads, |place| places.push(place));
        }
        document
    }

    /// The payload of each task, as long as its shape is one.
    pub fn payloads(&self) -> Vec<&[u8]> {
        let payload = |place: &Range<u32>| &self.payloads[place.start as usize..place.end as usize];
        self.places.iter().map(payload).collect()
    }

    /// What an effect says of it.
    pub fn told(&self) -> Told<'_> {
        Told { shape: &self.shape, payloads: &self.payloads }
    }
}

fn read(text: &[u8], settings: &Settings) -> Result<Read, DocumentError> {
    let draft = document::read(text, settings)?;
    let checked = Shape::check(&draft, settings);
    Ok((Document::of(&draft, &checked, 0), checked))
}

impl Base {
    /// The workflow in this slot as it is now.
    pub fn of(space: &Space, slot: Slot) -> Base {
        let (workflow, blueprint) = space.workflow(slot);
        let shape = blueprint.shape.clone();
        Base {
            types: space.types_of(slot).into_iter().map(Box::from).collect(),
            waiting: shape.indexes().map(|task| workflow.task_state(task) == TaskState::Waiting).collect(),
            asked: Vec::new(),
            shape,
        }
    }

    fn read(&mut self, text: &[u8], settings: &Settings) -> Result<Read, DocumentError> {
        let draft = document::read_added(text, settings)?;
        let types: Vec<&[u8]> = self.types.iter().map(|name| &**name).collect();
        let asked = RefCell::new(Vec::new());
        let waits = |task: TaskIndex| {
            let waits = self.waiting[task.at()];
            asked.borrow_mut().extend(waits.then_some(task));
            waits
        };
        let checked = self.shape.grow(&types, &draft, settings, waits);
        let document = Document::of(&draft, &checked, self.shape.len());
        self.asked = asked.into_inner();
        Ok((document, checked))
    }
}
