//! What happened in runs, so that a test can see that it tested something.

use super::model::Answer;
use super::tree::Tree;
use std::collections::BTreeMap;
use std::fmt;

/// The counts.
#[derive(Debug, Default)]
pub struct Tally {
    /// Steps of any kind.
    pub steps: u64,
    /// Calls, by command.
    pub commands: BTreeMap<String, u64>,
    /// Answers worth counting, by command and answer: codes, errors, emptiness.
    pub answers: BTreeMap<(String, String), u64>,
    /// Announcements, by name.
    pub events: BTreeMap<&'static str, u64>,
    /// Leases that ran out.
    pub expired: u64,
    /// Waiting clients that got tasks.
    pub served: u64,
    /// Spaces saved and loaded.
    pub reloads: u64,
    /// Files rewritten.
    pub rewrites: u64,
    /// Files replayed.
    pub replays: u64,
    /// Keys copied.
    pub copies: u64,
    /// Replicas promoted.
    pub failovers: u64,
    /// Stray effects carried out, and refused.
    pub stray: [u64; 2],
    /// Damaged files loaded, and refused.
    pub corrupt: [u64; 2],
    /// Claimed tasks.
    pub claimed: u64,
    /// Steps that left effects and no difference in the digest.
    pub idle_effects: u64,
}

impl Tally {
    /// Counts an answer to a command.
    pub fn answer(&mut self, name: &str, answer: &Answer) {
        *self.commands.entry(name.to_owned()).or_default() += 1;
        let tree = match answer {
            Answer::Error(word) => return self.count(name, word),
            Answer::Blocks => return self.count(name, "blocks"),
            Answer::Reply(tree) => tree,
        };
        match (name, tree) {
            ("WF.COMPLETE" | "WF.FAIL" | "WF.EXTEND", tree) => {
                tree.integers().into_iter().for_each(|code| self.count(name, &code.to_string()));
            }
            ("WF.CLAIM" | "WF.RECOVER", Tree::Array(tasks)) => {
                self.claimed += tasks.len() as u64;
                let size = match &tasks[..] {
                    [] => "empty",
                    [Tree::Bulk(_), ..] => "tokens",
                    [Tree::Array(fields), ..] if fields.len() == 9 => "with results",
                    _ => "tasks",
                };
                self.count(name, size);
            }
            (_, Tree::Int(0)) => self.count(name, "0"),
            (_, Tree::Int(_)) => self.count(name, "n"),
            (_, Tree::Null) => self.count(name, "nil"),
            (_, Tree::Map(fields)) if fields.len() == 10 => self.count(name, "map with tasks"),
            (_, Tree::Map(_)) => self.count(name, "map"),
            _ => self.count(name, "ok"),
        }
    }

    /// Counts an error.
    pub fn error(&mut self, name: &str, word: &str) {
        self.count(name, word);
    }

    /// Counts an announcement.
    pub fn event(&mut self, name: &'static str) {
        *self.events.entry(name).or_default() += 1;
    }

    fn count(&mut self, name: &str, answer: &str) {
        *self.answers.entry((name.to_owned(), answer.to_owned())).or_default() += 1;
    }

    /// Adds another tally to this one.
    pub fn add(&mut self, other: &Tally) {
        other
            .commands
            .iter()
            .for_each(|(name, count)| *self.commands.entry(name.clone()).or_default() += count);
        other
            .answers
            .iter()
            .for_each(|(what, count)| *self.answers.entry(what.clone()).or_default() += count);
        other.events.iter().for_each(|(name, count)| *self.events.entry(name).or_default() += count);
        for (total, part) in [
            (&mut self.steps, other.steps),
            (&mut self.expired, other.expired),
            (&mut self.served, other.served),
            (&mut self.reloads, other.reloads),
            (&mut self.rewrites, other.rewrites),
            (&mut self.replays, other.replays),
            (&mut self.copies, other.copies),
            (&mut self.failovers, other.failovers),
            (&mut self.claimed, other.claimed),
            (&mut self.idle_effects, other.idle_effects),
        ] {
            *total += part;
        }
        for place in 0..2 {
            self.stray[place] += other.stray[place];
            self.corrupt[place] += other.corrupt[place];
        }
    }

