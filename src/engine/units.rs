//! Numbers that cannot be mixed up.

/// A point in time: unix milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// Milliseconds from `earlier` to `self`, 0 when that is negative.
    pub fn since(self, earlier: Millis) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// `self` plus a duration in milliseconds, at most [`Millis::MAX`].
    pub fn plus(self, duration: u64) -> Millis {
        Millis(self.0.saturating_add(duration).min(Millis::MAX.0))
    }

    /// The latest time a space can hold: 44 bits, the year 2527.
    pub const MAX: Millis = Millis((1 << 44) - 1);
}

/// The place of a task in its workflow, in push order, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskIndex(pub u32);

impl TaskIndex {
    /// The index for arrays.
    pub fn at(self) -> usize {
        self.0 as usize
    }
}

/// The place of a workflow in the slab. Reused after a deletion; never shown, never replicated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

/// One task of one workflow of this space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskRef {
    /// The workflow.
    pub slot: Slot,
    /// The task in it.
    pub index: TaskIndex,
}

/// A task type, interned by the space. 16 bits: see [`super::limits::MAX_TYPES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub u16);

/// A worker's name, interned by the space. 24 bits: see [`super::limits::MAX_WORKERS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u32);

/// An interned shape. The primary chooses it, effects and files carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlueprintId(pub u32);

/// The random part of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce(pub u32);

/// Orders workflows by age: the n-th push of the space. 44 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);
