//! What a primary does in one turn: a command or its timer, and the claims of the clients that it wakes.
//!
//! As in `module/perform.rs`, `schedule.rs` and `wake.rs`: before anything else happens to a space its
//! leases are moved along with a clock that was set ahead; what one turn does is one frame.

use super::client::worker_name;
use super::disk::Frame;
use super::node::{Connection, Node};
use super::record::Seen;
use super::request::{Answer, Request, handed, text};
use crate::commands::call::{Block, Call, CommandError, Outcome};
use crate::commands::claim;
use crate::commands::sweep;
use crate::engine::limits::Settings;
use crate::engine::units::Millis;
use crate::sim::random::Random;
use crate::sim::serving::{Conditions, carry_out, on_key};
use crate::sim::tree;
use crate::sim::world::first_word;

/// What happened, and which client was told.
pub type Seens = Vec<(Option<Connection>, Seen)>;

/// One turn; see the module's prose.
pub struct Turn<'w> {
    node: &'w mut Node,
    settings: &'w Settings,
    /// The true time.
    now: u64,
    random: Random,
    out: Outcome,
    /// The effects so far.
    gathered: Frame,
    /// What happened, and which client was told.
    seen: Seens,
    /// What ended. Comes last: it may have been made to run again by what ended it.
    ended: Vec<Seen>,
    /// What is counted.
    happened: Vec<&'static str>,
}

impl<'w> Turn<'w> {
    /// Begins a turn; nonces come from `bits`.
    pub fn begin(node: &'w mut Node, settings: &'w Settings, now: u64, bits: u64) -> Turn<'w> {
        Turn {
            node,
            settings,
            now,
            random: Random::new(bits),
            out: Outcome::default(),
            gathered: Frame::new(),
            seen: Vec::new(),
            ended: Vec::new(),
            happened: Vec::new(),
        }
    }

    fn on_space<R>(
        &mut self,
        args: &[Vec<u8>],
        may_block: bool,
        body: impl FnOnce(&mut Call<'_>) -> Result<R, CommandError>,
    ) -> Result<R, CommandError> {
        let clock = self.node.clock.read(self.now);
        let mut steps = Vec::new();
        if self.node.key.is_some() && self.node.may_work() {
            steps = self.node.clock.ahead(self.node.moved);
            self.node.moved = steps.last().map_or(self.node.moved, |step| step.number);
        }
        let conditions = Conditions {
            now: clock,
            expire_from: self.node.may_work().then(|| self.node.clock.expire_from(self.settings.grace_ms)),
            replayed: false,
            may_block,
            nonces: self.random.bits(),
            settings: self.settings,
        };
        let mut shifts = Vec::new();
        let result = on_key(&mut self.node.key, args, &conditions, &mut self.out, |call| {
            for step in steps {
                sweep::shift(call, Millis(step.from), step.by)?;
                if call.out.changed() {
                    shifts.push(Seen::Shifted { from: step.from, by: step.by });
                }
            }
            body(call)
        });
        self.happened.extend(shifts.iter().map(|_| "a step of the clock was followed"));
        self.seen.extend(shifts.into_iter().map(|seen| (None, seen)));
        self.gathered.extend(self.out.effects.args().map(<[u8]>::to_vec));
        let report = &self.out.report;
        for _ in 0..report.expired {
            self.happened.push("a lease ran out");
        }
        if report.expired + report.timed_out + report.poisoned > 0 {
            self.seen.push((None, Seen::Expired));
        }
        self.happened.extend((report.timed_out > 0).then_some("an attempt timed out"));
        self.happened.extend((report.poisoned > 0).then_some("a task lost too many deliveries"));
        self.happened.extend((report.workflows_timed_out > 0).then_some("a workflow timed out"));
        self.ended.extend(report.ended.iter().map(|id| Seen::Ended { id: text(id) }));
        result
    }

    /// A client's command.
    pub fn command(&mut self, who: Connection, request: &Request) -> Answer {
        let claims = request.name() == "WF.CLAIM";
        if claims && self.node.may_work() && self.node.anybody_waits() {
            self.sweep();
        }
        let name = request.name();
        let result = self.on_space(&request.words[1..], true, |call| carry_out(name, call));
        let answer = match (result, self.out.block.take()) {
            (Err(error), _) => Answer::Error(first_word(&error)),
            (Ok(()), Some(Block::Claim(claim))) => {
                self.node.park(who, claim);
                Answer::Waits
            }
            (Ok(()), Some(Block::Wait(_))) => Answer::Waits,
            (Ok(()), Some(Block::Read(_))) => unreachable!("a document is put off once"),
            (Ok(()), None) => Answer::Reply(tree::read(&self.out.reply).expect("a whole reply")),
        };
        if let Answer::Reply(reply) = &answer {
            self.seen.extend(request.seen(reply).into_iter().map(|seen| (Some(who), seen)));
        }
        self.wake();
        answer
    }

    /// The timer.
    pub fn sweep(&mut self) {
        let more = self.on_space(&[], false, sweep::sweep);
        debug_assert_eq!(more, Ok(false));
        self.out.report.readied_all |= std::mem::take(&mut self.node.deferred);
        self.wake();
    }

    /// Those who wait get what became ready.
    fn wake(&mut self) {
        if !self.node.may_work() {
            return;
        }
        let mut all = self.out.report.readied_all;
        let mut readied = self.out.report.readied.clone();
        while let Some(parked) = self.node.oldest((!all).then_some(&readied)) {
            let (who, claim) = (parked.who, parked.claim.clone());
            let served = self.on_space(&[], true, |call| claim::serve(&claim, call));
            all |= self.out.report.readied_all;
            readied.extend(&self.out.report.readied);
            if served == Ok(false) {
                return;
            }
            self.node.unpark(who);
            if served.is_ok() {
                let reply = tree::read(&self.out.reply).expect("a whole reply");
                self.happened.push("a waiting worker was served");
                let tasks = handed(&reply, &worker_name(who.client), false);
                self.seen.extend(tasks.into_iter().map(|seen| (Some(who), seen)));
            }
        }
    }

    /// The effects, and what happened with them.
    pub fn end(mut self) -> (Frame, Seens, Vec<&'static str>) {
        self.seen.extend(self.ended.into_iter().map(|seen| (None, seen)));
        (self.gathered, self.seen, self.happened)
    }
}
