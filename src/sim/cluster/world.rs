//! The servers, the clients, and what must hold after every step.
//!
//! Wherever two servers stand at the same place of history they hold the same: the first to get there
//! says what that is, and everybody who gets there by whatever way is compared with it.

use super::client::{Client, Known, OPERATOR, worker_name};
use super::clock::Clock;
use super::disk::Snapshot;
use super::history::{NOTHING, Position};
use super::node::{Connection, Node, Power, Role};
use super::record::{Kept, Record, Shape};
use super::request::Answer;
use super::step::{Act, Fate, Step};
use super::tally::Tally;
use crate::encoding::digest;
use crate::engine::invariant;
use crate::engine::limits::Settings;
use crate::sim::random::Random;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The first moment of every run, in unix milliseconds.
const START: u64 = 1_700_000_000_000;

/// A fault of the simulated world itself, to see that it is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// A link loses one effect and goes on.
    LostEffect,
    /// Servers that are promoted draw the nonces that others draw.
    SameNonces,
    /// A server that starts forgets the last effect of its file.
    ForgottenEffect,
    /// A replica does what is due by its own clock.
    OwnClock,
}

/// A client's dump of the key, and where the server stood.
type Dump = (Position, Vec<Vec<u8>>);

/// Everything; see the module's prose.
pub struct World {
    /// The servers.
    pub nodes: Vec<Node>,
    /// Who is the primary, for those who decide it.
    pub official: usize,
    /// The replica to which it hands over.
    pub handing: Option<usize>,
    /// The clients.
    pub clients: Vec<Client>,
    /// What happened.
    pub record: Record,
    /// What is counted.
    pub tally: Tally,
    /// The true time.
    pub now: u64,
    /// Every server syncs before it answers.
    pub always: bool,
    /// What the operator set.
    pub settings: Settings,
    /// Workflows that came in, and what was pushed.
    pub known: Vec<(String, Rc<Shape>)>,
    /// Those of them that may have failed.
    pub failed: Vec<String>,
    /// What is broken on purpose.
    pub planted: Option<Planted>,
    /// The latest definition of each name.
    pub definitions: BTreeMap<String, Rc<Shape>>,
    ledger: BTreeMap<Position, Vec<u8>>,
    /// The latest dump.
    pub dump: Option<Dump>,
    /// What is told of the steps, if anybody listens.
    pub story: Option<Vec<String>>,
}

impl World {
    /// A primary and replicas that have nothing yet.
    pub fn with(seed: u64, planted: Option<Planted>) -> World {
        let mut random = Random::new(!seed);
        let count = *random.pick(&[2, 3, 3, 3, 4]);
        let clock = |random: &mut Random| {
            let offset = random.below(4_000) as i64 - 2_000;
            Clock::new(offset, random.below(10_000) as i64 - 5_000)
        };
        let mut nodes: Vec<Node> = (0..count).map(|_| Node::new(clock(&mut random))).collect();
        let mut record = Record::default();
        nodes[0].role = Role::Primary;
        nodes[0].at = record.histories.fork(NOTHING);
        let settings = Settings {
            default_lease_ms: 500,
            grace_ms: *random.pick(&[0, 300, 1_500]),
            default_max_attempts: 2,
            default_max_deliveries: 2,
            ..Settings::default()
        };
        World {
            nodes,
            official: 0,
            handing: None,
            clients: vec![Client::default(); OPERATOR + 1],
            record,
            tally: Tally::default(),
            now: START,
            always: random.one_in(3),
            settings,
            known: Vec::new(),
            failed: Vec::new(),
            planted,
            definitions: BTreeMap::new(),
            ledger: BTreeMap::new(),
            dump: None,
            story: None,
        }
    }

