//! Copies of a space: the replica, files that are saved, rewritten and replayed, and what becomes of
//! them while something in the space waits.

use super::checks;
use super::step::{Act, START, Step};
use super::world::{Effects, World, run, shown};
use crate::commands::call::Outcome;
use crate::encoding::effect_text::apply_text;
use crate::encoding::snapshot::{self, Loader};
use crate::engine::limits::{SETTINGS, Settings};
use crate::engine::report::Report;
use crate::engine::space::Space;

/// Every limit as low as it goes.
fn narrowest() -> Settings {
    let mut settings = Settings::default();
    SETTINGS.iter().for_each(|spec| (spec.set)(&mut settings, spec.min));
    settings
}

impl World {
    /// The replica does what the primary did.
    pub fn apply_to_replica(&mut self, effects: &Effects, step: &Step) -> Result<(), String> {
        let mut out = Outcome::default();
        // A replica's clock and settings are its own, and it expires nothing.
        let elsewhere = Step { now: START, expire_from: None, ..step.clone() };
        run("WF.APPLY", effects, &mut self.replica, &elsewhere, true, &narrowest(), &mut out)
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
        snapshot::save(primary, &mut |chunk| self.file.push(vec![b"snapshot".to_vec(), chunk.to_vec()]));
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
    let mut loader = Loader::new();
    let mut result = Ok(());
    snapshot::save(space, &mut |chunk| {
        if result.is_ok() {
            result = loader.chunk(chunk);
        }
    });
    result.and_then(|()| loader.finish()).map_err(|error| format!("what was saved does not load: {error}"))
}
