//! The commands: one file each, with its [`spec::Spec`] and one function from arguments to
//! [`call::Outcome`]. Nothing here knows Redis.
//!
//! A command runs in four steps, visible in each file: parse the arguments, look the space up,
//! plan, carry out. Only [`carry_out`] changes a space, and it writes down what it does.

pub mod acknowledge;
pub mod add;
pub mod apply;
pub mod args;
pub mod awaiting;
pub mod call;
pub mod cancel;
pub mod claim;
pub mod complete;
pub mod config;
pub mod define;
pub mod definitions;
pub mod delete;
pub mod drawing;
pub mod error;
pub mod events;
pub mod extend;
pub mod fail;
pub mod get;
pub mod glob;
pub mod graph;
pub mod hash_slot;
pub mod list;
pub mod pause;
pub mod push;
pub mod recover;
pub mod reference;
pub mod release;
pub mod reply;
pub mod retry;
pub mod sentence;
pub mod signal;
pub mod spec;
pub mod start;
pub mod stats;
pub mod sweep;
pub mod terms;
pub mod token;
pub mod undefine;
pub mod wait;
pub mod waiting;
pub mod why;
pub mod words;
pub mod workers;

use crate::engine::effect::Effect;
use crate::engine::space::Space;
use call::Outcome;

/// Changes the space, and writes the effect down for replicas and the AOF, and for the stream of events.
fn carry_out(space: &mut Space, effect: &Effect<'_>, out: &mut Outcome) {
    out.effects.append(space, effect);
    crate::engine::apply::apply(space, effect, &mut out.report);
    if space.overrides().events().is_some() {
        out.journal.note(space, effect);
    }
}
