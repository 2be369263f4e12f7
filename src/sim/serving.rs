//! What runs on a key, as `module/perform.rs` runs it, without a server.

use super::random::Random;
use crate::commands::call::{Block, Call, CommandError, Outcome, Value};
use crate::commands::spec;
use crate::encoding::snapshot::{self, Loader};
use crate::engine::limits::{SETTINGS, Settings};
use crate::engine::space::Space;
use crate::engine::units::Millis;

/// What a key holds, unless it is of another type.
pub type Key = Option<Box<Space>>;

/// The name of the key.
const NAME: &[u8] = b"k";

/// Under which conditions something runs: see [`Call`].
#[derive(Clone, Copy)]
pub struct Conditions<'s> {
    /// The clock.
    pub now: u64,
    /// When expiry is allowed: from then on, or not at all.
    pub expire_from: Option<u64>,
    /// It comes from a primary or from a file.
    pub replayed: bool,
    /// Whether the client can wait.
    pub may_block: bool,
    /// The seed of the nonces.
    pub nonces: u64,
    /// The operator's settings.
    pub settings: &'s Settings,
}

/// Nonces from a seed.
pub fn nonces(seed: u64) -> impl FnMut() -> u32 + use<> {
    let mut random = Random::new(seed);
    move || random.bits() as u32
}

/// Runs something on a value that is no key's.
pub fn on_value<R>(
    value: Value<'_>,
    args: &[Vec<u8>],
    conditions: &Conditions<'_>,
    out: &mut Outcome,
    body: impl FnOnce(&mut Call<'_>) -> Result<R, CommandError>,
) -> (Result<R, CommandError>, Key) {
    let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
    let mut random = nonces(conditions.nonces);
    out.clear();
    out.report.names_ended = true;
    let mut call = Call {
        key: NAME,
        args: &args,
        value,
        fresh: None,
        now: Millis(conditions.now),
        expire_from: conditions.expire_from.map(Millis),
        replayed: conditions.replayed,
        may_block: conditions.may_block,
        reads_at_once: if conditions.nonces.is_multiple_of(2) { 0 } else { usize::MAX },
        prepared: None,
        waits: &|_, _| false,
        may_write: &|_| true,
        random: &mut random,
        settings: conditions.settings,
        out,
    };
    let result = body(&mut call);
    let fresh = call.fresh.take();
    (result, fresh)
}

/// Runs something on a key, which exists afterwards when it should.
pub fn on_key<R>(
    key: &mut Key,
    args: &[Vec<u8>],
    conditions: &Conditions<'_>,
    out: &mut Outcome,
    body: impl FnOnce(&mut Call<'_>) -> Result<R, CommandError>,
) -> Result<R, CommandError> {
    let value = key.as_mut().map_or(Value::Missing, |space| Value::Space(space));
    let (result, fresh) = on_value(value, args, conditions, out, body);
    if fresh.is_some() && result.is_ok() && (conditions.replayed || out.changed()) {
        *key = fresh;
    }
    result
}

/// Runs a command on a key.
pub fn run(
    name: &str,
    args: &[Vec<u8>],
    key: &mut Key,
    conditions: &Conditions<'_>,
    out: &mut Outcome,
) -> Result<(), CommandError> {
    on_key(key, args, conditions, out, |call| carry_out(name, call))
}

/// Carries a command out. Some documents are read in the background, whatever their size, and the command
/// runs again.
pub fn carry_out(name: &str, call: &mut Call<'_>) -> Result<(), CommandError> {
    let spec = spec_of(name);
    (spec.run)(call)?;
    if let Some(Block::Read(reading)) = call.out.block.take_if(|block| matches!(block, Block::Read(_))) {
        let prepared = reading.unread.read(call.args[reading.argument], call.settings);
        call.prepared = Some(Box::new(prepared));
        (spec.run)(call)?;
    }
    Ok(())
}

/// The table's entry of a command.
pub fn spec_of(name: &str) -> &'static spec::Spec {
    spec::COMMANDS.iter().find(|spec| spec.name == name).expect("every command has its spec")
}

/// Every limit as low as it goes: what a replica is told must fit all the same.
pub fn narrowest() -> Settings {
    let mut settings = Settings::default();
    SETTINGS.iter().for_each(|spec| (spec.set)(&mut settings, spec.min));
    settings
}

/// A space as it is saved.
pub fn save(space: &Space) -> Vec<Vec<u8>> {
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    snapshot::save(space, &mut |chunk| chunks.push(chunk.to_vec()));
    chunks
}

/// The space that was saved.
pub fn load(chunks: &[Vec<u8>]) -> Result<Box<Space>, String> {
    let mut loader = Loader::new();
    let loaded = chunks.iter().try_for_each(|chunk| loader.chunk(chunk)).and_then(|()| loader.finish());
    loaded.map_err(|error| format!("what was saved does not load: {error}"))
}
