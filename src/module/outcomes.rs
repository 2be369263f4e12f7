//! Outcomes to be filled again and again, so that a command allocates nothing for its reply and
//! effects in the steady state. Several can be in use at once: serving a waiting client happens
//! inside the command that made its task ready.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use crate::commands::call::Outcome;

#[expect(clippy::vec_box, reason = "borrowing and giving back moves a pointer")]
static SPARE: Mutex<Vec<Box<Outcome>>> = Mutex::new(Vec::new());

/// More than these are in use only in passing.
const KEPT: usize = 8;

/// An outcome on loan; goes back when dropped.
pub struct Borrowed(Option<Box<Outcome>>);

/// Takes an empty outcome.
pub fn borrow() -> Borrowed {
    let spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop();
    Borrowed(Some(spare.unwrap_or_default()))
}

impl Deref for Borrowed {
    type Target = Outcome;

    fn deref(&self) -> &Outcome {
        self.0.as_deref().expect("present until dropped")
    }
}

impl DerefMut for Borrowed {
    fn deref_mut(&mut self) -> &mut Outcome {
        self.0.as_deref_mut().expect("present until dropped")
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let Some(mut outcome) = self.0.take() else { return };
        if is_large(&outcome) {
            return;
        }
        outcome.clear();
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < KEPT {
            spare.push(outcome);
        }
    }
}

/// Large buffers are not kept: one huge reply would otherwise hold its memory for ever.
fn is_large(outcome: &Outcome) -> bool {
    const LARGE: usize = 256 * 1024;
    outcome.reply.heap_bytes() + outcome.effects.heap_bytes() + outcome.journal.heap_bytes() > LARGE
}
