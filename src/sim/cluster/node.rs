//! A server: an engine value and what surrounds it.

use super::clock::Clock;
use super::disk::{Disk, Frame, Snapshot};
use super::history::{NOTHING, Position};
use super::link::Link;
use super::request::Request;
use crate::commands::call::Outcome;
use crate::commands::claim::Claim;
use crate::commands::waiting::{PlaceRef, Ticket, Waiting, Wish};
use crate::engine::units::TypeId;
use crate::sim::serving::{Conditions, Key, load, narrowest, on_key, spec_of};
use std::collections::VecDeque;

/// Whether a server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// It runs.
    Up,
    /// It stands still and does not know it.
    Frozen,
    /// It does not run.
    Down,
}

/// What a server thinks it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It takes writes.
    Primary,
    /// It follows that server.
    Replica(usize),
}

/// A connection of a client. One that is gone is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Whose.
    pub client: usize,
    /// The how manieth of his.
    pub number: u64,
}

/// A client that waits for a task.
#[derive(Debug)]
pub struct Parked {
    /// Who.
    pub who: Connection,
    /// For what.
    pub claim: Box<Claim>,
}

/// The key at which clients wait.
const HERE: PlaceRef<'static> = PlaceRef { db: 0, key: b"k" };

/// How much of the latest effects a primary keeps for replicas that come back.
const BACKLOG: usize = 16;

/// A server.
pub struct Node {
    /// Whether it runs.
    pub power: Power,
    /// What it thinks it is.
    pub role: Role,
    /// Its data.
    pub key: Key,
    /// Where it stands.
    pub at: Position,
    /// Until where it shares the history of another branch.
    pub second: Option<Position>,
    /// The latest effects; the last is that at its offset.
    pub backlog: VecDeque<Frame>,
    /// Its files.
    pub disk: Disk,
    /// Its clock.
    pub clock: Clock,
    /// The last step of the clock that its space was moved along with.
    pub moved: u64,
    waiting: Waiting<Parked>,
    tickets: Vec<Ticket>,
    /// Those who wait are looked at when its timer fires.
    pub deferred: bool,
    /// Requests that it has not looked at: it stands still, or hands over.
    pub inbox: Vec<(Connection, Request)>,
    /// It hands over and changes nothing.
    pub paused: bool,
    /// The link to its primary.
    pub link: Link,
    /// Until where its file survives the process.
    pub written: Position,
    /// Until where its file survives the machine.
    pub synced: Position,
    /// Until where it had to survive when it went down.
    pub must: Position,
}

impl Node {
    /// A replica without anything.
    pub fn new(clock: Clock) -> Node {
        Node {
            power: Power::Up,
            role: Role::Replica(0),
            key: None,
            at: NOTHING,
            second: None,
            backlog: VecDeque::new(),
            disk: Disk::default(),
            clock,
            moved: 0,
            waiting: Waiting::default(),
            tickets: Vec::new(),
            deferred: false,
            inbox: Vec::new(),
            paused: false,
            link: Link::Cut,
            written: NOTHING,
            synced: NOTHING,
            must: NOTHING,
        }
    }

    /// It runs and thinks that it is a primary.
    pub fn is_primary(&self) -> bool {
        self.power == Power::Up && self.role == Role::Primary
    }

    /// It runs and knows that it is a replica.
    pub fn is_replica(&self) -> bool {
        self.power == Power::Up && self.role != Role::Primary
    }

    /// It may change something by itself.
    pub fn may_work(&self) -> bool {
        self.is_primary() && !self.paused
    }

    /// A client waits.
    pub fn park(&mut self, who: Connection, claim: Box<Claim>) {
        let wish = Wish { types: &claim.types, max_priority: claim.max_priority };
        let ticket = self.waiting.enrol(HERE, wish, Parked { who, claim: claim.clone() });
        self.tickets.push(ticket);
    }

    /// A client waits no more.
    pub fn unpark(&mut self, who: Connection) {
        let waiting = &mut self.waiting;
        self.tickets.retain(|&ticket| match waiting.get(ticket) {
            Some(parked) if parked.who != who => true,
            _ => {
                waiting.remove(ticket);
                false
            }
        });
    }

    /// None of them waits any more.
    pub fn send_away(&mut self) {
        self.waiting = Waiting::default();
        self.tickets.clear();
    }

    /// Whether that client waits.
    pub fn waits(&self, who: Connection) -> bool {
        self.tickets.iter().any(|&ticket| self.waiting.get(ticket).is_some_and(|parked| parked.who == who))
    }

    /// Whether anybody waits.
    pub fn anybody_waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The oldest of those who can take a task of these types; `None`: of any.
    pub fn oldest(&self, types: Option<&[TypeId]>) -> Option<&Parked> {
        let space = self.key.as_deref()?;
        let wanted = |id: &TypeId| types.is_none_or(|types| types.contains(id));
        let ticket = space
            .claimable_types()
            .filter(wanted)
            .filter_map(|id| self.waiting.oldest(HERE, space.type_name(id), space.head_priority(id)?))
            .min();
        ticket.and_then(|ticket| self.waiting.get(ticket))
    }

    /// An effect was carried out: the file is told, and whoever comes back.
    pub fn log(&mut self, frame: &Frame) {
        self.at = self.at.plus(1);
        self.disk.append(frame, self.at);
        self.backlog.push_back(frame.clone());
        if self.backlog.len() > BACKLOG {
            self.backlog.pop_front();
        }
    }

    /// The file is written, and safe if `synced`.
    pub fn settle(&mut self, synced: bool) {
        self.written = self.at;
        if synced {
            self.disk.sync();
            self.synced = self.at;
        }
    }

    /// What it kept for somebody who stands at that offset, if it kept all of it.
    pub fn since(&self, offset: u64) -> Option<VecDeque<Frame>> {
        let missing = usize::try_from(self.at.offset.checked_sub(offset)?).ok()?;
        let known = self.backlog.len().checked_sub(missing)?;
        Some(self.backlog.iter().skip(known).cloned().collect())
    }

    /// Carries out what comes from its primary or from its file. Its clock and its settings are its own,
    /// and say nothing.
    pub fn carry_out(&mut self, frame: &Frame, now: u64) -> Result<(), String> {
        match &*frame[0] {
            b"DEL" => self.key = None,
            b"COPY" => self.key = self.key.as_ref().map(|space| Box::new(space.void_copy())),
            b"RESTORE" => self.key = load(&frame[1..]).map(Some)?,
            _ => {
                let settings = narrowest();
                let now = self.clock.read(now);
                let conditions = Conditions {
                    now,
                    expire_from: None,
                    replayed: true,
                    may_block: false,
                    nonces: now,
                    settings: &settings,
                };
                let mut out = Outcome::default();
                let apply = spec_of("WF.APPLY").run;
                on_key(&mut self.key, &frame[1..], &conditions, &mut out, apply)
                    .map_err(|error| format!("what comes is refused: {error:?}"))?;
                if !out.journal.is_empty() {
                    return Err("a replica tells of events by itself".to_owned());
                }
            }
        }
        Ok(())
    }

    /// Takes a snapshot for its own.
    pub fn take(&mut self, snapshot: Snapshot, second: Option<Position>) -> Result<(), String> {
        self.key = snapshot.key()?;
        self.at = snapshot.at;
        self.second = second;
        self.backlog.clear();
        self.disk.start_over(snapshot);
        self.settle(true);
        Ok(())
    }
}
