//! From effects to arguments.

use super::{escape, write_nonce};
use crate::engine::effect::{Effect, Lease, Push, Target};
use crate::engine::ids::{Id, write_integer};
use crate::engine::shape::Checked;
use crate::engine::space::Space;
use crate::engine::units::{Millis, TaskRef};

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
            Effect::Push(ref push) => self.push(space, push),
            Effect::Claim(ref lease) => self.lease("claim", space, lease),
            Effect::Resume(ref lease) => self.lease("resume", space, lease),
            Effect::Complete { now, task, result } => {
                self.item(Listing { kind: "complete", now: Some(now), deadline: None });
                self.task_with(space, task, result);
            }
            Effect::Fail { now, task, error } => {
                self.item(Listing { kind: "fail", now: Some(now), deadline: None });
                self.task_with(space, task, error);
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
                let listing = Listing { kind: "extend", now: None, deadline: None };
                let known = self.open.filter(|open| open.kind == "extend").and_then(|open| open.deadline);
                self.open = self.open.map(|open| Listing { deadline: None, ..open });
                self.item(listing);
                if known != Some(deadline) {
                    self.number(deadline.0);
                    self.bytes.push(b' ');
                }
                self.open = Some(Listing { deadline: Some(deadline), ..listing });
                self.task_with(space, task, None);
            }
            Effect::Delete { slot } => {
                self.item(Listing { kind: "delete", now: None, deadline: None });
                self.id(space.id_of(slot));
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

    fn push(&mut self, space: &Space, push: &Push<'_>) {
        self.arg(b"push");
        self.arg_with(|bytes| push.id.write(bytes));
        self.number_arg(push.now.0);
        self.number_arg(u64::from(push.priority));
        self.arg_with(|bytes| {
            let flags = [(push.paused, b'p'), (push.input.is_some(), b'i'), (push.new.is_some(), b'n')];
            let set = flags.into_iter().filter(|flag| flag.0).map(|flag| flag.1);
            let start = bytes.len();
            bytes.extend(set);
            if bytes.len() == start {
                bytes.push(b'-');
            }
        });
        self.arg(push.name);
        self.arg(push.input.unwrap_or_default());
        self.number_arg(u64::from(push.blueprint.0));
        debug_assert!(push.new.is_some() || space.blueprints().contains(push.blueprint));
        self.arg_with(|bytes| {
            if let Some(new) = push.new {
                write_shape(new, bytes);
            }
        });
        self.arg_with(|bytes| {
            for payload in push.payloads {
                write_integer(payload.len() as u64, bytes);
                bytes.push(b':');
                bytes.extend_from_slice(payload);
            }
        });
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

    fn task_with(&mut self, space: &Space, task: TaskRef, text: Option<&[u8]>) {
        self.id(space.id_of(task.slot));
        self.bytes.push(b'-');
        self.number(u64::from(task.index.0));
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

/// The document of a shape without payloads; [`document::read`] reads it back.
fn write_shape(checked: &Checked, out: &mut Vec<u8>) {
    // Names and types came in as JSON strings, so they are UTF-8.
    let text = |out: &mut Vec<u8>, bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        serde_json::to_writer(out, &text).expect("writing to memory");
    };
    let shape = &checked.shape;
    out.extend_from_slice(b"{\"tasks\":[");
    for task in shape.indexes() {
        out.extend_from_slice(if task.0 == 0 { b"{\"name\":" } else { b",{\"name\":" });
        text(out, shape.name(task));
        out.extend_from_slice(b",\"type\":");
        text(out, &checked.types[shape.type_of(task)]);
        for (place, parent) in shape.parents(task).enumerate() {
            out.extend_from_slice(if place == 0 { b",\"parents\":[" } else { b"," });
            text(out, shape.name(parent));
        }
        if shape.parents(task).len() > 0 {
            out.push(b']');
        }
        let options = shape.options(task);
        if let Some(priority) = options.priority {
            out.extend_from_slice(b",\"priority\":");
            write_integer(u64::from(priority), out);
        }
        if let Some(lease) = options.lease_ms {
            out.extend_from_slice(b",\"lease_ms\":");
            write_integer(lease, out);
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
}
