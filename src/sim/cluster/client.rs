//! Clients: who pushes, who works, who looks after it all. Each knows only what it was told.

use super::record::Shape;
use super::request::{About, Answer, Request, task_of, text, words};
use super::shapes;
use crate::sim::random::Random;
use crate::sim::tree::Tree;
use std::rc::Rc;

/// Those who push come first, then those who work, then one who looks after it all.
pub const PUSHERS: usize = 2;
/// See above.
pub const WORKERS: usize = 4;
/// See above.
pub const OPERATOR: usize = PUSHERS + WORKERS;

/// Under which name a client works.
pub fn worker_name(client: usize) -> String {
    format!("w{client}")
}

/// What a client remembers.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// The server that it takes for the primary.
    pub view: usize,
    /// What it asked and got no answer to.
    pub pending: Option<Request>,
    /// Tokens of tasks that it works on.
    pub held: Vec<String>,
    /// Tokens that it had.
    pub old: Vec<String>,
    /// The server at which it waits for a task.
    pub parked: Option<usize>,
    /// Connections that it had.
    pub connections: u64,
}

/// What clients know of each other's work, or could.
pub struct Known<'w> {
    /// Workflows that were pushed, with what was pushed; the latest last.
    pub workflows: &'w [(String, Rc<Shape>)],
    /// Those of them that may have failed.
    pub failed: &'w [String],
    /// How many there are now, about.
    pub crowd: usize,
}

fn numbered(list: &[&str], number: u64) -> Vec<Vec<u8>> {
    [words(list), vec![number.to_string().into_bytes()]].concat()
}

impl Client {
    /// What it asks next; nothing when it rests.
    pub fn next(&mut self, who: usize, random: &mut Random, known: &Known<'_>) -> Option<Request> {
        if let Some(request) = self.pending.take()
            && !random.one_in(4)
        {
            return Some(request);
        }
        match who {
            who if who < PUSHERS => self.push(random, known),
            OPERATOR => look_after(random, known),
            who => self.work(who, random, known),
        }
    }

    fn push(&mut self, random: &mut Random, known: &Known<'_>) -> Option<Request> {
        if known.crowd > 7 {
            return None;
        }
        let mut options = Vec::new();
        let mut plain = true;
        if random.one_in(2) {
            options.extend(words(&["ID", *random.pick(&["o1", "o-2", "3", "o4", "o5", "o6"])]));
            if !random.one_in(3) {
                options.extend(words(&["NX"]));
            }
        }
        if random.one_in(8) {
            options.extend(numbered(&["DELAY"], random.below(400)));
        }
        if random.one_in(12) {
            options.extend(words(&["PAUSED"]));
        }
        if random.one_in(12) {
            options.extend(numbered(&["TIMEOUT"], 1 + random.below(2_000)));
            plain = false;
        }
        if random.one_in(8) {
            options.extend(numbered(&["RETAIN"], random.below(3) * 400));
        }
        if random.one_in(6) {
            options.extend(numbered(&["PRIORITY"], random.below(200)));
        }
        if random.one_in(6) {
            options.extend(words(&["INPUT", "in"]));
        }
        if random.one_in(5) {
            // One with a timeout of its own is not as its definition says.
            options.retain(|_| plain);
            let name = *random.pick(&["d1", "d2"]);
            return Some(Request {
                words: [words(&["WF.START", name]), options].concat(),
                about: About::Nothing,
            });
        }
        let (document, mut shape) = shapes::workflow(random);
        shape.plain &= plain;
        let words = [words(&["WF.PUSH"]), vec![document], options].concat();
        Some(Request { words, about: About::Shape(Rc::new(shape)) })
    }

