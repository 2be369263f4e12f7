//! From arguments to effects, one after the other, each asked whether it fits before it is applied.

use super::items::{Flags, find_slot, find_task, number, take_counted, take_item, take_task};
use super::{EffectLog, packed, read_nonce, unescape};
use crate::encoding::bytes::DecodeError;
use crate::encoding::document::{self, DocumentError};
use crate::engine::apply::apply;
use crate::engine::draft::Draft;
use crate::engine::effect::{
    Add, Cause, Content, Define, Effect, Grant, Lease, Push, SignalEnd, Target, Terms,
};
use crate::engine::fit::fits;
use crate::engine::ids::Id;
use crate::engine::limits::Settings;
use crate::engine::overrides;
use crate::engine::report::Report;
use crate::engine::shape::{Checked, Shape};
use crate::engine::space::Space;
use crate::engine::units::{BlueprintId, Millis, Slot, TaskIndex, TaskRef};

fn read_draft(text: &[u8]) -> Result<Draft<'_>, DecodeError> {
    document::read(text, &Settings::widest()).map_err(|error| match error {
        DocumentError::UnknownField(_, field) => {
            DecodeError::unknown("the field of a shape", field.as_bytes())
        }
        _ => DecodeError::Impossible("a shape that does not read"),
    })
}

fn read_shape(text: &[u8]) -> Result<Checked, DecodeError> {
    if packed::is_packed(text) {
        return packed::read(text);
    }
    Shape::check(&read_draft(text)?, &Settings::widest())
        .map_err(|_| DecodeError::Impossible("a shape that is no workflow"))
}

/// The shape of a workflow with tasks added.
fn read_grown(space: &Space, slot: Slot, text: &[u8]) -> Result<Checked, DecodeError> {
    let (shape, draft) = (&space.workflow(slot).1.shape, read_draft(text)?);
    shape
        .grow(&space.types_of(slot), &draft, &Settings::widest(), |_| true)
        .map_err(|_| DecodeError::Impossible("tasks that fit no workflow"))
}

/// Applies the effects that the arguments of one `WF.APPLY` tell of, in order. On an error the
/// effects before it have been applied; the caller says so in the log.
pub fn apply_text(space: &mut Space, args: &[&[u8]], report: &mut Report) -> Result<(), DecodeError> {
    apply_all(space, args, &mut Telling { report, again: None })
}

/// The same, and writes the effects that were applied down again. For tests: what is read is what
/// was meant exactly when it reads the same once more.
pub fn retell(
    space: &mut Space,
    args: &[&[u8]],
    report: &mut Report,
    again: &mut EffectLog,
) -> Result<(), DecodeError> {
    apply_all(space, args, &mut Telling { report, again: Some(again) })
}

/// Where it goes what was applied.
struct Telling<'r> {
    report: &'r mut Report,
    again: Option<&'r mut EffectLog>,
}

