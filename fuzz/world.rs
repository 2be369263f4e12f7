//! A primary on which commands run as they do in the server, and a replica that sees nothing but the
//! effects. After each step both hold the invariants and are equal.

use super::input::BETWEEN;
use super::random::Random;
use redisworkflow::commands::call::{Block, Call, CommandError, Outcome, Value};
use redisworkflow::commands::claim::{self, Claim};
use redisworkflow::commands::reply::{Item, Reply};
use redisworkflow::commands::{spec, sweep};
use redisworkflow::encoding::digest;
use redisworkflow::encoding::snapshot::{self, Loader};
use redisworkflow::engine::invariant;
use redisworkflow::engine::limits::Settings;
use redisworkflow::engine::space::Space;
use redisworkflow::engine::units::Millis;

/// The first moment.
pub const START: u64 = 1_700_000_000_000;
/// The last: a clock that is set wrong is not set wronger than this.
const END: u64 = 4_000_000_000_000;
const MAY_EXPIRE_FROM: u64 = 1_600_000_000_000;
/// Tokens that are remembered.
const TOKENS: usize = 64;

/// See the module's prose.
pub struct World {
    pub primary: Option<Box<Space>>,
    pub replica: Option<Box<Space>>,
    settings: Settings,
    now: u64,
    nonces: Random,
    tokens: Vec<Vec<u8>>,
    waiting: Vec<Claim>,
    out: Outcome,
}

/// Limits that small inputs meet.
pub fn tight() -> Settings {
    Settings {
        default_lease_ms: 500,
        max_tasks: 10,
        max_edges: 16,
        max_payload_bytes: 24,
        max_input_bytes: 8,
        max_result_bytes: 8,
        max_error_bytes: 8,
        max_count: 20,
        max_types: 4,
        default_max_attempts: 2,
        default_max_deliveries: 2,
        retain_completed_ms: 5_000,
        retain_count: 4,
        ..Settings::default()
    }
}

impl World {
    /// Nothing yet.
    pub fn new(settings: Settings) -> World {
        World::of(None, settings)
    }

    /// A space that came from somewhere, and a replica that is equal.
    pub fn of(space: Option<Box<Space>>, settings: Settings) -> World {
        World {
            replica: space.clone(),
            primary: space,
            settings,
            now: START,
            nonces: Random::new(1),
            tokens: Vec::new(),
            waiting: Vec::new(),
            out: Outcome::default(),
        }
    }

    /// Does one step: `+ms`, `-ms` set the clock, `SWEEP`, `AHEAD ms`, `SERVE n`, `RELOAD`, `COPY` are
    /// what happens besides commands, `TIGHT` sets limits, and everything else is a command without its
    /// key. `$n` is the n-th newest token. Returns a name of the outcome; what names nothing is nothing.
    pub fn step(&mut self, line: &[u8]) -> Result<String, String> {
        let mut words = line.split(|&byte| byte == BETWEEN).peekable();
        while let Some(word) = words.peek()
            && let Some(time) = clock(word, self.now)
        {
            self.now = time;
            words.next();
        }
        let Some(name) = words.next() else { return Ok(String::new()) };
        let args: Vec<Vec<u8>> = words.map(|word| self.argument(word)).collect();
        let number = args.first().and_then(|text| str::from_utf8(text).ok()?.parse::<u64>().ok());
        match (name, number) {
            (b"TIGHT", _) => self.settings = tight(),
            (b"SWEEP", _) => {
                self.on_primary(&[], |call| sweep::sweep(call).map(drop))?
                    .map_err(|error| format!("{error:?}"))?;
            }
            (b"AHEAD", Some(by)) => {
                let (by, from) = (by.min(END), Millis(self.now));
                self.now = self.now.saturating_add(by).min(END);
                self.on_primary(&[], |call| sweep::shift(call, from, by))?
                    .map_err(|error| format!("{error:?}"))?;
            }
            (b"SERVE", Some(nth)) if !self.waiting.is_empty() => {
                let claim = self.waiting.remove(nth as usize % self.waiting.len());
                let served = self.on_primary(&[], |call| claim::serve(&claim, call))?;
                if served == Ok(false) {
                    self.waiting.push(claim);
                }
                return Ok(format!("SERVE {served:?}"));
            }
            (b"RELOAD", _) => {
                if let Some(space) = &self.primary {
                    let loaded = reload(space)?;
                    same(space, &loaded)?;
                    self.primary = Some(loaded);
                }
            }
            (b"COPY", _) => {
                if let Some(space) = &self.primary {
                    let copy = space.void_copy();
                    same(&copy, &*reload(&copy)?)?;
                }
            }
            _ => return self.command(name, &args),
        }
        Ok(String::new())
    }

