//! Copies of a space: the replica, files that are saved, rewritten and replayed, and what becomes of
//! them while something in the space waits.

use super::checks;
use super::serving::{Conditions, load, narrowest, run, save};
use super::step::{Act, START, Step};
use super::world::{Effects, World, shown};
use crate::commands::call::Outcome;
use crate::encoding::effect_text::apply_text;
use crate::encoding::snapshot;
use crate::engine::report::Report;
use crate::engine::space::Space;

impl World {
    /// The replica does what the primary did.
    pub fn apply_to_replica(&mut self, effects: &Effects, step: &Step) -> Result<(), String> {
        let mut out = Outcome::default();
        // A replica's clock and settings are its own, and it expires nothing.
        let settings = narrowest();
        let here = step.conditions(&settings);
        let elsewhere = Conditions { now: START, expire_from: None, replayed: true, ..here };
        run("WF.APPLY", effects, &mut self.replica, &elsewhere, &mut out)
            .map_err(|error| format!("the replica refuses {}: {error:?}", shown(effects)))?;
        // What the primary appended reaches it as it is.
        if out.journal.is_empty() { Ok(()) } else { Err("the replica appends events by itself".to_owned()) }
    }

    /// A server restarts from its file.
    pub fn reload(&mut self, which: fn(&mut World) -> &mut Option<Box<Space>>) -> Result<(), String> {
        if let Some(space) = which(self) {
            let loaded = reload(space)?;
            checks::same(space, &loaded, "the space that was saved", "the one that was loaded")?;
            *space = loaded;
            self.tally.reloads += 1;
        }
        Ok(())
    }

    /// The file is rewritten, and the replica starts anew from it.
    pub fn rewrite(&mut self) -> Result<(), String> {
        let Some(primary) = &self.primary else { return Ok(()) };
        self.file.clear();
        self.file.extend(save(primary).into_iter().map(|chunk| vec![b"snapshot".to_vec(), chunk]));
        self.replica = None;
        let step = Step { act: Act::Rewrite, now: START, expire_from: None, may_block: false, nonces: 0 };
        for effects in self.file.clone() {
            self.apply_to_replica(&effects, &step)?;
        }
        self.tally.rewrites += 1;
        checks::copies(self)
    }

    /// The file is replayed from its beginning.
    pub fn replay(&mut self) -> Result<(), String> {
        let Some(primary) = &self.primary else { return Ok(()) };
        let mut replayed: Box<Space> = Box::default();
        let mut report = Report::default();
        for effects in &self.file {
            let args: Vec<&[u8]> = effects.iter().map(Vec::as_slice).collect();
            let applied = match &args[..] {
                [b"snapshot", chunk] => snapshot::take_chunk(&mut replayed, chunk),
                args => apply_text(&mut replayed, args, &mut report),
            };
            applied.map_err(|error| format!("the file does not replay {}: {error}", shown(effects)))?;
        }
        self.tally.replays += 1;
        checks::same(primary, &replayed, "the primary", "the replayed file")
    }
}

/// Saves a space and loads it.
pub fn reload(space: &Space) -> Result<Box<Space>, String> {
    load(&save(space))
}
