//! Servers and what clients ask of them: who answers, what is told of it, and which way effects go.

use super::disk::Frame;
use super::node::{Connection, Power, Role};
use super::primary::{Seens, Turn};
use super::record::{Event, Seen, Verb};
use super::request::{About, Answer, Request, task_of};
use super::step::Fate;
use super::world::{Planted, World};
use crate::sim::random::Random;
use crate::sim::serving::save;
use crate::sim::tree::Tree;
use std::rc::Rc;

impl World {
    /// A client asks a server.
    pub fn ask(
        &mut self,
        n: usize,
        who: usize,
        request: &Request,
        fate: Fate,
        random: &mut Random,
    ) -> Result<Answer, String> {
        let connection = self.connection(who);
        let node = &mut self.nodes[n];
        let answer = match node.power {
            Power::Down => Answer::NotHere,
            _ if fate == Fate::Unsent => {
                self.tally.count("a request that never arrived");
                Answer::Unknown
            }
            // It lies there until the server goes on; nobody waits for the answer.
            Power::Frozen => {
                node.inbox.push((connection, request.clone()));
                Answer::Unknown
            }
            Power::Up if node.role != Role::Primary && request.only_looks() => {
                self.tally.count("a look at a replica");
                self.serve(n, connection, request, Fate::Answered, random)?
            }
            Power::Up if node.paused => {
                node.inbox.push((connection, request.clone()));
                Answer::Unknown
            }
            Power::Up if node.role != Role::Primary => Answer::NotHere,
            Power::Up => self.serve(n, connection, request, fate, random)?,
        };
        if matches!(answer, Answer::Unknown) {
            self.clients[who].connections += 1;
        }
        self.tell(|| {
            let words: Vec<String> =
                request.words.iter().map(|word| word.escape_ascii().to_string()).collect();
            format!("client {who} to server {n}: {} -> {answer:?} ({fate:?})", words.join(" "))
        });
        Ok(answer)
    }

    /// A primary carries a request out.
    pub fn serve(
        &mut self,
        n: usize,
        who: Connection,
        request: &Request,
        fate: Fate,
        random: &mut Random,
    ) -> Result<Answer, String> {
        let (before, length) = (self.nodes[n].at, self.nodes[n].disk.len());
        let answer = match &request.about {
            About::Key => self.key_command(n, request)?,
            _ => {
                let bits = self.nonces(n, random);
                let mut turn = Turn::begin(&mut self.nodes[n], &self.settings, self.now, bits);
                let answer = turn.command(who, request);
                let (frame, seen, happened) = turn.end();
                self.happen(n, Some(who), frame, seen, happened);
                answer
            }
        };
        self.tally.answer(request, &answer);
        self.look(n)?;
        match fate {
            Fate::Answered | Fate::Unsent => {
                self.nodes[n].settle(self.always);
                self.note_split(n, &answer);
                Ok(answer)
            }
            Fate::Unheard => {
                self.nodes[n].settle(self.always);
                let changed = self.nodes[n].at != before;
                self.count(if changed {
                    "an unknown answer that had taken effect"
                } else {
                    "an unknown answer"
                });
                // Its connection is gone, and with it the wait.
                self.nodes[n].unpark(who);
                Ok(Answer::Unknown)
            }
            Fate::Dies => {
                let wrote = self.nodes[n].disk.len() - length;
                let left = random.below(wrote as u64 + 1) as usize;
                self.count(if left < wrote {
                    "a process that died in a write"
                } else {
                    "a process that died before it answered"
                });
                if left < wrote && random.one_in(2) {
                    self.nodes
                        .iter_mut()
                        .filter(|node| node.link.from() == Some(n))
                        .for_each(|node| node.link.unsend());
                }
                self.nodes[n].disk.stop(length, Some(left));
                self.nodes[n].must = self.nodes[n].written;
                self.go_down(n);
                Ok(Answer::Unknown)
            }
        }
    }

    /// Somebody was answered by a primary that is none any more for those who decide it.
    fn note_split(&mut self, n: usize, answer: &Answer) {
        if n != self.official && matches!(answer, Answer::Reply(_)) {
            self.count("an answer by a second primary");
        }
    }

    /// Where the nonces of a turn come from.
    pub fn nonces(&self, n: usize, random: &mut Random) -> u64 {
        let bits = random.bits();
        match self.planted {
            // A generator that is seeded alike, and goes on by the effect.
            Some(Planted::SameNonces) => self.nodes[n].at.offset,
            _ => bits,
        }
    }

