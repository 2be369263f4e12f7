//! Chunks of a snapshot: a piece is one. What loads keeps the rules, and is saved as the same bytes
//! from then on.

use super::live_with;
use crate::input::Input;
use crate::memory;
use crate::world::{reload, same, save};
use redisworkflow::encoding::bytes::DecodeError;
use redisworkflow::encoding::snapshot::Loader;
use redisworkflow::engine::invariant;
use redisworkflow::engine::space::Space;

/// The table of blueprints takes 2 MiB when a file names a high one. A type of a few bytes comes with
/// a queue and statistics.
const BASE: usize = 4 << 20;
const FACTOR: usize = 300;

pub fn check(input: &Input) -> Result<Vec<String>, String> {
    let loaded = memory::within(input.len(), BASE, FACTOR, || load(&input.pieces))?;
    let space = match loaded {
        Ok(space) => space,
        Err((place, error)) => {
            let tag = input.pieces.get(place).and_then(|chunk| chunk.first()).copied();
            let words: String = error.to_string().chars().filter(|char| !char.is_ascii_digit()).collect();
            return Ok(vec![format!("{tag:?} {words}")]);
        }
    };
    if !space.incomplete() {
        invariant::check(&space)?;
    }
    let once = reload(&space)?;
    same(&space, &once)?;
    let (first, second) = (save(&once), save(&*reload(&once)?));
    if first != second {
        return Err("what was loaded is saved differently each time".to_owned());
    }
    live_with(space)?;
    Ok(vec!["loads".to_owned()])
}

/// Loads, or says at which chunk it does not.
fn load(chunks: &[Vec<u8>]) -> Result<Box<Space>, (usize, DecodeError)> {
    let mut loader = Loader::new();
    for (place, chunk) in chunks.iter().enumerate() {
        loader.chunk(chunk).map_err(|error| (place, error))?;
    }
    loader.finish().map_err(|error| (chunks.len(), error))
}
