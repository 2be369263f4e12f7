//! What a space is and how it changes. Pure: no Redis, no clock, no randomness, no unsafe.
//!
//! A [`space::Space`] is a value. It changes in exactly one way: [`apply::apply`] with an
//! [`effect::Effect`]. Effects come from planning, which only reads ([`plan`]), or from the stream
//! of a primary, or from a file; `apply` cannot tell, and need not.
//!
//! From small to large:
//!
//! | file | idea |
//! |---|---|
//! | `units` | numbers that cannot be mixed up |
//! | `limits` | every bound, and which of them an operator may set |
//! | `state` | task and workflow states, and the legal moves between them |
//! | `packed` | a list of byte strings in one allocation |
//! | `chunk`, `ordered`, `keys` | a compact ordered set, and what it is sorted by |
//! | `split_table`, `side_table` | a hash table that never grows all at once, and what few have kept in one |
//! | `histogram`, `ages` | statistics of constant size |
//! | `edge`, `choice` | when a child runs, depending on how its parent ended, and on what it chose |
//! | `options` | what may be said of a task beyond its edges |
//! | `draft` | a workflow as somebody asked for it, not checked yet |
//! | `shape` | a checked DAG in flat arrays |
//! | `blueprints`, `forms` | shapes, interned and counted, and how their documents were spelled |
//! | `definitions` | workflows that are started by name |
//! | `runs` | what is known of a task that was handed out |
//! | `workflow`, `workflows` | one record, and the slab that holds them |
//! | `fresh` | a workflow to which nothing has happened yet |
//! | `ids`, `types`, `workers`, `notes`, `tries`, `extras` | the tables beside the slab |
//! | `agenda`, `archive` | what falls due, and what has been kept long enough |
//! | `overrides` | settings of one space |
//! | `space` | all of it together |
//! | `effect`, `report` | what goes into `apply`, and what it says happened |
//! | `plan`, `verdict`, `due` | decisions, read-only: of what comes in and goes out, of attempts, of time |
//! | `fit` | whether an effect from outside may be applied |
//! | `apply` | the only mutator |
//! | `listing` | paging through what there is |
//! | `view`, `obstacles` | a workflow and its tasks as people see them, and what holds them up |
//! | `restore` | putting a space together from a file |
//! | `invariant` | what must be true of every space |
#![forbid(unsafe_code)]

pub mod agenda;
pub mod ages;
pub mod apply;
pub mod archive;
pub mod blueprints;
pub mod choice;
mod chunk;
pub mod definitions;
pub mod draft;
pub mod due;
pub mod edge;
pub mod effect;
pub mod extras;
pub mod fit;
pub mod forms;
pub mod fresh;
pub mod histogram;
pub mod ids;
pub mod invariant;
pub mod keys;
pub mod limits;
pub mod listing;
pub mod notes;
pub mod obstacles;
pub mod options;
pub mod ordered;
pub mod overrides;
pub mod packed;
pub mod plan;
pub mod report;
pub mod restore;
pub mod runs;
pub mod shape;
pub mod side_table;
pub mod space;
pub mod split_table;
pub mod state;
pub mod tries;
pub mod types;
pub mod units;
pub mod verdict;
pub mod view;
pub mod workers;
pub mod workflow;
pub mod workflows;
