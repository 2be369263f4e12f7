//! Arguments of WF.APPLY: a piece is one command of the stream. What is refused leaves the space as
//! the effects before it made it; what is applied, and written down again, means the same.

use super::live_with;
use crate::input::{BETWEEN, Input};
use crate::memory;
use crate::words::EFFECTS as KINDS;
use crate::world::{same, shown};
use redisworkflow::encoding::effect_text::{EffectLog, retell};
use redisworkflow::engine::invariant;
use redisworkflow::engine::report::Report;
use redisworkflow::engine::space::Space;

/// The table of blueprints takes 2 MiB when an effect names a high one; the log holds a copy.
const BASE: usize = 16 << 20;
const FACTOR: usize = 2_000;

pub fn check(input: &Input) -> Result<Vec<String>, String> {
    let (mut names, space) = memory::within(input.len(), BASE, FACTOR, || stream(input))??;
    live_with(space)?;
    names.sort();
    Ok(names)
}

fn stream(input: &Input) -> Result<(Vec<String>, Box<Space>), String> {
    let (mut names, mut space, mut again) = (Vec::new(), Box::new(Space::new()), Box::new(Space::new()));
    let mut report = Report::default();
    for line in &input.pieces {
        let args: Vec<&[u8]> = line.split(|&byte| byte == BETWEEN).collect();
        let mut told = EffectLog::default();
        let result = retell(&mut space, &args, &mut report, &mut told);
        let kind = KINDS.iter().find(|kind| kind.as_bytes() == args[0]).unwrap_or(&"?");
        names.push(match &result {
            Ok(()) => format!("{kind} {}", told.len().min(4)),
            Err(error) => format!("{kind} {error}"),
        });
        invariant::check(&space).map_err(|error| format!("after {}: {error}", shown(&args)))?;
        let told: Vec<&[u8]> = told.args().collect();
        let mut twice = EffectLog::default();
        retell(&mut again, &told, &mut report, &mut twice)
            .map_err(|error| format!("{} was told again as {}: {error}", shown(&args), shown(&told)))?;
        if !told.iter().copied().eq(twice.args()) {
            let twice: Vec<&[u8]> = twice.args().collect();
            return Err(format!("{} was told again as {}", shown(&told), shown(&twice)));
        }
        same(&space, &again).map_err(|error| format!("after {}: {error}", shown(&args)))?;
    }
    Ok((names, space))
}
