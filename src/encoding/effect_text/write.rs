//! From effects to arguments.

use super::shape::write_shape;
use super::{escape, write_nonce};
use crate::engine::effect::{
    Add, Cause, Content, Define, Effect, Lease, Push, SignalEnd, Target, Terms, Told,
};
use crate::engine::ids::{Id, write_integer};
use crate::engine::shape::Checked;
use crate::engine::space::Space;
use crate::engine::units::{Millis, TaskRef};
use std::ops::Range;

/// The arguments of one `WF.APPLY` after the key, in one buffer that is reused.
#[derive(Debug, Default)]
pub struct EffectLog {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// What the last argument lists, so that more of the same can go on with it.
    open: Option<Listing>,
}

/// A list that the next effect may go on with: same kind, same time, same deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Listing {
    kind: &'static str,
    now: Option<Millis>,
    deadline: Option<Millis>,
}

impl EffectLog {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.open = None;
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<usize>()
    }

    /// Number of arguments.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when nothing happened.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The arguments.
    pub fn args(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).map(|at| {
            let start = if at == 0 { 0 } else { self.ends[at - 1] };
            &self.bytes[start..self.ends[at]]
        })
    }

    /// Adds an effect that is about to be applied to `space`.
    pub fn append(&mut self, space: &Space, effect: &Effect<'_>) {
        match *effect {
            Effect::Push(Push { ref terms, ref content }) => {
                self.arg(b"push");
                self.terms(terms, content.new.is_some());
                self.arg(content.name);
                self.arg(terms.input.unwrap_or_default());
                self.content(space, content);
            }
            Effect::Start { definition, ref terms } => {
                self.arg(b"start");
                self.arg(definition);
                self.terms(terms, false);
                self.arg(terms.input.unwrap_or_default());
            }
            Effect::Define(ref define) => self.define(space, define),
            Effect::Undefine { definition } => {
                self.item(Listing { kind: "undefine", now: None, deadline: None });
                escape(definition, &mut self.bytes);
            }
            Effect::Add(ref add) => self.add(space, add),
            Effect::Claim(ref lease) => self.lease("claim", space, lease),
            Effect::Resume(ref lease) => self.lease("resume", space, lease),
            Effect::Complete { now, task, result, skipped: skipped @ [_, ..], .. } => {
                self.arg(b"choose");
                self.number_arg(now.0);
                self.open_arg();
                self.task_with(space, task, result);
                self.seal_last();
                self.arg_with(|bytes| {
                    for (place, child) in skipped.iter().enumerate() {
                        bytes.extend((place > 0).then_some(b' '));
                        write_integer(u64::from(child.0), bytes);
                    }
                });
            }
            Effect::Complete { now, task, result, skipped: [], frees } => {
                let kind = if frees { "done" } else { "complete" };
                self.item(Listing { kind, now: Some(now), deadline: None });
                self.task_with(space, task, result);
            }
            Effect::Fail { now, task, error, cause } => {
                self.item(Listing { kind: fail_word(cause), now: Some(now), deadline: None });
                self.task_with(space, task, error);
            }
            Effect::Signal { now, task, end } => {
                let (kind, text) = match end {
                    SignalEnd::Completed(result) => ("signal", result),
                    SignalEnd::Failed(error) => ("signal-fail", error),
                    SignalEnd::TimedOut(error) => ("signal-timeout", error),
                };
                self.item(Listing { kind, now: Some(now), deadline: None });
                self.task_with(space, task, text);
            }
            Effect::Retry { now, task, due, error, cause } => {
                self.timed_item(retry_word(cause), Some(now), due);
                self.task_with(space, task, error);
            }
            Effect::Due { now, task } => {
                self.item(Listing { kind: "due", now: Some(now), deadline: None });
                self.task_with(space, task, None);
            }
            Effect::TimeOut { now, slot } => {
                self.item(Listing { kind: "deadline", now: Some(now), deadline: None });
                self.id(space.id_of(slot));
            }
            Effect::Expire { now, task } => {
                self.item(Listing { kind: "expire", now: Some(now), deadline: None });
                self.task_with(space, task, None);
            }
            Effect::Recover { now, task } => {
                self.item(Listing { kind: "recover", now: Some(now), deadline: None });
                self.task_with(space, task, None);
            }
            Effect::Extend { task, deadline } => {
                self.timed_item("extend", None, deadline);
                self.task_with(space, task, None);
            }
            Effect::Delete { slot } => {
                self.item(Listing { kind: "delete", now: None, deadline: None });
                self.id(space.id_of(slot));
            }
            Effect::Cancel { now, slot, reason } => {
                self.item(Listing { kind: "cancel", now: Some(now), deadline: None });
                self.id(space.id_of(slot));
                self.text(reason);
            }
            Effect::Rerun { now, slot, task } => {
                self.arg(b"rerun");
                self.number_arg(now.0);
                self.open_arg();
                self.id(space.id_of(slot));
                self.seal_last();
                self.arg_with(|bytes| match task {
                    Some(task) => write_integer(u64::from(task.0), bytes),
                    None => bytes.push(b'-'),
                });
            }
            Effect::Shift { from, by } => {
                self.arg(b"shift");
                self.number_arg(from.0);
                self.number_arg(by);
            }
            Effect::Configure { setting, value } => {
                self.arg(b"config");
                self.arg(setting.name.as_bytes());
                self.arg_with(|bytes| match value {
                    Some(value) => write_integer(value, bytes),
                    None => bytes.extend_from_slice(b"default"),
                });
            }
            Effect::Stream { key } => {
                self.arg(b"events");
                self.arg(key.unwrap_or_default());
            }
            Effect::Pause { target } => {
                self.arg(b"pause");
                self.target(space, target);
            }
            Effect::Release { now, target } => {
                self.arg(b"release");
                self.number_arg(now.0);
                self.target(space, target);
            }
        }
        self.seal_last();
    }

    /// Id, time, priority and flags.
    fn terms(&mut self, terms: &Terms<'_>, new: bool) {
        self.arg_with(|bytes| terms.id.write(bytes));
        self.number_arg(terms.now.0);
        self.number_arg(u64::from(terms.priority));
        self.arg_with(|bytes| {
            let flags = [(terms.paused, b'p'), (terms.input.is_some(), b'i'), (new, b'n')];
            let set = flags.into_iter().filter(|flag| flag.0).map(|flag| flag.1);
            let start = bytes.len();
            bytes.extend(set);
            if let Some(due) = terms.delayed_until {
                bytes.push(b'd');
                write_integer(due.0, bytes);
            }
            if let Some(timeout) = terms.timeout {
                bytes.push(b't');
                write_integer(timeout.deadline.0, bytes);
                bytes.push(b':');
                write_integer(timeout.after_ms, bytes);
            }
            if let Some(retain) = terms.retain_ms {
                bytes.push(b'r');
                write_integer(retain, bytes);
            }
            if bytes.len() == start {
                bytes.push(b'-');
            }
        });
    }

    /// Blueprint, shape and payloads.
    fn content(&mut self, space: &Space, content: &Content<'_>) {
        self.number_arg(u64::from(content.blueprint.0));
        debug_assert!(content.new.is_some() || space.blueprints().contains(content.blueprint));
        self.tasks(content.new, 0, content.payloads, content.told);
    }

    /// A shape from the `first` task on, if it is new, and payloads.
    fn tasks(&mut self, new: Option<&Checked>, first: usize, payloads: &[&[u8]], told: Option<Told<'_>>) {
        self.arg_with(|bytes| match (new, told) {
            (None, _) => {}
            (Some(_), Some(told)) => bytes.extend_from_slice(told.shape),
            (Some(new), None) => {
                write_shape(&new.shape, first, |task| &new.types[new.shape.type_of(task)], bytes);
            }
        });
        self.arg_with(|bytes| match told {
            Some(told) => bytes.extend_from_slice(told.payloads),
            None => write_payloads(payloads.iter().copied(), bytes, |_| {}),
        });
    }

    fn add(&mut self, space: &Space, add: &Add<'_>) {
        self.arg(b"add");
        self.number_arg(add.now.0);
        self.open_arg();
        self.task_with(space, add.task, None);
        self.seal_last();
        self.number_arg(u64::from(add.blueprint.0));
        let first = space.workflow(add.task.slot).1.shape.len();
        self.tasks(add.new, first, add.payloads, add.told);
    }

    fn define(&mut self, space: &Space, define: &Define<'_>) {
        let &Define { name, version, now, priority, timeout_ms, ref content } = define;
        self.arg(b"define");
        self.arg(name);
        self.number_arg(version);
        self.number_arg(now.0);
        for number in [priority.map(u64::from), timeout_ms] {
            self.arg_with(|bytes| match number {
                Some(number) => write_integer(number, bytes),
                None => bytes.push(b'-'),
            });
        }
        self.arg(content.name);
        self.content(space, content);
    }

    fn lease(&mut self, kind: &'static str, space: &Space, lease: &Lease<'_>) {
        self.arg(kind.as_bytes());
        self.arg(lease.worker);
        self.number_arg(lease.now.0);
        self.open_arg();
        let mut deadline = None;
        for (place, grant) in lease.grants.iter().enumerate() {
            if place > 0 {
                self.bytes.push(b' ');
            }
            if deadline != Some(grant.deadline) {
                deadline = Some(grant.deadline);
                self.number(grant.deadline.0);
                self.bytes.push(b' ');
            }
            self.task_with(space, grant.task, None);
            self.bytes.push(b'-');
            write_nonce(grant.nonce, &mut self.bytes);
        }
    }

    fn target(&mut self, space: &Space, target: Target<'_>) {
        match target {
            Target::Workflow(slot) => {
                self.arg(b"workflow");
                self.open_arg();
                self.id(space.id_of(slot));
            }
            Target::Type(name) => {
                self.arg(b"type");
                self.open_arg();
                escape(name, &mut self.bytes);
            }
            Target::All => {
                self.arg(b"all");
                self.arg(b"-");
            }
        }
    }

    /// Begins an item: goes on with the open list, or opens one.
    fn item(&mut self, listing: Listing) {
        if self.open == Some(listing) {
            self.bytes.push(b' ');
            return;
        }
        self.arg(listing.kind.as_bytes());
        if let Some(now) = listing.now {
            self.number_arg(now.0);
        }
        self.open_arg();
        self.open = Some(listing);
    }

    /// Begins an item in a list where a time stands before the tasks that it holds for.
    fn timed_item(&mut self, kind: &'static str, now: Option<Millis>, time: Millis) {
        let listing = Listing { kind, now, deadline: None };
        let same = self.open.filter(|open| Listing { deadline: None, ..*open } == listing);
        self.open = same.map(|_| listing);
        self.item(listing);
        if same.and_then(|open| open.deadline) != Some(time) {
            self.number(time.0);
            self.bytes.push(b' ');
        }
        self.open = Some(Listing { deadline: Some(time), ..listing });
    }

    fn task_with(&mut self, space: &Space, task: TaskRef, text: Option<&[u8]>) {
        self.id(space.id_of(task.slot));
        self.bytes.push(b'-');
        self.number(u64::from(task.index.0));
        self.text(text);
    }

    /// The text that a task or a workflow was left with.
    fn text(&mut self, text: Option<&[u8]>) {
        if let Some(text) = text {
            self.bytes.push(b'=');
            self.number(text.len() as u64);
            self.bytes.push(b':');
            self.bytes.extend_from_slice(text);
        }
    }

    fn id(&mut self, id: Id<'_>) {
        match id {
            Id::Integer(id) => self.number(id),
            Id::Text(text) => escape(text, &mut self.bytes),
        }
    }

    fn number(&mut self, number: u64) {
        write_integer(number, &mut self.bytes);
    }

    fn number_arg(&mut self, number: u64) {
        self.arg_with(|bytes| write_integer(number, bytes));
    }

    fn arg(&mut self, bytes: &[u8]) {
        self.arg_with(|out| out.extend_from_slice(bytes));
    }

    fn arg_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.open_arg();
        write(&mut self.bytes);
        self.seal_last();
    }

    fn open_arg(&mut self) {
        self.open = None;
        self.ends.push(self.bytes.len());
    }

    fn seal_last(&mut self) {
        *self.ends.last_mut().expect("an argument was begun") = self.bytes.len();
    }
}

fn fail_word(cause: Cause) -> &'static str {
    match cause {
        Cause::Reported => "fail",
        Cause::TimedOut => "timeout",
        Cause::Expired => "poison",
        Cause::Recovered => "poison-recovered",
    }
}

fn retry_word(cause: Cause) -> &'static str {
    match cause {
        Cause::TimedOut => "retry-timeout",
        Cause::Reported | Cause::Expired | Cause::Recovered => "retry",
    }
}

/// Payloads, each with its length in front, and for each the place where it stands.
pub fn write_payloads<'p>(
    payloads: impl Iterator<Item = &'p [u8]>,
    out: &mut Vec<u8>,
    mut at: impl FnMut(Range<u32>),
) {
    let start = out.len();
    for payload in payloads {
        write_integer(payload.len() as u64, out);
        out.push(b':');
        let from = (out.len() - start) as u32;
        at(from..from + payload.len() as u32);
        out.extend_from_slice(payload);
    }
}
