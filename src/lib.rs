//! redis-workflow: the workflow, a DAG of tasks, as a Redis data type.
//!
//! Dependencies point one way, and a test holds them to it:
//!
//! ```text
//! module ──▶ commands ──▶ encoding ──▶ engine
//! ```
//!
//! - [`engine`] is what a space is and how it changes. Pure: no Redis, no clock, no randomness.
//! - [`encoding`] turns bytes into engine values and back: documents, effects, snapshots.
//! - [`commands`] is one file a command: what it says about itself, how it reads its arguments,
//!   what it plans. A command leaves its reply and its effects as data.
//! - `module` is the glue: the only part that knows Redis and the only one with unsafe code. It
//!   is behind the feature `module`, so that everything else is built and tested without a server.
//!
//! To follow one `WF.CLAIM` from the wire to a replica: `commands/spec.rs` (the table),
//! `commands/claim.rs` (arguments), `module/perform.rs` (key, clock, outcome), `engine/plan.rs`
//! (which tasks), `engine/apply/lease.rs` (the change), `encoding/effect_text.rs` (what the replica
//! reads), `commands/apply.rs` (the replica).

pub mod commands;
pub mod encoding;
pub mod engine;
#[cfg(feature = "module")]
mod module;
#[cfg(test)]
mod sim;