    /// Says what happens, if anybody listens.
    pub fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(format!("{:>+9} ms  {}", self.now as i64 - START as i64, what()));
        }
    }

    /// Counts something.
    pub fn count(&mut self, what: &'static str) {
        self.tally.count(what);
    }

    /// Does one step and checks everything; an error says what is wrong.
    pub fn act(&mut self, step: &Step) -> Result<(), String> {
        let mut random = Random::new(step.bits);
        self.tally.count("step");
        match step.act {
            Act::Pass(by) => {
                self.pass(by);
                Ok(())
            }
            Act::Client(who, fate) => self.client(who, fate, &mut random),
            Act::Leave(who, notices) => {
                self.leave(who, notices);
                Ok(())
            }
            Act::Discover(who) => {
                self.clients[who].view = self.official;
                Ok(())
            }
            Act::Timer(node) => self.timer(node % self.nodes.len(), &mut random),
            act => self.fault(act, &mut random),
        }
    }

    /// Time goes on.
    pub fn pass(&mut self, by: u64) {
        self.tell(|| format!("{by} ms pass"));
        self.now += by;
        for node in &mut self.nodes {
            node.clock.go_on(self.now, by, node.power == Power::Up);
        }
    }

    fn leave(&mut self, who: usize, notices: bool) {
        let Some(node) = self.clients[who].parked.take() else { return };
        self.tell(|| format!("{} goes away{}", worker_name(who), if notices { "" } else { ", unnoticed" }));
        self.count(if notices { "a waiting worker left" } else { "a waiting worker left unnoticed" });
        let connection = self.connection(who);
        self.clients[who].connections += 1;
        if notices {
            self.nodes[node].unpark(connection);
        }
    }

    /// The connection that a client has.
    pub fn connection(&self, client: usize) -> Connection {
        Connection { client, number: self.clients[client].connections }
    }

    fn client(&mut self, who: usize, fate: Fate, random: &mut Random) -> Result<(), String> {
        if self.clients[who].parked.is_some() {
            if !random.one_in(4) {
                return Ok(());
            }
            self.leave(who, true);
        }
        let node = match random.below(12) {
            0 => random.below(self.nodes.len() as u64) as usize,
            _ => self.clients[who].view,
        };
        let crowd = self.nodes[node].key.as_ref().map_or(0, |space| space.workflows().len());
        let known = Known { workflows: &self.known, failed: &self.failed, crowd };
        let Some(request) = self.clients[who].next(who, random, &known) else { return Ok(()) };
        let answer = self.ask(node, who, &request, fate, random)?;
        if matches!(answer, Answer::NotHere) || (matches!(answer, Answer::Unknown) && random.one_in(2)) {
            self.clients[who].view = self.official;
        }
        self.clients[who].hear(&request, &answer, node);
        Ok(())
    }

    /// Everything that must hold of a server that changed, or could have.
    pub fn look(&mut self, n: usize) -> Result<(), String> {
        let node = &mut self.nodes[n];
        let digest = match &node.key {
            None => Vec::new(),
            Some(space) => {
                invariant::check(space)
                    .map_err(|error| format!("server {n} breaks an invariant: {error}"))?;
                digest::all(space)
            }
        };
        let at = self.record.histories.canonical(node.at);
        let known = self.ledger.entry(at).or_insert_with(|| digest.clone());
        if let Some(place) = digest::difference(known, &digest) {
            return Err(format!("server {n} is not at {at:?} what another was there:{place}"));
        }
        if node.may_work() && !node.deferred && node.oldest(None).is_some() {
            return Err(format!("at server {n} somebody waits although there is a task"));
        }
        Ok(())
    }

    /// A server goes on from somewhere: whether that is all it had to keep is the judge's business.
    pub fn keep(&mut self, must: Position, stands: Position, why: String) {
        self.record.kept.push(Kept { must, stands, why });
    }

    /// A snapshot of a server.
    pub fn snapshot(&self, n: usize) -> Snapshot {
        Snapshot::of(&self.nodes[n].key, self.nodes[n].at)
    }
}
