//! Workflow documents: a piece is one. They are pushed one after the other, each twice where it is
//! good, so that a document whose spelling is recognised is held against the slow way of reading it.

use crate::input::Input;
use crate::memory;
use crate::world::{self, World, tight};
use redisworkflow::encoding::document;
use redisworkflow::engine::limits::Settings;
use redisworkflow::engine::shape::Shape;

/// Bytes for a byte of a document: `{}` and a comma are a task that is not checked yet.
const FACTOR: usize = 600;
const BASE: usize = 64 << 10;

pub fn check(input: &Input) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    let mut world = World::new(Settings::default());
    for text in &input.pieces {
        for settings in [Settings::default(), tight()] {
            memory::within(text.len(), BASE, FACTOR, || {
                document::read(text, &settings).map(|draft| drop(Shape::check(&draft, &settings)))
            })?
            .ok();
        }
        // Tabs stand between words of a step; to JSON they are blanks.
        let text: Vec<u8> = text.iter().map(|&byte| if byte == b'\t' { b' ' } else { byte }).collect();
        let push = [b"WF.PUSH\t", &text[..]].concat();
        // What no document was ever kept for reads it the slow way.
        let fresh = world.primary.as_deref().map(world::reload).transpose()?;
        let mut other = World::of(fresh, Settings::default());
        let (familiar, read) = (world.step(&push)?, other.step(&push)?);
        if familiar != read {
            return Err(format!("recognised, it says {familiar}; read, it says {read}"));
        }
        if let (Some(left), Some(right)) = (&world.primary, &other.primary) {
            world::same(left, right).map_err(|error| format!("recognised and read: {error}"))?;
        }
        let good = read.starts_with("WF.PUSH $");
        names.push(read);
        if good {
            world.step(&push)?;
        }
    }
    if let Some(space) = &world.primary {
        let loaded = world::reload(space)?;
        world::same(space, &loaded)?;
    }
    Ok(names)
}
