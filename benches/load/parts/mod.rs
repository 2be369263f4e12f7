//! What is measured: one file a question. A part starts its own servers and adds its lines to the
//! table.

mod batch;
mod cluster;
mod crowd;
mod files;
mod growth;
mod handover;
mod large;
mod memory;
mod persisted;
mod shapes;
mod single;
mod stalls;
mod wide;

use super::documents::CHAIN;
use super::table::Table;

/// When a part is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Unless other parts are asked for.
    Always,
    /// When it is asked for.
    Asked,
}

/// One part.
pub struct Part {
    /// What it is asked for by.
    pub name: &'static str,
    /// When it is measured.
    pub when: When,
    /// Measures and adds to the table.
    pub measure: fn(&mut Table),
}

/// All parts, in the order of the table.
pub const PARTS: &[Part] = &[
    Part { name: "memory", when: When::Always, measure: memory::measure },
    Part { name: "batch", when: When::Always, measure: batch::measure },
    Part { name: "single", when: When::Always, measure: single::measure },
    Part { name: "shapes", when: When::Always, measure: shapes::measure },
    Part { name: "wide", when: When::Always, measure: wide::measure },
    Part { name: "handover", when: When::Always, measure: handover::measure },
    Part { name: "crowd", when: When::Always, measure: crowd::measure },
    Part { name: "files", when: When::Always, measure: files::measure },
    Part { name: "persisted", when: When::Always, measure: persisted::measure },
    Part { name: "cluster", when: When::Always, measure: cluster::measure },
    Part { name: "large", when: When::Asked, measure: large::measure },
    Part { name: "stalls", when: When::Asked, measure: stalls::measure },
    Part { name: "growth", when: When::Asked, measure: growth::measure },
];

/// The usual number of workflows: chains of ten, a million tasks.
const WORKFLOWS: usize = 100_000;

/// Their tasks.
const TASKS: f64 = (WORKFLOWS * CHAIN) as f64;
