//! Taking back leases that ran out, in bounded batches: before each claim, and from a timer so that
//! waiting workers get the tasks with nobody else about.

use super::call::{Call, CommandError, Outcome};
use super::carry_out;
use crate::engine::effect::Effect;
use crate::engine::limits::EXPIRE_BATCH;
use crate::engine::plan::due;
use crate::engine::space::Space;
use crate::engine::units::Millis;

/// Expires one batch; true when more is due now.
pub fn sweep(call: &mut Call<'_>) -> Result<bool, CommandError> {
    let (now, expire_from) = (call.now, call.expire_from);
    let Some((space, out)) = call.space_mut()? else { return Ok(false) };
    Ok(expire_due(space, now, expire_from, out))
}

/// Expires one batch of leases that are due, if any may expire now; true when more is due.
pub fn expire_due(space: &mut Space, now: Millis, expire_from: Option<Millis>, out: &mut Outcome) -> bool {
    if expire_from.is_none_or(|from| now < from) {
        return false;
    }
    let tasks = due(space, now, EXPIRE_BATCH);
    for &task in &tasks {
        carry_out(space, &Effect::Expire { now, task }, out);
    }
    tasks.len() == EXPIRE_BATCH
}