    fn command(&mut self, name: &[u8], args: &[Vec<u8>]) -> Result<String, String> {
        let Some(spec) = spec::COMMANDS.iter().find(|spec| spec.name.as_bytes().eq_ignore_ascii_case(name))
        else {
            return Ok(String::new());
        };
        // The server has counted them; the name and the key are the first two.
        let (count, arity) = (args.len() as i32 + 2, spec.arity);
        if if arity < 0 { count < -arity } else { count != arity } {
            return Ok(format!("{} arity", spec.name));
        }
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        let result = self.on_primary(&args, spec.run)?;
        if let Some(Block::Claim(claim)) = self.out.block.take() {
            self.waiting.push(*claim);
        }
        if let Err(error) = &result {
            let line = error.to_bytes();
            if !line.iter().all(|byte| (b' '..=b'~').contains(byte)) || line.len() > 2_000 {
                return Err(format!("an error that is not a line: {}", line.escape_ascii()));
            }
            // Without what is quoted.
            let words = format!("{error:?}");
            let end = words.find(['"', '[']).unwrap_or(words.len());
            return Ok(format!("{} {}", spec.name, &words[..end]));
        }
        let shape: String = self.out.reply.items().take(4).map(shape_of).collect();
        Ok(format!("{} {shape}", spec.name))
    }

