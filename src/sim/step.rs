//! One step of a run: what is done, at what time, under what circumstances. A run is its list of
//! steps and nothing else, so any part of a list can be run again, which is how the shortest failing
//! history is found. [`Step`] prints as a command one could type.

use super::serving::Conditions;
use crate::engine::limits::Settings;
use std::fmt;

/// The first moment of every run, in unix milliseconds.
pub const START: u64 = 1_700_000_000_000;

/// What is done.
#[derive(Clone, Debug)]
pub enum Act {
    /// A command: its name, then the arguments after the key.
    Command(Vec<Vec<u8>>),
    /// A command on a key of another type.
    OnWrongType(Vec<Vec<u8>>),
    /// A listing begins; its words without a cursor.
    List(Vec<Vec<u8>>),
    /// The listing goes on with its next page.
    ListOn,
    /// A listing is read from its beginning to its end.
    ListAll(Vec<Vec<u8>>),
    /// The timer.
    Sweep,
    /// The clock has just been set ahead by so much, and the timer notices.
    ClockAhead(u64),
    /// The n-th waiting client is offered what there is.
    Serve(usize),
    /// A client stops waiting.
    Leave(usize),
    /// The primary is saved and loaded.
    ReloadPrimary,
    /// The replica is saved and loaded.
    ReloadReplica,
    /// The replica becomes the primary, and the primary its replica.
    Failover,
    /// Effects of the file reach a copy that has moved on, with a byte changed or not.
    Stray(usize, Option<Fault>),
    /// A byte of what is saved changes.
    Corrupt(Fault),
    /// The file is rewritten, and the replica starts anew from it.
    Rewrite,
    /// The file is replayed from its beginning.
    Replay,
    /// The key is copied, and the copy worked on.
    Copy,
    /// The key is deleted.
    Drop,
}

/// A byte that is not what it was.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Where, modulo the length.
    pub place: usize,
    /// What is added to it.
    pub change: u8,
}

impl Fault {
    /// Changes one byte of all.
    pub fn strike(self, words: &mut [Vec<u8>]) {
        let mut bytes: Vec<&mut u8> = words.iter_mut().flatten().collect();
        let len = bytes.len();
        if let Some(byte) = bytes.get_mut(self.place % len.max(1)) {
            **byte = byte.wrapping_add(self.change);
        }
    }
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is done.
    pub act: Act,
    /// The clock.
    pub now: u64,
    /// When expiry is allowed: from then on, or not at all.
    pub expire_from: Option<u64>,
    /// Whether the client can wait.
    pub may_block: bool,
    /// The seed of the nonces.
    pub nonces: u64,
}

impl Step {
    /// Under which conditions a command of this step runs.
    pub fn conditions<'s>(&self, settings: &'s Settings) -> Conditions<'s> {
        let &Step { now, expire_from, may_block, nonces, .. } = self;
        Conditions { now, expire_from, replayed: false, may_block, nonces, settings }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = self.now as i64 - START as i64;
        write!(out, "{offset:>+12} ms  ")?;
        match &self.act {
            Act::Command(words) => command(out, words, "k")?,
            Act::OnWrongType(words) => command(out, words, "a-string")?,
            Act::List(words) => command(out, words, "k")?,
            Act::ListOn => write!(out, "(the next page of the listing)")?,
            Act::ListAll(words) => {
                command(out, words, "k")?;
                write!(out, " (to its end)")?;
            }
            Act::Sweep => write!(out, "(timer)")?,
            Act::ClockAhead(by) => write!(out, "(the clock was set ahead by {by} ms)")?,
            Act::Serve(nth) => write!(out, "(waiting client {nth} is served)")?,
            Act::Leave(nth) => write!(out, "(waiting client {nth} leaves)")?,
            Act::ReloadPrimary => write!(out, "(the primary restarts from its RDB file)")?,
            Act::ReloadReplica => write!(out, "(the replica restarts from its RDB file)")?,
            Act::Failover => write!(out, "FAILOVER")?,
            Act::Stray(nth, fault) => {
                write!(out, "(effects {nth} of the file reach a copy once more, {fault:?})")?
            }
            Act::Corrupt(fault) => {
                write!(out, "(the RDB file is damaged, {fault:?}, and loaded into a copy)")?
            }
            Act::Rewrite => write!(out, "BGREWRITEAOF (and the replica starts from the new file)")?,
            Act::Replay => write!(out, "(the file is replayed)")?,
            Act::Copy => write!(out, "COPY k another")?,
            Act::Drop => write!(out, "DEL k")?,
        }
        match self.expire_from {
            None => write!(out, "   # nothing may expire")?,
            Some(from) if from > self.now => {
                write!(out, "   # nothing may expire for {} ms more", from - self.now)?
            }
            Some(_) => {}
        }
        if self.may_block { write!(out, "   # may block") } else { Ok(()) }
    }
}

/// A command as one could type it at redis-cli.
fn command(out: &mut fmt::Formatter<'_>, words: &[Vec<u8>], key: &str) -> fmt::Result {
    write!(out, "{} {key}", words[0].escape_ascii())?;
    for word in &words[1..] {
        let text = std::str::from_utf8(word).ok().filter(|text| !text.contains(char::is_control));
        let plain =
            |text: &str| text.chars().all(|char| char.is_ascii_alphanumeric() || "-_.".contains(char));
        match text {
            Some(text) if !text.is_empty() && plain(text) => write!(out, " {text}")?,
            Some(text) if !text.contains('\'') && !text.ends_with('\\') => write!(out, " '{text}'")?,
            _ => quoted(out, word)?,
        }
    }
    Ok(())
}

fn quoted(out: &mut fmt::Formatter<'_>, word: &[u8]) -> fmt::Result {
    write!(out, " \"")?;
    for &byte in word {
        match byte {
            b'"' | b'\\' => write!(out, "\\{}", byte as char)?,
            b' '..=b'~' => write!(out, "{}", byte as char)?,
            _ => write!(out, "\\x{byte:02x}")?,
        }
    }
    write!(out, "\"")
}
