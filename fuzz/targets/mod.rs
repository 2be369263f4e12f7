//! What is done with an input, and what must hold: one file a target.

mod commands;
mod document;
mod effects;
mod snapshot;

use super::input::Input;
use super::{words, world};
use redisworkflow::engine::space::Space;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Mutex;

/// One target.
pub struct Target {
    /// What it is asked for by.
    pub name: &'static str,
    /// Runs an input; names of what came of it, by which inputs are told apart, or what is wrong.
    pub check: fn(&Input) -> Result<Vec<String>, String>,
    /// Words of its language.
    pub words: fn() -> Vec<Vec<u8>>,
    /// Whether numbers are written as varints.
    pub binary: bool,
    /// Pieces an input may come to have: short ones are found out about sooner.
    pub pieces: usize,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "document", check: document::check, words: words::json, binary: false, pieces: 6 },
    Target { name: "commands", check: commands::check, words: words::commands, binary: false, pieces: 30 },
    Target { name: "effects", check: effects::check, words: words::effects, binary: false, pieces: 30 },
    Target { name: "snapshot", check: snapshot::check, words: words::none, binary: true, pieces: 24 },
];

/// Where the panic that was caught last happened.
static PANICKED: Mutex<String> = Mutex::new(String::new());

impl Target {
    /// Their names.
    pub fn names() -> String {
        TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(" ")
    }

    /// Runs an input; a panic is an error like any other.
    pub fn run(&self, input: &Input) -> Result<Vec<String>, String> {
        catch_unwind(AssertUnwindSafe(|| (self.check)(input))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("?");
            let place = PANICKED.lock().map(|place| place.clone()).unwrap_or_default();
            Err(format!("panic at {place}: {text}"))
        })
    }
}

/// Does something while panics print nothing.
pub fn quietly<R>(body: impl FnOnce() -> R) -> R {
    let hook = take_hook();
    set_hook(Box::new(|info| {
        if let (Some(place), Ok(mut last)) = (info.location(), PANICKED.lock()) {
            *last = place.to_string();
        }
    }));
    let result = body();
    set_hook(hook);
    result
}

/// What anybody may do with a space that was let in: whatever it says of itself, the commands live
/// with it, and a replica follows.
fn live_with(space: Box<Space>) -> Result<(), String> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    for slot in space.workflows().by_age().into_iter().take(4) {
        let mut id = Vec::new();
        space.id_of(slot).write(&mut id);
        names.push(id);
    }
    let loaded = world::reload(&space)?;
    world::same(&space, &loaded)?;
    if space.incomplete() {
        return Ok(());
    }
    let mut world = world::World::of(Some(space), redisworkflow::engine::limits::Settings::default());
    let mut session: Vec<Vec<u8>> = vec![
        b"WF.STATS".to_vec(),
        b"WF.WORKERS".to_vec(),
        b"WF.LIST\tCOUNT\t100".to_vec(),
        b"WF.LIST\tFAILED".to_vec(),
        b"WF.RECOVER\talice".to_vec(),
        b"WF.RELEASE\tALL".to_vec(),
    ];
    for id in names.iter().filter(|id| !id.contains(&super::input::BETWEEN)) {
        for command in ["WF.GET\t%\tTASKS", "WF.WHY\t%", "WF.GRAPH\t%", "WF.RELEASE\tID\t%"] {
            let [before, behind] = command.split('%').collect::<Vec<_>>()[..] else { continue };
            session.push([before.as_bytes(), id, behind.as_bytes()].concat());
        }
    }
    session.push(b"WF.CLAIM\tzoe\tCOUNT\t5\tWITHRESULTS".to_vec());
    session.push(b"+7\tWF.COMPLETE\t$0\tRESULT\tdone\t$2".to_vec());
    session.push(b"WF.FAIL\t$1\tERROR\twhy\t$3\tNORETRY".to_vec());
    session.push(b"+400000000000\tSWEEP".to_vec());
    for id in names.iter().filter(|id| !id.contains(&super::input::BETWEEN)) {
        session.push([b"WF.RETRY\t", &id[..]].concat());
        session.push([b"WF.CANCEL\t", &id[..]].concat());
    }
    session.push(b"AHEAD\t7200000".to_vec());
    session.push(b"COPY".to_vec());
    session.push(b"WF.CLAIM\tzoe\tCOUNT\t100".to_vec());
    session.push([&b"WF.DELETE"[..], &names.concat()].join(&b'\t'));
    for line in session {
        world.step(&line).map_err(|error| format!("{}: {error}", line.escape_ascii()))?;
    }
    Ok(())
}
