//! What a command is given and what it gives back.
//!
//! The glue (or a test) opens the key, reads the clock once, and fills a [`Call`]. The command
//! parses its arguments, plans, applies, and leaves everything else as data in [`Outcome`]: the
//! reply, the effects to replicate, whom to wake, what to announce, whether to block. Carrying
//! that out is the caller's business, so every command runs without a server.

use super::claim::Claim;
use super::events::Journal;
use super::reply::Reply;
use super::wait::Wait;
use crate::encoding::effect_text::EffectLog;
use crate::encoding::prepared::{Prepared, Unread};
use crate::engine::limits::Settings;
use crate::engine::report::Report;
use crate::engine::space::Space;
use crate::engine::units::Millis;

pub use super::error::CommandError;

/// What the key holds.
pub enum Value<'a> {
    /// No key.
    Missing,
    /// A key of another type.
    WrongType,
    /// A space.
    Space(&'a mut Space),
}

/// One execution of one command.
pub struct Call<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The arguments after the key.
    pub args: &'a [&'a [u8]],
    /// What the key holds.
    pub value: Value<'a>,
    /// A space that the command created because the key was missing. The caller stores it under
    /// the key if the command succeeded and [`Outcome::changed`], and drops it otherwise.
    pub fresh: Option<Box<Space>>,
    /// The one clock reading of this command.
    pub now: Millis,
    /// Leases whose deadline lies before this count as due only from here on (the grace period
    /// after a restart or a promotion). `None`: nothing may expire now at all (a replica, a
    /// client pause, a failover wait).
    pub expire_from: Option<Millis>,
    /// True when the command comes from the primary's stream or from a file being loaded.
    pub replayed: bool,
    /// True when the caller is able to block the client.
    pub may_block: bool,
    /// Documents of more bytes than these are read in the background where the client may be blocked.
    pub reads_at_once: usize,
    /// The document, when it was read before.
    pub prepared: Option<Box<Prepared>>,
    /// Whether a client waits that could take a task of this type and priority.
    pub waits: &'a dyn Fn(&[u8], u32) -> bool,
    /// Whether the client may write to another key.
    pub may_write: &'a dyn Fn(&[u8]) -> bool,
    /// Draws 32 random bits.
    pub random: &'a mut dyn FnMut() -> u32,
    /// The operator's settings.
    pub settings: &'a Settings,
    /// Where everything goes.
    pub out: &'a mut Outcome,
}

/// Everything a command leaves behind, as data.
#[derive(Default)]
pub struct Outcome {
    /// The reply; complete unless `block` is set.
    pub reply: Reply,
    /// The arguments of the one `WF.APPLY key ...` to replicate; empty: nothing changed.
    pub effects: EffectLog,
    /// What the space's stream of events is to be told.
    pub journal: Journal,
    /// What `apply` reported: types that got ready tasks, events to announce, counters.
    pub report: Report,
    /// Block the client until this can be answered; there is no reply yet.
    pub block: Option<Block>,
}

/// What a client waits for.
pub enum Block {
    /// `WF.CLAIM ... BLOCK` found nothing to claim.
    Claim(Box<Claim>),
    /// `WF.WAIT ... BLOCK` found a workflow that has not ended.
    Wait(Box<Wait>),
    /// The document is large: the same command is to be run again when it was read.
    Read(Reading),
}

/// A document that is to be read in the background.
#[derive(Debug)]
pub struct Reading {
    /// Its place among the arguments after the key.
    pub argument: usize,
    /// What it is.
    pub unread: Unread,
}

impl Outcome {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.reply.clear();
        self.effects.clear();
        self.journal.clear();
        self.report.clear();
        self.block = None;
    }

    /// True when the space was changed.
    pub fn changed(&self) -> bool {
        !self.effects.is_empty()
    }
}

/// A space to change, and what changing it takes.
pub struct Writing<'c> {
    /// The space.
    pub space: &'c mut Space,
    /// Where everything goes.
    pub out: &'c mut Outcome,
    /// Draws 32 random bits.
    pub random: &'c mut dyn FnMut() -> u32,
}

impl Call<'_> {
    /// Whether a document that costs as much as one of so many bytes is to be read in the background.
    pub fn puts_off(&self, bytes: usize) -> bool {
        self.may_block && bytes > self.reads_at_once
    }

    /// Asks for that, unless the key holds something else.
    pub fn put_off(&mut self, argument: usize, unread: Unread) -> Result<(), CommandError> {
        self.check()?;
        self.out.block = Some(Block::Read(Reading { argument, unread }));
        Ok(())
    }

    /// Refuses keys that hold no space, or one that is not whole.
    fn check(&self) -> Result<(), CommandError> {
        match &self.value {
            Value::WrongType => Err(CommandError::WrongType),
            Value::Space(space) if space.incomplete() && !self.replayed => Err(CommandError::Incomplete),
            Value::Space(_) | Value::Missing => Ok(()),
        }
    }

    /// The space to read, or `None` when the key is missing.
    pub fn space(&self) -> Result<Option<&Space>, CommandError> {
        self.check()?;
        Ok(match &self.value {
            Value::Space(space) => Some(space),
            Value::Missing | Value::WrongType => None,
        })
    }

    /// The space to change, or `None` when the key is missing.
    pub fn writing(&mut self) -> Result<Option<Writing<'_>>, CommandError> {
        self.check()?;
        let Call { value, out, random, .. } = self;
        Ok(match value {
            Value::Space(space) => Some(Writing { space, out, random }),
            Value::Missing | Value::WrongType => None,
        })
    }

    /// The space to change and the outcome to report to, or `None` when the key is missing.
    pub fn space_mut(&mut self) -> Result<Option<(&mut Space, &mut Outcome)>, CommandError> {
        Ok(self.writing()?.map(|writing| (writing.space, writing.out)))
    }

    /// The space to change, created when the key is missing.
    pub fn space_or_new(&mut self) -> Result<(&mut Space, &mut Outcome), CommandError> {
        self.check()?;
        let Call { value, fresh, out, .. } = self;
        let space = match value {
            Value::Space(space) => space,
            Value::Missing | Value::WrongType => &mut **fresh.get_or_insert_default(),
        };
        Ok((space, out))
    }
}