    fn work(&mut self, who: usize, random: &mut Random, known: &Known<'_>) -> Option<Request> {
        let name = worker_name(who);
        if self.held.is_empty() {
            return match random.below(20) {
                0 => Some(self.recover(&name, random)),
                1..5 => self.late(random),
                5 => None,
                _ => Some(self.claim(&name, random)),
            };
        }
        let place = random.below(self.held.len() as u64) as usize;
        match random.below(40) {
            0..14 => {
                let token = self.held.remove(place);
                let mut list = vec![b"WF.COMPLETE".to_vec(), token.clone().into_bytes()];
                if random.one_in(3) {
                    list.extend(words(&["RESULT", "out"]));
                }
                if random.one_in(4) && !self.held.is_empty() {
                    let other = self.held.remove(0);
                    list.push(other.clone().into_bytes());
                    self.old.push(other);
                } else if random.one_in(10) {
                    list.extend(words(&["SKIP", *random.pick(&["t1", "t2", "t3"])]));
                } else if random.one_in(8) {
                    list.push(token.clone().into_bytes());
                }
                self.old.push(token);
                Some(Request { words: list, about: About::Nothing })
            }
            14..18 => {
                let token = self.held.remove(place);
                let mut list = vec![b"WF.FAIL".to_vec(), token.clone().into_bytes()];
                match random.below(4) {
                    0 => list.extend(words(&["NORETRY"])),
                    1 => list.extend(numbered(&["RETRY"], random.below(300))),
                    2 => list.extend(words(&["ERROR", "no"])),
                    _ => {}
                }
                self.old.push(token);
                Some(Request { words: list, about: About::Nothing })
            }
            18..23 => {
                let mut list = numbered(&["WF.EXTEND"], 1 + random.below(800));
                list.push(self.held[place].clone().into_bytes());
                Some(Request { words: list, about: About::Nothing })
            }
            23..30 => Some(self.claim(&name, random)),
            30..33 => self.late(random),
            33..35 => {
                self.old.append(&mut self.held);
                None
            }
            35 => Some(self.recover(&name, random)),
            36..39 => Some(self.add(place, random, known)),
            _ => None,
        }
    }

    fn claim(&mut self, name: &str, random: &mut Random) -> Request {
        let mut list = words(&["WF.CLAIM", name]);
        if random.one_in(4) {
            list.extend(numbered(&["COUNT"], 1 + random.below(4)));
        }
        if !random.one_in(4) {
            list.extend(numbered(&["LEASE"], 1 + random.below(700)));
        }
        if random.one_in(4) {
            list.extend(words(&["TYPES", "1", *random.pick(&["a", "b"])]));
        }
        if random.one_in(3) {
            list.extend(words(&["BLOCK", "0"]));
        }
        if random.one_in(5) {
            list.extend(words(&["WITHRESULTS"]));
        }
        if random.one_in(12) {
            list.extend(numbered(&["MAXPRIORITY"], random.below(200)));
        }
        Request { words: list, about: About::Nothing }
    }

    fn recover(&mut self, name: &str, random: &mut Random) -> Request {
        self.old.append(&mut self.held);
        let mut list = words(&["WF.RECOVER", name]);
        if random.one_in(2) {
            list.extend(words(&["RESUME"]));
            if random.one_in(2) {
                list.extend(numbered(&["LEASE"], 1 + random.below(500)));
            }
        }
        Request { words: list, about: About::Nothing }
    }

    /// Comes back with a token that it had once.
    fn late(&mut self, random: &mut Random) -> Option<Request> {
        if self.old.is_empty() {
            return None;
        }
        let recent = self.old.len() - self.old.len().min(6);
        let token = random.pick(&self.old[recent..]).clone().into_bytes();
        let mut list = match random.below(4) {
            0 => words(&["WF.FAIL"]),
            1 => numbered(&["WF.EXTEND"], 1 + random.below(500)),
            _ => words(&["WF.COMPLETE"]),
        };
        list.push(token);
        Some(Request { words: list, about: About::Nothing })
    }

    fn add(&mut self, place: usize, random: &mut Random, known: &Known<'_>) -> Request {
        let token = self.held[place].clone();
        let id = task_of(&token).map_or("", |(id, _)| id);
        let shape = known.workflows.iter().rev().find(|(known, _)| known == id);
        let there = shape.map_or(&[][..], |(_, shape)| &shape.tasks);
        let (source, tasks) = shapes::added(random, there);
        let words = vec![b"WF.ADD".to_vec(), token.into_bytes(), source];
        Request { words, about: About::Tasks(Rc::new(tasks)) }
    }