fn apply_all(space: &mut Space, args: &[&[u8]], report: &mut Telling<'_>) -> Result<(), DecodeError> {
    let mut args = Args(args);
    while let Some(kind) = args.maybe() {
        match kind {
            b"push" => args.push(space, report)?,
            b"start" => args.start(space, report)?,
            b"define" => args.define(space, report)?,
            b"undefine" => {
                for item in args.next()?.split(|&byte| byte == b' ') {
                    let definition =
                        unescape(item).ok_or(DecodeError::Impossible("a name that does not read"))?;
                    carry_out(space, &Effect::Undefine { definition: &definition }, report)?;
                }
            }
            b"add" => args.add(space, report)?,
            b"claim" => args.lease(space, report, LeaseKind::Claim)?,
            b"resume" => args.lease(space, report, LeaseKind::Resume)?,
            b"done" | b"complete" => args.tasks(space, report, |now, task, result| Effect::Complete {
                now,
                task,
                result,
                skipped: &[],
                frees: kind == b"done",
            })?,
            b"choose" => args.choice(space, report)?,
            b"fail" => args.failures(space, report, Cause::Reported)?,
            b"timeout" => args.failures(space, report, Cause::TimedOut)?,
            b"poison" => args.failures(space, report, Cause::Expired)?,
            b"poison-recovered" => args.failures(space, report, Cause::Recovered)?,
            b"signal" => args.tasks(space, report, |now, task, text| Effect::Signal {
                now,
                task,
                end: SignalEnd::Completed(text),
            })?,
            b"signal-fail" => args.tasks(space, report, |now, task, text| Effect::Signal {
                now,
                task,
                end: SignalEnd::Failed(text),
            })?,
            b"signal-timeout" => args.tasks(space, report, |now, task, text| Effect::Signal {
                now,
                task,
                end: SignalEnd::TimedOut(text),
            })?,
            b"retry" => args.retries(space, report, Cause::Reported)?,
            b"retry-timeout" => args.retries(space, report, Cause::TimedOut)?,
            b"due" => args.tasks(space, report, |now, task, _| Effect::Due { now, task })?,
            b"deadline" => {
                let now = args.time()?;
                for item in args.next()?.split(|&byte| byte == b' ') {
                    let slot = find_slot(space, item)?;
                    carry_out(space, &Effect::TimeOut { now, slot }, report)?;
                }
            }
            b"cancel" => {
                let now = args.time()?;
                let mut rest = args.next()?;
                while !rest.is_empty() {
                    let (id, reason) = take_item(&mut rest)?;
                    let slot = find_slot(space, id)?;
                    carry_out(space, &Effect::Cancel { now, slot, reason }, report)?;
                }
            }
            b"rerun" => {
                let now = args.time()?;
                let slot = find_slot(space, args.next()?)?;
                let task = match args.next()? {
                    b"-" => None,
                    index => Some(TaskIndex(
                        number(index)
                            .and_then(|index| u32::try_from(index).ok())
                            .ok_or(DecodeError::Impossible("a task that does not read"))?,
                    )),
                };
                carry_out(space, &Effect::Rerun { now, slot, task }, report)?;
            }
            b"shift" => {
                let (from, by) = (args.time()?, args.number()?);
                carry_out(space, &Effect::Shift { from, by }, report)?;
            }
            b"config" => {
                let name = args.next()?;
                let setting =
                    overrides::find(name).ok_or_else(|| DecodeError::unknown("the setting", name))?;
                let value = match args.next()? {
                    b"default" => None,
                    text => {
                        Some(number(text).ok_or(DecodeError::Impossible("a setting that does not read"))?)
                    }
                };
                carry_out(space, &Effect::Configure { setting, value }, report)?;
            }
            b"events" => {
                let key = Some(args.next()?).filter(|key| !key.is_empty());
                carry_out(space, &Effect::Stream { key }, report)?;
            }
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
            other => return Err(DecodeError::unknown("the effect", other)),
        }
    }
    Ok(())
}

