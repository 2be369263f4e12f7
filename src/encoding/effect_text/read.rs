//! From arguments to effects, one after the other, each asked whether it fits before it is applied.

use super::{read_nonce, unescape};
use crate::encoding::bytes::DecodeError;
use crate::encoding::document;
use crate::engine::apply::apply;
use crate::engine::draft::Draft;
use crate::engine::effect::{Effect, Grant, Lease, Push, Target};
use crate::engine::fit::fits;
use crate::engine::ids::Id;
use crate::engine::limits::Settings;
use crate::engine::report::Report;
use crate::engine::shape::{Checked, Shape};
use crate::engine::space::Space;
use crate::engine::units::{BlueprintId, Millis, Slot, TaskIndex, TaskRef};

fn read_shape(text: &[u8]) -> Result<Checked, DecodeError> {
    let draft: Draft<'_> = document::read(text, &Settings::widest())
        .map_err(|_| DecodeError::Impossible("a shape that does not read"))?;
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

fn find_slot(space: &Space, text: &[u8]) -> Result<Slot, DecodeError> {
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
        let time = Millis(self.number()?);
        if time > Millis::MAX { Err(DecodeError::Impossible("a time out of range")) } else { Ok(time) }
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
