//! What is done to servers and links.

use super::link::Link;
use super::node::{Power, Role};
use super::step::{Act, Fate};
use super::world::{Planted, World};
use crate::sim::random::Random;

impl World {
    /// Does one of these; one that makes no sense now does nothing.
    pub fn fault(&mut self, act: Act, random: &mut Random) -> Result<(), String> {
        let count = self.nodes.len();
        match act {
            Act::Deliver(n, pieces) => self.deliver(n % count, pieces, random)?,
            Act::Cut(n) => self.cut(n % count),
            Act::Connect(n, keeps) => self.connect(n % count, keeps, random)?,
            Act::Kill(n) => self.kill(n % count),
            Act::Crash(n) => self.crash(n % count, random),
            Act::Start(n) => self.start(n % count)?,
            Act::Freeze(n) => self.freeze(n % count),
            Act::Thaw(n) => self.thaw(n % count, random)?,
            Act::Promote(n) => self.promote(n % count)?,
            Act::Follow(n) => self.follow(n % count, random)?,
            Act::HandOver(n) => self.hand_over(n % count),
            Act::HandedOver => self.handed_over(random)?,
            Act::SetClock(n, by) => {
                self.tell(|| format!("the clock of server {} is set by {by} ms", n % count));
                self.nodes[n % count].clock.set(by);
                self.count(if by > 0 { "a clock set ahead" } else { "a clock set back" });
            }
            Act::Sync(n) => {
                let node = &mut self.nodes[n % count];
                if node.power == Power::Up {
                    node.settle(true);
                }
            }
            Act::Rewrite(n) => {
                let n = n % count;
                if self.nodes[n].power == Power::Up && !self.nodes[n].disk.is_rewriting() {
                    self.tell(|| format!("server {n} begins to rewrite its file"));
                    let snapshot = self.snapshot(n);
                    self.nodes[n].disk.rewrite(snapshot);
                }
            }
            Act::Rewritten(n) => {
                let n = n % count;
                if self.nodes[n].power == Power::Up && self.nodes[n].disk.is_rewriting() {
                    self.tell(|| format!("server {n} has rewritten its file"));
                    self.nodes[n].disk.rewritten();
                    self.nodes[n].settle(true);
                    self.count("a file rewritten");
                }
            }
            Act::Pass(_) | Act::Client(..) | Act::Leave(..) | Act::Discover(_) | Act::Timer(_) => {
                unreachable!("no fault")
            }
        }
        Ok(())
    }

    pub fn kill(&mut self, n: usize) {
        if self.nodes[n].power == Power::Down {
            return;
        }
        self.tell(|| format!("the process of server {n} dies"));
        self.count("a process that died");
        self.nodes[n].must = self.nodes[n].written;
        self.nodes[n].disk.stop(0, None);
        self.go_down(n);
    }

    pub fn crash(&mut self, n: usize, random: &mut Random) {
        if self.nodes[n].power == Power::Down {
            return;
        }
        let unsynced = self.nodes[n].disk.unsynced();
        let left = random.below(unsynced as u64 + 1) as usize;
        self.tell(|| format!("the machine of server {n} dies: {left} of {unsynced} bytes are left"));
        self.count("a machine that died");
        if left < unsynced {
            self.count("a machine that lost writes");
        }
        self.nodes[n].must = self.nodes[n].synced;
        self.nodes[n].disk.lose(left);
        self.go_down(n);
    }

    /// A server is gone, and whoever was connected notices.
    pub fn go_down(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        node.power = Power::Down;
        node.paused = false;
        node.link = Link::Cut;
        node.key = None;
        node.inbox.clear();
        self.send_waiting_away(n);
        if self.handing.is_some() && (self.official == n || self.handing == Some(n)) {
            self.handing = None;
            // Who asked meanwhile has not waited so long.
            self.nodes[self.official].paused = false;
            self.nodes[self.official].inbox.clear();
            self.count("a handover called off");
        }
    }

    /// What a server sends to others ends here.
    pub fn cut_from(&mut self, n: usize) {
        self.nodes
            .iter_mut()
            .filter(|node| node.link.from() == Some(n))
            .for_each(|node| node.link = Link::Cut);
    }

    pub fn send_waiting_away(&mut self, n: usize) {
        self.nodes[n].send_away();
        self.clients
            .iter_mut()
            .filter(|client| client.parked == Some(n))
            .for_each(|client| client.parked = None);
    }

    /// A server starts from its file.
    pub fn start(&mut self, n: usize) -> Result<(), String> {
        if self.nodes[n].power != Power::Down {
            return Ok(());
        }
        let (now, planted) = (self.now, self.planted);
        self.cut_from(n);
        let node = &mut self.nodes[n];
        if planted == Some(Planted::ForgottenEffect) {
            node.disk.forget_last();
        }
        let (snapshot, frames, torn) = node.disk.read();
        node.power = Power::Up;
        node.clock.start();
        node.moved = 0;
        node.backlog.clear();
        node.key = snapshot.key()?;
        node.at = snapshot.at;
        self.look(n)?;
        for (frame, after) in frames {
            self.nodes[n].carry_out(&frame, now).map_err(|what| format!("the file of server {n}: {what}"))?;
            self.nodes[n].at = after;
            self.look(n)?;
        }
        let node = &mut self.nodes[n];
        let (must, stands, role) = (node.must, node.at, node.role);
        node.settle(true);
        node.second = None;
        if node.key.is_some() {
            let time = node.clock.read(now);
            node.clock.grace(time);
        }
        if torn > 0 {
            self.count("a torn tail");
        }
        self.count("a start");
        self.tell(|| format!("server {n} starts as {role:?} at {stands:?}, {torn} bytes were torn"));
        self.keep(must, stands, format!("the start of server {n}"));
        if role == Role::Primary {
            self.branch_off(n);
        }
        Ok(())
    }

    /// A server writes on its own from here.
    pub fn branch_off(&mut self, n: usize) {
        let at = self.nodes[n].at;
        self.nodes[n].second = Some(at);
        self.nodes[n].at = self.record.histories.fork(at);
    }

    pub fn freeze(&mut self, n: usize) {
        if self.nodes[n].power == Power::Up {
            self.tell(|| format!("server {n} stands still"));
            self.nodes[n].power = Power::Frozen;
            self.count("a standstill");
        }
    }

    /// A server goes on, and with what lay there meanwhile.
    pub fn thaw(&mut self, n: usize, random: &mut Random) -> Result<(), String> {
        if self.nodes[n].power != Power::Frozen {
            return Ok(());
        }
        self.tell(|| format!("server {n} goes on"));
        self.nodes[n].power = Power::Up;
        self.empty_inbox(n, random)
    }

    pub fn empty_inbox(&mut self, n: usize, random: &mut Random) -> Result<(), String> {
        if self.nodes[n].paused {
            return Ok(());
        }
        for (who, request) in std::mem::take(&mut self.nodes[n].inbox) {
            if self.nodes[n].is_primary() {
                self.tell(|| format!("server {n} gets to what client {} had asked", who.client));
                self.count("a request carried out late");
                self.serve(n, who, &request, Fate::Unheard, random)?;
            }
        }
        Ok(())
    }
}
