//! The end of a run: faults stop, links heal, workers go on, and everything ends.

use super::client::{OPERATOR, PUSHERS};
use super::judge::judge;
use super::node::Power;
use super::record::Final;
use super::request::{Answer, Request, text};
use super::step::Fate;
use super::world::World;
use crate::engine::units::Millis;
use crate::sim::random::Random;
use crate::sim::tree::Tree;

/// Rounds in which everything must have ended.
const ROUNDS: usize = 300;

impl World {
    /// Brings everything to its end and says what is wrong.
    pub fn finish(&mut self) -> Result<(), String> {
        let mut random = Random::new(7);
        self.tell(|| "faults stop".to_owned());
        self.heal(&mut random)?;
        self.release(&mut random)?;
        let mut rounds = 0;
        while self.is_something_open() {
            rounds += 1;
            if rounds > ROUNDS {
                let totals = self.nodes[self.official].key.as_ref().map(|space| space.totals());
                return Err(format!("unended: after {ROUNDS} rounds of work there is {totals:?}"));
            }
            self.work(&mut random)?;
        }
        self.catch_up(&mut random)?;
        let end = self.states(&mut random)?;
        let violations = judge(&self.record, Some((self.nodes[self.official].at, &end)));
        if !violations.is_empty() {
            let lines: Vec<String> =
                violations.iter().take(6).map(|one| format!("{}: {}", one.kind, one.story)).collect();
            return Err(format!("{} promises were broken: {}", violations.len(), lines.join("; ")));
        }
        self.start_again()
    }

    fn heal(&mut self, random: &mut Random) -> Result<(), String> {
        if self.handing.is_some() {
            self.handed_over(random)?;
        }
        for n in 0..self.nodes.len() {
            self.thaw(n, random)?;
            self.start(n)?;
        }
        if !self.nodes[self.official].is_primary() {
            return Err("the primary is none".to_owned());
        }
        for n in 0..self.nodes.len() {
            self.follow(n, random)?;
        }
        for who in 0..self.clients.len() {
            self.clients[who].view = self.official;
            self.clients[who].pending = None;
            if self.clients[who].parked.take().is_some() {
                let connection = self.connection(who);
                self.nodes.iter_mut().for_each(|node| node.unpark(connection));
            }
        }
        // Half-open connections that nobody noticed end as well.
        self.nodes.iter_mut().for_each(|node| node.send_away());
        self.catch_up(random)
    }

    /// All replicas get all there is.
    fn catch_up(&mut self, random: &mut Random) -> Result<(), String> {
        for n in 0..self.nodes.len() {
            self.connect(n, true, random)?;
            self.deliver(n, u64::MAX, random)?;
            let (primary, node) = (&self.nodes[self.official], &self.nodes[n]);
            let canonical = |at| self.record.histories.canonical(at);
            if canonical(primary.at) != canonical(node.at) {
                return Err(format!("server {n} is at {:?}, the primary at {:?}", node.at, primary.at));
            }
        }
        Ok(())
    }

    fn order(&mut self, who: usize, request: &Request, random: &mut Random) -> Result<Tree, String> {
        match self.ask(self.official, who, request, Fate::Answered, random)? {
            Answer::Reply(reply) => Ok(reply),
            answer => Err(format!("at the end {} is answered with {answer:?}", request.name())),
        }
    }

    fn release(&mut self, random: &mut Random) -> Result<(), String> {
        self.order(OPERATOR, &Request::of(&["WF.RELEASE", "ALL"]), random)?;
        self.order(OPERATOR, &Request::of(&["WF.RELEASE", "TYPE", "a", "b"]), random)?;
        for id in self.ids() {
            self.order(OPERATOR, &Request::of(&["WF.RELEASE", "ID", &id]), random)?;
        }
        Ok(())
    }

    /// The workflows that are there.
    fn ids(&self) -> Vec<String> {
        let Some(space) = &self.nodes[self.official].key else { return Vec::new() };
        let id = |slot| {
            let mut id = Vec::new();
            space.id_of(slot).write(&mut id);
            text(&id)
        };
        space.workflows().by_age().into_iter().map(id).collect()
    }

    fn is_something_open(&self) -> bool {
        let Some(space) = &self.nodes[self.official].key else { return false };
        // Waiting, delayed, ready and running.
        space.totals().tasks[..4].iter().sum::<u64>() > 0
    }

    /// A round: whoever can do something does it; if nobody can, time passes until somebody can.
    fn work(&mut self, random: &mut Random) -> Result<(), String> {
        let who = PUSHERS;
        self.timer(self.official, random)?;
        let claim = Request::of(&["WF.CLAIM", "w2", "COUNT", "50", "LEASE", "60000"]);
        let tasks = self.order(who, &claim, random)?;
        if !tasks.elements().is_empty() {
            let mut words = vec![b"WF.COMPLETE".to_vec()];
            for task in tasks.elements() {
                if let Some(Tree::Bulk(token)) = task.elements().first() {
                    words.push(token.clone());
                }
            }
            let complete = Request { words, ..claim };
            self.order(who, &complete, random)?;
            return Ok(());
        }
        if self.signal(random)? {
            return Ok(());
        }
        let primary = &mut self.nodes[self.official];
        let time = primary.clock.read(self.now);
        let expire_from = primary.clock.expire_from(self.settings.grace_ms);
        let due = primary.key.as_ref().and_then(|space| space.next_due(&self.settings, Millis(expire_from)));
        let by = due.map_or(1_000, |due| due.0.saturating_sub(time) + 1);
        self.pass(by.min(3_600_000));
        Ok(())
    }

    /// Whoever waits for a signal gets it; whether anybody did.
    fn signal(&mut self, random: &mut Random) -> Result<bool, String> {
        let mut signalled = false;
        for (id, tasks) in self.states(random)? {
            for (name, state) in tasks {
                if name.starts_with('s') && state == "ready" {
                    self.order(OPERATOR, &Request::of(&["WF.SIGNAL", &id, &name]), random)?;
                    signalled = true;
                }
            }
        }
        Ok(signalled)
    }

    /// How all tasks stand.
    fn states(&mut self, random: &mut Random) -> Result<Final, String> {
        let mut all = Final::new();
        for id in self.ids() {
            let shown = self.order(OPERATOR, &Request::of(&["WF.GET", &id, "TASKS"]), random)?;
            let word = |task: &Tree, field: &str| match task.field(field) {
                Some(Tree::Bulk(bytes)) => text(bytes),
                other => format!("{other:?}"),
            };
            let tasks = shown.field("tasks").map_or(&[][..], Tree::elements);
            all.insert(id, tasks.iter().map(|task| (word(task, "name"), word(task, "state"))).collect());
        }
        Ok(all)
    }

    /// Each server starts once more from its file, and has what it had.
    fn start_again(&mut self) -> Result<(), String> {
        for n in 0..self.nodes.len() {
            let before = self.record.histories.canonical(self.nodes[n].at);
            self.nodes[n].must = before;
            self.go_down(n);
            debug_assert!(self.nodes[n].power == Power::Down);
            self.start(n)?;
            let after = self.record.histories.canonical(self.nodes[n].at);
            if before != after {
                return Err(format!("server {n} was at {before:?} and starts at {after:?}"));
            }
        }
        Ok(())
    }
}
