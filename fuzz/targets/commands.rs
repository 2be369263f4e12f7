//! A session: a piece is a step of `World::step`, a command mostly.

use crate::input::Input;
use crate::memory;
use crate::world::{self, World};
use redisworkflow::engine::limits::Settings;

/// Bytes for a byte of all the session: digests and files are copies of the space.
const FACTOR: usize = 4_000;
const BASE: usize = 8 << 20;

pub fn check(input: &Input) -> Result<Vec<String>, String> {
    memory::within(input.len(), BASE, FACTOR, || session(input))?
}

fn session(input: &Input) -> Result<Vec<String>, String> {
    let mut world = World::new(Settings::default());
    let mut names = Vec::new();
    for line in &input.pieces {
        names.push(world.step(line).map_err(|error| format!("{}: {error}", line.escape_ascii()))?);
    }
    if let Some(space) = &world.primary {
        world::same(space, &*world::reload(space)?)?;
    }
    Ok(names)
}
