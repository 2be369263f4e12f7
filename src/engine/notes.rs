//! Results, error texts and choices. Most tasks have none, so they lie in a table of their own; a mark
//! in the task's state byte says whether to look.

use super::split_table::SplitTable;
use super::units::TaskRef;
use super::workflow::{MARK_CHOICE, MARK_ERROR, MARK_RESULT};
use hashbrown::DefaultHashBuilder;
use std::hash::BuildHasher;

/// What a note is; the numbers are stored in files and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoteKind {
    /// RESULT of a completion.
    Result,
    /// ERROR of a failure.
    Error,
    /// SKIP of a completion: see [`super::choice`].
    Choice,
}

impl NoteKind {
    /// All kinds in the order of their numbers.
    pub const ALL: [NoteKind; 3] = [NoteKind::Result, NoteKind::Error, NoteKind::Choice];

    /// The mark of a task that has such a note.
    pub fn mark(self) -> u8 {
        match self {
            NoteKind::Result => MARK_RESULT,
            NoteKind::Error => MARK_ERROR,
            NoteKind::Choice => MARK_CHOICE,
        }
    }
}

#[derive(Clone, Debug)]
struct Note {
    task: TaskRef,
    kind: NoteKind,
    text: Box<[u8]>,
}

/// What a note costs beside its text, roughly.
pub const NOTE_BYTES: usize = 50;

/// The table; see the module's prose.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    table: SplitTable<Note>,
    hasher: DefaultHashBuilder,
    text_bytes: usize,
}

impl Notes {
    /// The note of that kind on a task.
    pub fn get(&self, task: TaskRef, kind: NoteKind) -> Option<&[u8]> {
        let hash = self.hasher.hash_one((task, kind));
        self.table.find(hash, |note| note.task == task && note.kind == kind).map(|note| &*note.text)
    }

    /// Writes a note, in place of the one before.
    pub fn set(&mut self, task: TaskRef, kind: NoteKind, text: &[u8]) {
        self.remove(task, kind);
        self.text_bytes += text.len();
        let Notes { table, hasher, .. } = self;
        let note = Note { task, kind, text: text.into() };
        table.insert(hasher.hash_one((task, kind)), note, |note| hasher.hash_one((note.task, note.kind)));
    }

    /// Drops a note if there is one.
    pub fn remove(&mut self, task: TaskRef, kind: NoteKind) {
        let hash = self.hasher.hash_one((task, kind));
        let same = |note: &Note| note.task == task && note.kind == kind;
        if let Some(note) = self.table.remove(hash, same) {
            self.text_bytes -= note.text.len();
        }
    }

    /// Number of notes.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.table.heap_bytes() + self.text_bytes
    }
}