    /// It has an answer, or learns that it gets none.
    pub fn hear(&mut self, request: &Request, answer: &Answer, node: usize) {
        match answer {
            Answer::Reply(reply) => self.take_tasks(request, reply),
            Answer::Waits => self.parked = Some(node),
            Answer::Unknown => {
                // What was not answered is asked again; a claim's tasks come back by themselves.
                if request.name() != "WF.CLAIM" {
                    self.pending = Some(request.clone());
                }
            }
            Answer::Error(_) | Answer::NotHere => {}
        }
    }

    fn take_tasks(&mut self, request: &Request, reply: &Tree) {
        let resumes = request.name() == "WF.RECOVER" && request.words.len() > 2;
        if request.name() == "WF.CLAIM" || resumes {
            self.take(reply);
        }
    }

    /// It is given tasks.
    pub fn take(&mut self, reply: &Tree) {
        for task in reply.elements() {
            if let Some(Tree::Bulk(token)) = task.elements().first() {
                self.held.push(text(token));
            }
        }
    }
}

fn look_after(random: &mut Random, known: &Known<'_>) -> Option<Request> {
    let recent = known.workflows.len() - known.workflows.len().min(8);
    let recent = &known.workflows[recent..];
    let pick = |random: &mut Random| match recent {
        [] => "1".to_owned(),
        _ => random.pick(recent).0.clone(),
    };
    let id = pick(random);
    let of = |list: &[&str]| Some(Request::of(list));
    match random.below(100) {
        0..30 => {
            let waiting: Vec<(&str, &str)> = recent
                .iter()
                .flat_map(|(id, shape)| shape.tasks.iter().map(|task| (id.as_str(), task.name.as_str())))
                .filter(|(_, name)| name.starts_with('s'))
                .collect();
            let (id, name) = *waiting.get(random.below(waiting.len().max(1) as u64) as usize)?;
            if random.one_in(5) {
                of(&["WF.SIGNAL", id, name, "FAIL", "no"])
            } else {
                of(&["WF.SIGNAL", id, name])
            }
        }
        30..37 => of(&["WF.PAUSE", "ID", &id]),
        37..39 => of(&["WF.PAUSE", "TYPE", "a"]),
        39 => of(&["WF.PAUSE", "ALL"]),
        40..52 => of(&["WF.RELEASE", "ID", &id]),
        52..57 => of(&["WF.RELEASE", "TYPE", "a"]),
        57..60 => of(&["WF.RELEASE", "ALL"]),
        60..63 => of(&["WF.CANCEL", &id]),
        63..72 => {
            // All that may have failed, one after the other.
            let ids = recent.iter().map(|(id, _)| id.as_str());
            let failed = ids.filter(|id| known.failed.iter().any(|failed| failed == id)).collect::<Vec<_>>();
            of(&["WF.RETRY", if failed.is_empty() { &id } else { *random.pick(&failed) }])
        }
        72..76 => of(&["WF.DELETE", &id]),
        76..80 => {
            let (setting, most) = *random.pick(&[
                ("default-lease-ms", 500),
                ("default-max-attempts", 3),
                ("retain-completed-ms", 2_000),
                ("retain-count", 4),
            ]);
            let value = (1 + random.below(most)).to_string();
            of(&["WF.CONFIG", "SET", setting, &value])
        }
        80..90 => {
            let (document, shape) = shapes::workflow(random);
            let name = random.pick(&["d1", "d2"]).as_bytes().to_vec();
            let words = vec![b"WF.DEFINE".to_vec(), name, document];
            Some(Request { words, about: About::Shape(Rc::new(shape)) })
        }
        90..92 => of(&["WF.GET", &id, "TASKS"]),
        92..94 => of(&["WF.WHY", &id]),
        94 => of(&[*random.pick(&["WF.STATS", "WF.LIST", "WF.DEFINITIONS", "WF.WORKERS"])]),
        place => {
            let list: &[&str] = match place {
                95 => &["COPY"],
                96 | 97 => &["DUMP"],
                98 if random.one_in(3) => &["DEL"],
                _ => &["RESTORE"],
            };
            Some(Request { words: words(list), about: About::Key })
        }
    }
}
