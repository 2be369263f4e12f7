//! What happened in runs, so that a test can see that it tested something.

mod wanted;

use super::model::{Answer, Model, State};
use super::runner::Counts;
use super::step::Act;
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
    /// Entries of the stream of events, by event.
    pub entries: BTreeMap<&'static str, u64>,
    /// Whatever else happened, by what it is.
    pub happenings: BTreeMap<String, u64>,
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
            ("WF.DEFINITIONS", tree) => {
                self.count(name, if tree.elements().is_empty() { "empty" } else { "definitions" });
            }
            ("WF.WORKERS", tree) => {
                self.count(name, if tree.elements().is_empty() { "empty" } else { "workers" });
            }
            ("WF.WHY", tree @ Tree::Map(_)) => match tree.field("reason") {
                Some(Tree::Bulk(reason)) => self.count(name, &String::from_utf8_lossy(reason)),
                _ => self.count(name, "workflow"),
            },
            ("WF.ADD", Tree::Int(-1)) => self.count(name, "-1"),
            ("WF.RETRY" | "WF.SIGNAL", &Tree::Int(code)) => self.count(name, &code.to_string()),
            (_, Tree::Int(0)) => self.count(name, "0"),
            (_, Tree::Int(_)) => self.count(name, "n"),
            (_, Tree::Null) => self.count(name, "nil"),
            ("WF.GET", tree @ Tree::Map(_)) if tree.field("next").is_some() => {
                self.count(name, "map with a page")
            }
            (_, tree @ Tree::Map(_))
                if tree.field("tasks").is_some_and(|tasks| !tasks.elements().is_empty()) =>
            {
                self.count(name, "map with tasks")
            }
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

    /// Counts an entry of the stream of events.
    pub fn entry(&mut self, event: &'static str) {
        *self.entries.entry(event).or_default() += 1;
    }

    /// Counts what happened in a command.
    pub fn happened(&mut self, model: &Model) {
        model.happened.iter().for_each(|what| self.happening((*what).to_owned()));
    }

    /// Counts a listing.
    pub fn listed(&mut self, what: &str) {
        self.happening(format!("a listing: {what}"));
    }

    /// Counts what the servers are disturbed in.
    pub fn disturbed(&mut self, act: &Act, model: &Model) {
        let Some(act) = wanted::disturbance(act) else { return };
        let mut waits = Vec::new();
        for workflow in &model.workflows {
            waits.extend(
                (workflow.is_live() && workflow.deadline.is_some()).then_some("a workflow with a deadline"),
            );
            waits.extend(workflow.finished.map(|_| "a finished workflow"));
            waits.extend(
                (workflow.is_live() && workflow.has_failed_task()).then_some("a workflow that runs again"),
            );
            waits.extend(workflow.grown.then_some("a workflow that grew"));
            waits.extend(workflow.timed_out.then_some("a timed-out workflow"));
            for task in &workflow.tasks {
                waits.extend(match task.state {
                    State::Delayed if task.attempts > 0 => Some("a backoff"),
                    State::Delayed => Some("a delay"),
                    State::Ready if task.signal_due().is_some() => Some("a signal with a timeout"),
                    State::Ready if task.signal => Some("a signal"),
                    State::Ready if task.spent => Some("a retry that is ready"),
                    State::Running if task.options.timeout_ms.is_some() => Some("an attempt with a timeout"),
                    State::Running if task.failures > 0 => Some("another attempt"),
                    State::Running if task.lost > 0 => Some("another delivery"),
                    _ => None,
                });
            }
        }
        waits.extend((!model.config.is_empty()).then_some("a setting of its own"));
        let started = model.definitions.values().any(|definition| definition.started > 0);
        waits.extend(started.then_some("a definition that was started"));
        waits.extend(model.stream.as_ref().map(|_| "a stream of events"));
        waits.sort_unstable();
        waits.dedup();
        waits.into_iter().for_each(|wait| self.happening(format!("{act} during {wait}")));
    }

    /// Counts what became of a client that waited for workflows.
    pub fn waited(&mut self, what: &str) {
        self.happening(format!("a wait: {what}"));
    }

    fn happening(&mut self, what: String) {
        *self.happenings.entry(what).or_default() += 1;
    }

    fn count(&mut self, name: &str, answer: &str) {
        *self.answers.entry((name.to_owned(), answer.to_owned())).or_default() += 1;
    }
}

impl Counts for Tally {
    fn add(&mut self, other: &Tally) {
        other
            .commands
            .iter()
            .for_each(|(name, count)| *self.commands.entry(name.clone()).or_default() += count);
        other
            .answers
            .iter()
            .for_each(|(what, count)| *self.answers.entry(what.clone()).or_default() += count);
        let happenings = other.happenings.iter();
        happenings.for_each(|(what, count)| *self.happenings.entry(what.clone()).or_default() += count);
        other.events.iter().for_each(|(name, count)| *self.events.entry(name).or_default() += count);
        other.entries.iter().for_each(|(event, count)| *self.entries.entry(event).or_default() += count);
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

    fn missing(&self) -> Vec<String> {
        self.never_happened()
    }
}

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
        )?;
        let mut happenings: Vec<_> = self.happenings.iter().map(|(what, count)| (count, what)).collect();
        happenings.sort_unstable();
        let rarest: Vec<_> =
            happenings.iter().take(6).map(|(count, what)| format!("{what} {count}")).collect();
        write!(out, "; rarest: {}", rarest.join(", "))
    }
}
