//! Who follows whom: what reaches replicas, how they begin and go on, and who becomes the primary.

use super::disk::Snapshot;
use super::history::{NOTHING, Position};
use super::link::Link;
use super::node::{Power, Role};
use super::world::{Planted, World};
use crate::sim::random::Random;
use std::collections::VecDeque;

impl World {
    /// What is on its way to a replica reaches it.
    pub fn deliver(&mut self, n: usize, pieces: u64, random: &mut Random) -> Result<(), String> {
        if !self.nodes[n].is_replica() {
            return Ok(());
        }
        for _ in 0..pieces {
            match &mut self.nodes[n].link {
                Link::Cut => break,
                Link::Copying { left, .. } if *left > 1 => *left -= 1,
                Link::Copying { .. } => {
                    let link = std::mem::take(&mut self.nodes[n].link);
                    let Link::Copying { from, snapshot, second, behind, .. } = link else { unreachable!() };
                    self.nodes[n].take(snapshot, second)?;
                    self.nodes[n].link = Link::Streaming { from, queue: behind };
                    self.count("a full resync");
                    self.tell(|| format!("server {n} has a full copy"));
                    self.look(n)?;
                }
                Link::Streaming { queue, .. } => {
                    let Some(mut frame) = queue.pop_front() else { break };
                    if self.planted == Some(Planted::LostEffect) && random.one_in(30) {
                        let Some(next) = queue.pop_front() else { break };
                        frame = next;
                    }
                    self.nodes[n]
                        .carry_out(&frame, self.now)
                        .map_err(|what| format!("server {n}: {what}"))?;
                    self.nodes[n].log(&frame);
                    self.look(n)?;
                    self.nodes[n].settle(self.always);
                }
            }
        }
        Ok(())
    }

    pub fn cut(&mut self, n: usize) {
        match std::mem::take(&mut self.nodes[n].link) {
            Link::Cut => {}
            Link::Copying { .. } => self.count("a full resync cut"),
            Link::Streaming { queue, .. } if queue.is_empty() => self.count("a link cut"),
            Link::Streaming { .. } => self.count("a link cut with effects on their way"),
        }
        self.tell(|| format!("the link of server {n} is cut"));
    }

    /// A replica connects to its primary and goes on where it stands, if that is known there; else it
    /// gets a copy of everything, for which it drops what it has unless it `keeps` that meanwhile.
    pub fn connect(&mut self, n: usize, keeps: bool, random: &mut Random) -> Result<(), String> {
        let Role::Replica(from) = self.nodes[n].role else { return Ok(()) };
        let idle = matches!(self.nodes[n].link, Link::Cut) && self.nodes[n].is_replica();
        if !idle || from == n || !self.nodes[from].is_primary() {
            return Ok(());
        }
        let (at, primary) = (self.nodes[n].at, &self.nodes[from]);
        let same = at.branch == primary.at.branch;
        let before = primary.second.filter(|second| second.branch == at.branch && at.offset <= second.offset);
        let queue = primary.since(at.offset).filter(|_| same || before.is_some());
        let there = primary.at;
        if let Some(queue) = queue {
            self.tell(|| format!("server {n} goes on at {at:?} with server {from} at {there:?}"));
            let now = Position { branch: there.branch, offset: at.offset };
            if self.record.histories.canonical(now) != self.record.histories.canonical(at) {
                return Err(format!("server {n} at {at:?} is told to go on with {there:?}"));
            }
            let node = &mut self.nodes[n];
            if !same {
                node.second = Some(at);
            }
            node.at = now;
            node.link = Link::Streaming { from, queue };
            self.count(if same { "a partial resync" } else { "a partial resync with a new primary" });
            return Ok(());
        }
        self.tell(|| format!("server {n} at {at:?} gets a copy of server {from} at {there:?}"));
        let (snapshot, second) = (self.snapshot(from), self.nodes[from].second);
        let left = 1 + random.below(4);
        let node = &mut self.nodes[n];
        if !keeps {
            node.take(Snapshot { at: NOTHING, chunks: Vec::new() }, None)?;
        }
        node.link = Link::Copying { from, snapshot, left, second, behind: VecDeque::new() };
        self.look(n)
    }

    pub fn promote(&mut self, n: usize) -> Result<(), String> {
        if !self.nodes[n].is_replica() || self.handing.is_some() {
            return Ok(());
        }
        let (mine, theirs) = (self.nodes[n].at, self.nodes[self.official].at);
        let lost = theirs.offset - self.record.histories.common(mine, theirs);
        (0..lost).for_each(|_| self.count("a write lost by a failover"));
        if lost > 0 {
            self.count("a failover that lost writes");
        }
        if matches!(self.nodes[n].link, Link::Copying { .. }) {
            self.count("a promotion in the middle of a full resync");
        }
        self.tell(|| format!("server {n} at {mine:?} is made the primary"));
        self.count("a failover");
        self.take_over(n)
    }

    pub fn take_over(&mut self, n: usize) -> Result<(), String> {
        let now = self.now;
        let node = &mut self.nodes[n];
        node.role = Role::Primary;
        node.link = Link::Cut;
        let time = node.clock.read(now);
        node.clock.grace(time);
        self.branch_off(n);
        self.official = n;
        self.look(n)
    }

    /// A server is told who the primary is.
    pub fn follow(&mut self, n: usize, random: &mut Random) -> Result<(), String> {
        let official = self.official;
        let node = &mut self.nodes[n];
        if n == official || node.power != Power::Up || node.role == Role::Replica(official) {
            return Ok(());
        }
        let demoted = node.role == Role::Primary;
        node.role = Role::Replica(official);
        node.link = Link::Cut;
        node.paused = false;
        self.tell(|| format!("server {n} follows server {official}"));
        if demoted {
            self.cut_from(n);
            self.count("a primary that was demoted");
            self.send_waiting_away(n);
        }
        self.empty_inbox(n, random)
    }

    pub fn hand_over(&mut self, n: usize) {
        let primary = self.official;
        let streams = matches!(self.nodes[n].link, Link::Streaming { from, .. } if from == primary);
        if self.handing.is_none() && self.nodes[primary].is_primary() && self.nodes[n].is_replica() && streams
        {
            self.tell(|| format!("server {primary} begins to hand over to server {n}"));
            self.nodes[primary].paused = true;
            self.handing = Some(n);
        }
    }

    /// The replica takes over if it can get all there is; else nothing has happened.
    pub fn handed_over(&mut self, random: &mut Random) -> Result<(), String> {
        let (Some(n), primary) = (self.handing.take(), self.official) else { return Ok(()) };
        let streams = matches!(self.nodes[n].link, Link::Streaming { from, .. } if from == primary);
        let able = self.nodes[n].is_replica() && streams && self.nodes[primary].power == Power::Up;
        if able && !random.one_in(5) {
            self.deliver(n, u64::MAX, random)?;
            let (must, stands) = (self.nodes[primary].at, self.nodes[n].at);
            self.keep(must, stands, format!("the handover from server {primary} to server {n}"));
            self.tell(|| format!("server {n} takes over from server {primary}"));
            self.count("a handover");
            self.take_over(n)?;
            return self.follow(primary, random);
        }
        self.tell(|| "the handover is called off".to_owned());
        self.count("a handover called off");
        self.nodes[primary].paused = false;
        match self.nodes[primary].power {
            Power::Up => self.empty_inbox(primary, random),
            _ => Ok(()),
        }
    }
}
