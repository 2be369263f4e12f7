//! Effects as arguments of `WF.APPLY key ...`, for replicas and the AOF, readable by people:
//!
//! ```text
//! push <id> <now> <priority> <flags> <name> <input> <blueprint> <shape> <payloads>
//! claim <worker> <now> <leases>       resume <worker> <now> <leases>
//! complete <now> <tasks>              fail <now> <tasks>
//! expire <now> <tasks>                recover <now> <tasks>
//! extend <leases>                     delete <ids>
//! pause <kind> <names>                release <now> <kind> <names>      kind: workflow type all
//! snapshot <chunk>                    see `snapshot`
//! ```
//!
//! One command replicates one `WF.APPLY` with one or several of these in a row. Lists are one
//! argument, separated by spaces, because each argument costs the server an object:
//!
//! ```text
//! tasks     17-0 17-1=5:hello         a task, and the text it left: its length, then its bytes
//! leases    1700000030000 17-0-9f8e7d6c 17-3-01234567   a deadline, then the tasks it holds for
//! payloads  7:{"n":1}0:               length and bytes of each, in push order
//! flags     p paused, i has INPUT, n the blueprint is new; - none
//! shape     the document without payloads when the blueprint is new, empty otherwise
//! ```
//!
//! In lists, bytes of ids and names that are not printable ASCII, and space, `%` and `=`, are
//! written as `%XX`.

use super::bytes::DecodeError;
use super::document;
use crate::engine::apply::apply;
use crate::engine::draft::Draft;
use crate::engine::effect::{Effect, Grant, Lease, Push, Target};
use crate::engine::fit::fits;
use crate::engine::ids::{Id, write_integer};
use crate::engine::limits::Settings;
use crate::engine::report::Report;
use crate::engine::shape::{Checked, Shape};
use crate::engine::space::Space;
use crate::engine::units::{BlueprintId, Millis, Nonce, TaskIndex, TaskRef};
use std::borrow::Cow;

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

/// Appends the eight hex digits of a token's random part.
pub fn write_nonce(nonce: Nonce, out: &mut Vec<u8>) {
    for shift in (0..8).rev() {
        out.push(b"0123456789abcdef"[(nonce.0 >> (shift * 4)) as usize & 0xf]);
    }
}

/// Reads exactly eight lowercase hex digits.
pub fn read_nonce(text: &[u8]) -> Option<Nonce> {
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(u32::from(byte - b'0')),
        b'a'..=b'f' => Some(u32::from(byte - b'a') + 10),
        _ => None,
    };
    let text: &[u8; 8] = text.try_into().ok()?;
    text.iter().try_fold(0, |nonce, byte| Some(nonce << 4 | digit(byte)?)).map(Nonce)
}

fn escape(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        if byte.is_ascii_graphic() && byte != b'%' && byte != b'=' {
            out.push(byte);
        } else {
            out.push(b'%');
            out.extend([byte >> 4, byte & 0xf].map(|digit| b"0123456789ABCDEF"[digit as usize]));
        }
    }
}