fn carry_out(space: &mut Space, effect: &Effect<'_>, report: &mut Telling<'_>) -> Result<(), DecodeError> {
    fits(space, effect)?;
    if let Some(again) = &mut report.again {
        again.append(space, effect);
    }
    apply(space, effect, report.report);
    Ok(())
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

    fn push(&mut self, space: &mut Space, report: &mut Telling<'_>) -> Result<(), DecodeError> {
        let (mut terms, flags) = self.terms()?;
        let name = self.next()?;
        let input = self.next()?;
        terms.input = flags.input.then_some(input);
        self.with_content(name, flags.new, |content| {
            carry_out(space, &Effect::Push(Push { terms, content }), report)
        })
    }

    fn start(&mut self, space: &mut Space, report: &mut Telling<'_>) -> Result<(), DecodeError> {
        let definition = self.next()?;
        let (mut terms, flags) = self.terms()?;
        let input = self.next()?;
        terms.input = flags.input.then_some(input);
        carry_out(space, &Effect::Start { definition, terms }, report)
    }

    fn define(&mut self, space: &mut Space, report: &mut Telling<'_>) -> Result<(), DecodeError> {
        let name = self.next()?;
        let version = self.number()?;
        let now = self.time()?;
        let priority = self.number_or_none()?.map(u32::try_from).transpose();
        let priority = priority.map_err(|_| DecodeError::Impossible("a priority out of range"))?;
        let timeout_ms = self.number_or_none()?;
        let workflow = self.next()?;
        let is_new = self.0.get(1).is_some_and(|shape| !shape.is_empty());
        self.with_content(workflow, is_new, |content| {
            let define = Define { name, version, now, priority, timeout_ms, content };
            carry_out(space, &Effect::Define(define), report)
        })
    }

    /// Id, time, priority and flags; INPUT comes later.
    fn terms(&mut self) -> Result<(Terms<'a>, Flags), DecodeError> {
        let id = Id::of(self.next()?);
        let now = self.time()?;
        let priority =
            u32::try_from(self.number()?).map_err(|_| DecodeError::Impossible("a priority out of range"))?;
        let flags = Flags::read(self.next()?)?;
        let terms = Terms {
            id,
            now,
            priority,
            paused: flags.paused,
            delayed_until: flags.delayed_until,
            timeout: flags.timeout,
            retain_ms: flags.retain_ms,
            input: None,
        };
        Ok((terms, flags))
    }

    /// Takes blueprint, shape and payloads.
    fn with_content(
        &mut self,
        name: &[u8],
        is_new: bool,
        then: impl FnOnce(Content<'_>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let blueprint =
            u32::try_from(self.number()?).map_err(|_| DecodeError::Impossible("a blueprint out of range"))?;
        let shape = self.next()?;
        let new = if is_new { Some(read_shape(shape)?) } else { None };
        let payloads = self.payloads()?;
        then(Content {
            name,
            blueprint: BlueprintId(blueprint),
            new: new.as_ref(),
            payloads: &payloads,
            told: None,
        })
    }

    fn number_or_none(&mut self) -> Result<Option<u64>, DecodeError> {
        match self.next()? {
            b"-" => Ok(None),
            text => number(text).map(Some).ok_or(DecodeError::Impossible("a number that does not read")),
        }
    }

    fn add(&mut self, space: &mut Space, report: &mut Telling<'_>) -> Result<(), DecodeError> {
        let now = self.time()?;
        let task = find_task(space, self.next()?)?;
        let blueprint =
            u32::try_from(self.number()?).map_err(|_| DecodeError::Impossible("a blueprint out of range"))?;
        let shape = self.next()?;
        let new = if shape.is_empty() { None } else { Some(read_grown(space, task.slot, shape)?) };
        let payloads = self.payloads()?;
        let blueprint = BlueprintId(blueprint);
        let add = Add { now, task, blueprint, new: new.as_ref(), payloads: &payloads, told: None };
        carry_out(space, &Effect::Add(add), report)
    }

    /// Payloads, each with its length in front.
    fn payloads(&mut self) -> Result<Vec<&'a [u8]>, DecodeError> {
        let mut rest = self.next()?;
        let mut payloads = Vec::new();
        while !rest.is_empty() {
            payloads.push(take_counted(&mut rest)?);
        }
        Ok(payloads)
    }

    fn lease(
        &mut self,
        space: &mut Space,
        report: &mut Telling<'_>,
        kind: LeaseKind,
    ) -> Result<(), DecodeError> {
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

    fn choice(&mut self, space: &mut Space, report: &mut Telling<'_>) -> Result<(), DecodeError> {
        let now = self.time()?;
        let mut item = self.next()?;
        let (task, result) = take_task(space, &mut item)?;
        if !item.is_empty() {
            return Err(DecodeError::Impossible("a choice of more than one task"));
        }
        let child = |text: &[u8]| Some(TaskIndex(u32::try_from(number(text)?).ok()?));
        let skipped: Option<Vec<TaskIndex>> = self.next()?.split(|&byte| byte == b' ').map(child).collect();
        let skipped = skipped.ok_or(DecodeError::Impossible("a child that does not read"))?;
        carry_out(space, &Effect::Complete { now, task, result, skipped: &skipped, frees: true }, report)
    }

    fn failures(
        &mut self,
        space: &mut Space,
        report: &mut Telling<'_>,
        cause: Cause,
    ) -> Result<(), DecodeError> {
        self.tasks(space, report, |now, task, error| Effect::Fail { now, task, error, cause })
    }

    fn retries(
        &mut self,
        space: &mut Space,
        report: &mut Telling<'_>,
        cause: Cause,
    ) -> Result<(), DecodeError> {
        let now = self.time()?;
        let mut rest = self.next()?;
        let mut due = None;
        while !rest.is_empty() {
            let end = rest.iter().position(|&byte| byte == b' ').unwrap_or(rest.len());
            if let Some(time) = number(&rest[..end]) {
                due = Some(Millis(time)).filter(|&time| time <= Millis::MAX);
                rest = rest.get(end + 1..).ok_or(DecodeError::CutOff)?;
            }
            let due = due.ok_or(DecodeError::Impossible("another try without a time"))?;
            let (task, error) = take_task(space, &mut rest)?;
            carry_out(space, &Effect::Retry { now, task, due, error, cause }, report)?;
        }
        Ok(())
    }

    fn tasks(
        &mut self,
        space: &mut Space,
        report: &mut Telling<'_>,
        effect: impl for<'e> Fn(Millis, TaskRef, Option<&'e [u8]>) -> Effect<'e>,
    ) -> Result<(), DecodeError> {
        let now = self.time()?;
        let mut rest = self.next()?;
        while !rest.is_empty() {
            let (task, text) = take_task(space, &mut rest)?;
            carry_out(space, &effect(now, task, text), report)?;
        }
        Ok(())
    }

    fn targets(
        &mut self,
        space: &mut Space,
        report: &mut Telling<'_>,
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
            other => Err(DecodeError::unknown("the pause of a", other)),
        }
    }
}