    /// What of the contract never happened.
    pub fn missing(&self) -> Vec<String> {
        let answers =
            WANTED.iter().flat_map(|(name, answers)| answers.iter().map(move |answer| (*name, *answer)));
        let answers = answers
            .filter(|(name, answer)| !self.answers.contains_key(&((*name).to_owned(), (*answer).to_owned())));
        let events = crate::engine::report::Event::ALL.into_iter().map(|event| event.name());
        let events = events.filter(|event| !self.events.contains_key(event));
        let mut missing: Vec<String> = answers.map(|(name, answer)| format!("{name} -> {answer}")).collect();
        missing.extend(events.map(str::to_owned));
        for (what, count) in [
            ("an expired lease", self.expired),
            ("a waiting client that was served", self.served),
            ("a reload", self.reloads),
            ("a rewrite", self.rewrites),
            ("a replay", self.replays),
            ("a copy", self.copies),
            ("a failover", self.failovers),
            ("stray effects that were refused", self.stray[1]),
            ("a damaged file that was refused", self.corrupt[1]),
        ] {
            if count == 0 {
                missing.push(what.to_owned());
            }
        }
        missing
    }
}

/// Every command, and every kind of answer that the contract gives it.
const WANTED: &[(&str, &[&str])] = &[
    ("WF.PUSH", &["ok", "nil", "INVALID", "EXISTS", "LIMIT", "ERR", "WRONGTYPE"]),
    ("WF.CLAIM", &["tasks", "with results", "empty", "blocks", "ERR", "WRONGTYPE"]),
    ("WF.COMPLETE", &["1", "2", "0", "-1", "ERR", "LIMIT", "WRONGTYPE"]),
    ("WF.FAIL", &["1", "0", "-1", "ERR", "LIMIT", "WRONGTYPE"]),
    ("WF.EXTEND", &["1", "2", "0", "-1", "ERR", "WRONGTYPE"]),
    ("WF.PAUSE", &["n", "0", "ERR", "LIMIT", "WRONGTYPE"]),
    ("WF.RELEASE", &["n", "0", "ERR", "WRONGTYPE"]),
    ("WF.RECOVER", &["tokens", "tasks", "empty", "ERR", "WRONGTYPE"]),
    ("WF.GET", &["map", "map with tasks", "nil", "ERR", "WRONGTYPE"]),
    ("WF.DELETE", &["n", "0", "WRONGTYPE"]),
    ("WF.STATS", &["map", "nil", "ERR", "WRONGTYPE"]),
    ("WF.APPLY", &["ERR"]),
];

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count =
            |name: &str, answer: &str| self.answers.get(&(name.to_owned(), answer.to_owned())).unwrap_or(&0);
        write!(out, "{} steps (", self.steps)?;
        for (place, (name, count)) in self.commands.iter().enumerate() {
            write!(out, "{}{} {count}", if place > 0 { ", " } else { "" }, name.trim_start_matches("WF."))?;
        }
        write!(
            out,
            "), {} tasks handed out, {} completed, {} failed, {} leases ran out, {} waiting clients served, \
             {} reloads, {} failovers, {} rewrites, {} replays, {} copies, {} effects without a difference, \
             stray effects {} carried out and {} refused, damaged files {} loaded and {} refused",
            self.claimed,
            count("WF.COMPLETE", "1"),
            count("WF.FAIL", "1"),
            self.expired,
            self.served,
            self.reloads,
            self.failovers,
            self.rewrites,
            self.replays,
            self.copies,
            self.idle_effects,
            self.stray[0],
            self.stray[1],
            self.corrupt[0],
            self.corrupt[1],
        )
    }
}