fn unescape(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !text.contains(&b'%') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    let digit = |bytes: &mut std::slice::Iter<'_, u8>| (*bytes.next()? as char).to_digit(16);
    while let Some(&byte) = bytes.next() {
        if byte == b'%' {
            out.push((digit(&mut bytes)? << 4 | digit(&mut bytes)?) as u8);
        } else {
            out.push(byte);
        }
    }
    Some(Cow::Owned(out))
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

fn read_shape(text: &[u8]) -> Result<Checked, DecodeError> {
    let draft: Draft<'_> =
        document::read(text).map_err(|_| DecodeError::Impossible("a shape that does not read"))?;
    Shape::check(&draft, &Settings::widest())
        .map_err(|_| DecodeError::Impossible("a shape that is no workflow"))
}

/// Applies the effects that the arguments of one `WF.APPLY` tell of, in order. On an error the
/// effects before it have been applied; the caller says so in the log.
pub fn apply_text(space: &mut Space, args: &[&[u8]], report: &mut Report) -> Result<(), DecodeError> {
    let mut args = Args(args);
    while let Some(kind) = args.maybe() {
        match kind {
            b"push" => args.push(space, report)?,
            b"claim" => args.lease(space, report, LeaseKind::Claim)?,
            b"resume" => args.lease(space, report, LeaseKind::Resume)?,
            b"complete" => {
                args.tasks(space, report, |now, task, result| Effect::Complete { now, task, result })?
            }
            b"fail" => args.tasks(space, report, |now, task, error| Effect::Fail { now, task, error })?,
            b"expire" => args.tasks(space, report, |now, task, _| Effect::Expire { now, task })?,
            b"recover" => args.tasks(space, report, |now, task, _| Effect::Recover { now, task })?,
            b"extend" => {
                let mut deadline = None;
                for item in args.next()?.split(|&byte| byte == b' ') {
                    if let Some(number) = number(item) {
                        deadline = Some(Millis(number));
                        continue;
                    }
                    let task = find_task(space, item)?;
                    let deadline = deadline.ok_or(DecodeError::Impossible("a lease without a deadline"))?;
                    carry_out(space, &Effect::Extend { task, deadline }, report)?;
                }
            }
            b"delete" => {
                for item in args.next()?.split(|&byte| byte == b' ') {
                    let slot = find_slot(space, item)?;
                    carry_out(space, &Effect::Delete { slot }, report)?;
                }
            }
            b"pause" => args.targets(space, report, |target| Effect::Pause { target })?,
            b"release" => {
                let now = args.time()?;
                args.targets(space, report, |target| Effect::Release { now, target })?;
            }
            _ => return Err(DecodeError::Impossible("an effect that is not known")),
        }
    }
    Ok(())
}

fn carry_out(space: &mut Space, effect: &Effect<'_>, report: &mut Report) -> Result<(), DecodeError> {
    fits(space, effect)?;
    apply(space, effect, report);
    Ok(())
}

fn number(text: &[u8]) -> Option<u64> {
    str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

fn find_slot(space: &Space, text: &[u8]) -> Result<crate::engine::units::Slot, DecodeError> {
    let id = unescape(text).ok_or(DecodeError::Impossible("an id that does not read"))?;
    space.find(Id::of(&id)).ok_or(DecodeError::Impossible("a workflow that is not there"))
}

/// `<id>-<index>`, read from the right.
fn find_task(space: &Space, text: &[u8]) -> Result<TaskRef, DecodeError> {
    let dash = text.iter().rposition(|&byte| byte == b'-');
    let dash = dash.ok_or(DecodeError::Impossible("a task that does not read"))?;
    let index = number(&text[dash + 1..]).and_then(|index| u32::try_from(index).ok());
    let index = index.ok_or(DecodeError::Impossible("a task that does not read"))?;
    Ok(TaskRef { slot: find_slot(space, &text[..dash])?, index: TaskIndex(index) })
}

/// Takes `<length>:<bytes>` off the front.
fn take_counted<'a>(text: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let colon = text.iter().take(21).position(|&byte| byte == b':').ok_or(DecodeError::CutOff)?;
    let length = number(&text[..colon]).and_then(|length| usize::try_from(length).ok());
    let length = length.ok_or(DecodeError::Impossible("a length that does not read"))?;
    let (bytes, rest) = text[colon + 1..].split_at_checked(length).ok_or(DecodeError::CutOff)?;
    *text = rest;
    Ok(bytes)
}

/// The two effects that lease.
enum LeaseKind {
    Claim,
    Resume,
}

/// The arguments not read yet.
struct Args<'a>(&'a [&'a [u8]]);

impl<'a> Args<'a> {
    fn maybe(&mut self) -> Option<&'a [u8]> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn next(&mut self) -> Result<&'a [u8], DecodeError> {
        self.maybe().ok_or(DecodeError::CutOff)
    }

    fn number(&mut self) -> Result<u64, DecodeError> {
        number(self.next()?).ok_or(DecodeError::Impossible("a number that does not read"))
    }

    fn time(&mut self) -> Result<Millis, DecodeError> {
        Ok(Millis(self.number()?))
    }

    fn push(&mut self, space: &mut Space, report: &mut Report) -> Result<(), DecodeError> {
        let id = Id::of(self.next()?);
        let now = self.time()?;
        let priority =
            u32::try_from(self.number()?).map_err(|_| DecodeError::Impossible("a priority out of range"))?;
        let flags = self.next()?;
        let name = self.next()?;
        let input = self.next()?;
        let blueprint =
            u32::try_from(self.number()?).map_err(|_| DecodeError::Impossible("a blueprint out of range"))?;
        let shape = self.next()?;
        let mut rest = self.next()?;
        let new = if flags.contains(&b'n') { Some(read_shape(shape)?) } else { None };
        let mut payloads = Vec::new();
        while !rest.is_empty() {
            payloads.push(take_counted(&mut rest)?);
        }
        let push = Push {
            id,
            now,
            priority,
            paused: flags.contains(&b'p'),
            name,
            input: flags.contains(&b'i').then_some(input),
            blueprint: BlueprintId(blueprint),
            new: new.as_ref(),
            payloads: &payloads,
        };
        carry_out(space, &Effect::Push(push), report)
    }

    fn lease(&mut self, space: &mut Space, report: &mut Report, kind: LeaseKind) -> Result<(), DecodeError> {
        let worker = self.next()?;
        let now = self.time()?;
        let mut deadline = None;
        let mut grants = Vec::new();
        for item in self.next()?.split(|&byte| byte == b' ') {
            if let Some(number) = number(item) {
                deadline = Some(Millis(number));
                continue;
            }
            let unreadable = DecodeError::Impossible("a token that does not read");
            let dash = item.len().checked_sub(9).filter(|&at| item[at] == b'-').ok_or(unreadable.clone())?;
            let nonce = read_nonce(&item[dash + 1..]).ok_or(unreadable)?;
            let deadline = deadline.ok_or(DecodeError::Impossible("a lease without a deadline"))?;
            grants.push(Grant { task: find_task(space, &item[..dash])?, nonce, deadline });
        }
        let lease = Lease { worker, now, grants: &grants };
        let effect = match kind {
            LeaseKind::Claim => Effect::Claim(lease),
            LeaseKind::Resume => Effect::Resume(lease),
        };
        carry_out(space, &effect, report)
    }

    fn tasks(
        &mut self,
        space: &mut Space,
        report: &mut Report,
        effect: impl for<'e> Fn(Millis, TaskRef, Option<&'e [u8]>) -> Effect<'e>,
    ) -> Result<(), DecodeError> {
        let now = self.time()?;
        let mut rest = self.next()?;
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| matches!(byte, b' ' | b'=')).unwrap_or(rest.len());
            let task = find_task(space, &rest[..end])?;
            let mut text = None;
            rest = &rest[end..];
            if let Some(counted) = rest.strip_prefix(b"=") {
                rest = counted;
                text = Some(take_counted(&mut rest)?);
            }
            carry_out(space, &effect(now, task, text), report)?;
            rest = match rest {
                [] => rest,
                [b' ', rest @ ..] => rest,
                _ => return Err(DecodeError::Impossible("a list that does not read")),
            };
        }
        Ok(())
    }

    fn targets(
        &mut self,
        space: &mut Space,
        report: &mut Report,
        effect: impl for<'e> Fn(Target<'e>) -> Effect<'e>,
    ) -> Result<(), DecodeError> {
        let kind = self.next()?;
        let name = self.next()?;
        match kind {
            b"workflow" => {
                let slot = find_slot(space, name)?;
                carry_out(space, &effect(Target::Workflow(slot)), report)
            }
            b"type" => {
                let name = unescape(name).ok_or(DecodeError::Impossible("a type that does not read"))?;
                carry_out(space, &effect(Target::Type(&name)), report)
            }
            b"all" => carry_out(space, &effect(Target::All), report),
            _ => Err(DecodeError::Impossible("a pause of something not known")),
        }
    }
}