    /// What a turn did reaches the file, the replicas and the record.
    pub fn happen(
        &mut self,
        n: usize,
        who: Option<Connection>,
        frame: Frame,
        seen: Seens,
        happened: Vec<&'static str>,
    ) {
        happened.into_iter().for_each(|what| self.tally.count(what));
        if !frame.is_empty() {
            self.log(n, [vec![b"WF.APPLY".to_vec()], frame].concat());
        }
        let clock = self.nodes[n].clock.read(self.now);
        let at = self.nodes[n].at;
        for (client, seen) in seen {
            if let Some(served) = client.filter(|client| Some(*client) != who)
                && let Seen::Handed(handed) = &seen
                && self.connection(served.client) == served
            {
                self.clients[served.client].held.push(handed.token.clone());
            }
            self.learn(&seen);
            self.record.events.push(Event { at, clock, seen });
        }
        for client in 0..self.clients.len() {
            if self.clients[client].parked == Some(n) && !self.nodes[n].waits(self.connection(client)) {
                self.clients[client].parked = None;
            }
        }
    }

    pub fn learn(&mut self, seen: &Seen) {
        self.tally.seen(seen);
        match seen {
            Seen::Handed(handed) if handed.attempt == 1 => {
                let task = task_of(&handed.token);
                let shape = |id| self.known.iter().rev().find(|(known, _)| known == id);
                let task = task.and_then(|(id, index)| shape(id)?.1.tasks.get(index));
                if task.is_some_and(|task| task.parents.len() > 1) {
                    self.count("a join that fired");
                }
            }
            Seen::Pushed { id, shape } => self.known.push((id.clone(), shape.clone())),
            Seen::Defined { name, shape } => drop(self.definitions.insert(name.clone(), shape.clone())),
            Seen::Started { id, name } => {
                self.known.extend(self.definitions.get(name).map(|shape| (id.clone(), shape.clone())));
            }
            Seen::Settled { verb: Verb::Fail, code: 1, token } => {
                self.failed.extend(task_of(token).map(|(id, _)| id.to_owned()));
            }
            Seen::Added { token, tasks } => {
                let Some((id, _)) = task_of(token) else { return };
                if let Some((_, shape)) = self.known.iter_mut().rev().find(|(known, _)| known == id) {
                    Rc::make_mut(shape).tasks.extend(tasks.iter().cloned());
                }
            }
            _ => {}
        }
    }

    /// An effect goes its ways.
    pub fn log(&mut self, n: usize, frame: Frame) {
        self.nodes[n].log(&frame);
        self.count("an effect");
        for node in self.nodes.iter_mut().filter(|node| node.link.from() == Some(n)) {
            node.link.send(&frame);
        }
    }

    /// A command on the key as a whole, which is the server's and not the module's.
    fn key_command(&mut self, n: usize, request: &Request) -> Result<Answer, String> {
        let node = &mut self.nodes[n];
        let Some(space) = &node.key else { return Ok(Answer::Error("ERR")) };
        let (frame, seen) = match request.name() {
            "DEL" => (vec![b"DEL".to_vec()], Seen::Dropped),
            "COPY" => (vec![b"COPY".to_vec()], Seen::Copied),
            "DUMP" => {
                self.dump = Some((self.record.histories.canonical(node.at), save(space)));
                (Frame::new(), Seen::Dumped)
            }
            _ => {
                let histories = &self.record.histories;
                let dump = self.dump.as_ref().filter(|(from, _)| histories.has_been(node.at, *from));
                let Some((from, chunks)) = dump else { return Ok(Answer::Error("ERR")) };
                ([vec![b"RESTORE".to_vec()], chunks.clone()].concat(), Seen::Restored { from: *from })
            }
        };
        if !frame.is_empty() {
            node.carry_out(&frame, self.now)?;
            node.moved = 0;
            node.deferred = true;
            self.log(n, frame);
        }
        let (at, clock) = (self.nodes[n].at, self.nodes[n].clock.read(self.now));
        let at = if let Seen::Dumped = seen { self.record.histories.canonical(at) } else { at };
        self.tally.seen(&seen);
        self.record.events.push(Event { at, clock, seen });
        Ok(Answer::Reply(Tree::Int(1)))
    }

    /// A server's timer.
    pub fn timer(&mut self, n: usize, random: &mut Random) -> Result<(), String> {
        if !self.nodes[n].may_work() {
            if self.nodes[n].is_replica() {
                // The primary moves what is to be moved.
                self.nodes[n].clock.forget_ahead();
                if self.planted == Some(Planted::OwnClock) {
                    self.nodes[n].role = Role::Primary;
                    let mut turn = Turn::begin(&mut self.nodes[n], &self.settings, self.now, 0);
                    turn.sweep();
                    turn.end();
                    self.nodes[n].role = Role::Replica(self.official);
                    return self.look(n);
                }
            }
            return Ok(());
        }
        let bits = self.nonces(n, random);
        let mut turn = Turn::begin(&mut self.nodes[n], &self.settings, self.now, bits);
        turn.sweep();
        let (frame, seen, happened) = turn.end();
        self.tell(|| format!("the timer of server {n}: {} words of effects", frame.len()));
        self.happen(n, None, frame, seen, happened);
        self.nodes[n].clock.forget_ahead();
        self.look(n)?;
        self.nodes[n].settle(self.always);
        Ok(())
    }
}