    fn on_primary<R>(
        &mut self,
        args: &[&[u8]],
        body: impl FnOnce(&mut Call<'_>) -> Result<R, CommandError>,
    ) -> Result<Result<R, CommandError>, String> {
        self.out.clear();
        let nonces = &mut self.nonces;
        self.out.report.names_ended = true;
        let mut call = Call {
            key: b"k",
            args,
            value: self.primary.as_mut().map_or(Value::Missing, |space| Value::Space(space)),
            fresh: None,
            now: Millis(self.now),
            expire_from: Some(Millis(MAY_EXPIRE_FROM)),
            replayed: false,
            may_block: true,
            reads_at_once: usize::MAX,
            prepared: None,
            waits: &|_, _| false,
            may_write: &|_| true,
            random: &mut || nonces.bits() as u32,
            settings: &self.settings,
            out: &mut self.out,
        };
        let result = body(&mut call);
        let fresh = call.fresh.take();
        if fresh.is_some() && result.is_ok() && self.out.changed() {
            self.primary = fresh;
        }
        if result.is_ok() && self.out.block.is_none() {
            is_one_reply(&self.out.reply)?;
        }
        self.keep_tokens();
        // What goes to the stream of events is put together when it is asked for.
        let _: usize = self.out.journal.entries(&self.settings).map(|(_, fields)| fields.count()).sum();
        self.follow()?;
        Ok(result)
    }

    /// The replica does what the primary did.
    fn follow(&mut self) -> Result<(), String> {
        let effects: Vec<Vec<u8>> = self.out.effects.args().map(<[u8]>::to_vec).collect();
        if !effects.is_empty() {
            let words: Vec<&[u8]> = effects.iter().map(Vec::as_slice).collect();
            replay(&mut self.replica, &words)
                .map_err(|error| format!("the replica refuses {}: {error:?}", shown(&words)))?;
        }
        match (&self.primary, &self.replica) {
            (Some(primary), Some(replica)) => same(primary, replica),
            (None, None) => Ok(()),
            _ => Err("the key exists on one side only".to_owned()),
        }
    }

    /// What the last step left, as one piece of an input; nothing when nothing changed.
    pub fn effects(&self) -> Option<Vec<u8>> {
        let effects: Vec<&[u8]> = self.out.effects.args().collect();
        if effects.is_empty() { None } else { Some(effects.join(&BETWEEN)) }
    }

    fn argument(&self, word: &[u8]) -> Vec<u8> {
        let nth = word.strip_prefix(b"$").and_then(|text| str::from_utf8(text).ok()?.parse::<usize>().ok());
        nth.and_then(|nth| self.tokens.iter().rev().nth(nth).cloned()).unwrap_or_else(|| word.to_vec())
    }

    fn keep_tokens(&mut self) {
        let mut in_task = false;
        for item in self.out.reply.items() {
            match item {
                Item::Bulk(token) if in_task && token.len() > 10 && token[token.len() - 9] == b'-' => {
                    self.tokens.push(token.to_vec());
                }
                _ => {}
            }
            in_task = matches!(item, Item::Array(8 | 9));
        }
        let surplus = self.tokens.len().saturating_sub(TOKENS);
        self.tokens.drain(..surplus);
    }
}

fn clock(word: &[u8], now: u64) -> Option<u64> {
    let number = |text: &[u8]| str::from_utf8(text).ok()?.parse::<u64>().ok();
    let time = match word {
        [b'+', by @ ..] => now.saturating_add(number(by)?),
        [b'-', by @ ..] => now.saturating_sub(number(by)?),
        _ => return None,
    };
    Some(time.clamp(START - 3_600_000, END))
}

fn shape_of(item: Item<'_>) -> String {
    match item {
        Item::Int(value) => format!(":{}", value.clamp(-1, 3)),
        Item::Bulk(bytes) => format!("${}", usize::from(!bytes.is_empty())),
        Item::Ok => "+".into(),
        Item::Null => "_".into(),
        Item::Array(len) => format!("*{}", len.min(3)),
        Item::Map(len) => format!("%{}", len.min(3)),
    }
}

/// The items are exactly one whole reply, or none (of what has no reply).
fn is_one_reply(reply: &Reply) -> Result<(), String> {
    let mut open = 0_usize;
    for (place, item) in reply.items().enumerate() {
        if place > 0 {
            open = open.checked_sub(1).ok_or("a reply behind the reply")?;
        }
        open += match item {
            Item::Array(len) => len,
            Item::Map(len) => len * 2,
            _ => 0,
        };
    }
    if open == 0 { Ok(()) } else { Err(format!("a reply that lacks {open} elements")) }
}

/// Applies the arguments of a WF.APPLY as the server does.
pub fn replay(key: &mut Option<Box<Space>>, args: &[&[u8]]) -> Result<(), CommandError> {
    let mut out = Outcome::default();
    let settings = Settings::default();
    let mut call = Call {
        key: b"k",
        args,
        value: key.as_mut().map_or(Value::Missing, |space| Value::Space(space)),
        fresh: None,
        now: Millis(START),
        expire_from: None,
        replayed: true,
        may_block: false,
        reads_at_once: usize::MAX,
        prepared: None,
        waits: &|_, _| false,
        may_write: &|_| true,
        random: &mut || 0,
        settings: &settings,
        out: &mut out,
    };
    let apply = spec::COMMANDS.iter().find(|spec| spec.name == "WF.APPLY").expect("it is there");
    let result = (apply.run)(&mut call);
    let fresh = call.fresh.take();
    if fresh.is_some() && result.is_ok() {
        *key = fresh;
    }
    result
}

/// Saves a space.
pub fn save(space: &Space) -> Vec<Vec<u8>> {
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    snapshot::save(space, &mut |chunk| chunks.push(chunk.to_vec()));
    chunks
}

/// Saves a space and loads it, which must succeed.
pub fn reload(space: &Space) -> Result<Box<Space>, String> {
    let mut loader = Loader::new();
    let loaded = save(space).iter().try_for_each(|chunk| loader.chunk(chunk)).and_then(|()| loader.finish());
    loaded.map_err(|error| format!("what was saved does not load: {error}"))
}

/// Two spaces have equal digests, and both keep their invariants.
pub fn same(left: &Space, right: &Space) -> Result<(), String> {
    for space in [left, right] {
        if !space.incomplete() {
            invariant::check(space).map_err(|error| format!("an invariant is broken: {error}"))?;
        }
    }
    match digest::difference(&digest::all(left), &digest::all(right)) {
        None => Ok(()),
        Some(place) => Err(format!("two spaces that should be equal differ:{place}")),
    }
}

/// Words for people.
pub fn shown(words: &[&[u8]]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("\"{}\"", word.escape_ascii())).collect();
    words.join(" ")
}
