//! Runs one command and carries out what it decided.
//!
//! The command is pure: it gets what the key holds and the time, and leaves its reply, effects
//! and report as data. [`on_space`] does the rest, in this order: store a space that was created,
//! replicate the effects as one `WF.APPLY`, append what happened to the space's stream, tell WATCH,
//! publish what happened, note when the next lease is due. Timers and woken clients come through the
//! same function.

use std::sync::atomic::Ordering::Relaxed;

use smallvec::SmallVec;

use super::answer;
use super::awaiting;
use super::blocking;
use super::clock;
use super::divergence;
use super::grace;
use super::info::COUNTERS;
use super::key::{Holds, KeyName, Mode, OpenKey, Target};
use super::nonce;
use super::outcomes;
use super::reader;
use super::reading;
use super::replicate::{Unit, replicate};
use super::schedule;
use super::server::{Ctx, command_time};
use super::settings;
use super::stream::{self, Stream};
use super::value::SpaceValue;
use super::wake;
use crate::commands::call::{Block, Call, CommandError, Outcome, Value};
use crate::commands::spec::{Access, Spec};
use crate::commands::sweep;
use crate::engine::limits::READ_AT_ONCE;
use crate::engine::units::Millis;

/// Under which conditions something runs on a space.
pub struct Conditions<'a> {
    /// The arguments after the key.
    pub args: &'a [&'a [u8]],
    /// What the key is opened for.
    pub mode: Mode,
    /// The one clock reading.
    pub now: Millis,
    /// See [`Call::expire_from`].
    pub expire_from: Option<Millis>,
    /// See [`Call::replayed`].
    pub replayed: bool,
    /// See [`Call::may_block`].
    pub may_block: bool,
}

/// Runs a command for the client that sent it.
pub fn command(ctx: &Ctx<'_>, spec: &'static Spec, argv: &[KeyName<'_>]) {
    let fits = match usize::try_from(spec.arity) {
        Ok(exactly) => argv.len() == exactly,
        Err(_) => argv.len() >= spec.arity.unsigned_abs() as usize,
    };
    let [_, name, rest @ ..] = argv else { return answer::wrong_arity(ctx) };
    if !fits {
        return answer::wrong_arity(ctx);
    }
    let flags = ctx.flags();
    let may_work = flags.may_work();
    let mode = match spec.access {
        Access::Read => Mode::Look,
        Access::Update | Access::Insert | Access::Delete => Mode::Change,
    };
    let args: SmallVec<[&[u8]; 16]> = rest.iter().map(KeyName::bytes).collect();
    let conditions = Conditions {
        args: &args,
        mode,
        now: command_time(),
        // What is replayed on a primary comes from a slot that is on its way here: its owner sees to the rest.
        expire_from: (mode == Mode::Change && may_work && !flags.replayed()).then(grace::expire_from),
        replayed: flags.replayed(),
        may_block: match mode {
            Mode::Look => flags.may_wait(),
            Mode::Change => flags.may_block(),
        },
    };
    let target = Target { db: ctx.db(), name: name.share() };
    let _unit = Unit::begin(ctx);
    if spec.blocking && mode == Mode::Change && may_work && !flags.in_transaction() {
        schedule::serve_those_before(ctx, &target);
    }
    let mut out = outcomes::borrow();
    let mut result = on_space(ctx, &target, &conditions, &mut out, spec.run);
    // Without a thread a large document is read at once.
    if matches!(out.block, Some(Block::Read(_))) && !reader::is_there() {
        out.clear();
        let at_once = Conditions { may_block: false, ..conditions };
        result = on_space(ctx, &target, &at_once, &mut out, spec.run);
    }
    match result {
        Err(error) => answer::error(ctx, &error),
        Ok(()) => match out.block.take() {
            Some(Block::Claim(claim)) => blocking::block(ctx, &target, spec, &argv[0], claim),
            Some(Block::Wait(wait)) => awaiting::block(ctx, &target, spec, &argv[0], wait),
            Some(Block::Read(reading)) => reading::block(ctx, &target, spec, argv, reading),
            None => answer::reply(ctx, &out.reply),
        },
    }
    wake::after(ctx, &target, &out.report);
}

/// Opens the key, lets `body` work on what it holds, and carries out the outcome. The reply is
/// left in `out`. What has been changed is replicated even when `body` returns an error.
pub fn on_space<R>(
    ctx: &Ctx<'_>,
    target: &Target<'_>,
    conditions: &Conditions<'_>,
    out: &mut Outcome,
    body: impl FnOnce(&mut Call<'_>) -> Result<R, CommandError>,
) -> Result<R, CommandError> {
    let mut key = OpenKey::open(ctx, &target.name, conditions.mode);
    let settings = settings::current();
    let works = conditions.mode == Mode::Change && conditions.expire_from.is_some();
    let mut steps = Vec::new();
    out.report.names_ended = conditions.mode == Mode::Change && awaiting::any_at(target.place());
    let mut call = Call {
        key: target.name.bytes(),
        args: conditions.args,
        value: match key.holds() {
            Holds::Nothing => Value::Missing,
            Holds::Another => Value::WrongType,
            Holds::Space(value) => {
                if works {
                    steps = clock::ahead(value.moved);
                    value.moved = steps.last().map_or(value.moved, |step| step.number);
                }
                Value::Space(&mut value.space)
            }
        },
        fresh: None,
        now: conditions.now,
        expire_from: conditions.expire_from,
        replayed: conditions.replayed,
        may_block: conditions.may_block,
        reads_at_once: READ_AT_ONCE,
        prepared: None,
        waits: &|task_type, priority| blocking::oldest(target.place(), task_type, priority).is_some(),
        may_write: &|key| stream::may_write(ctx, key),
        random: &mut nonce::draw,
        settings: &settings,
        out,
    };
    let moved = steps.into_iter().try_for_each(|step| sweep::shift(&mut call, step.from, step.by));
    let result = moved.and_then(|()| body(&mut call));
    let fresh = call.fresh.take();
    let missed = match &result {
        Err(CommandError::Effect(error)) if conditions.replayed => Some(error),
        _ => None,
    };
    // A replayed effect is passed on as it came, so the command need not write it down again. One that
    // is missing from here on is not to be missing from the AOF.
    let replayed = conditions.replayed && (result.is_ok() || missed.is_some());
    let changed = out.changed() || replayed;
    if !changed || conditions.mode == Mode::Look {
        return result;
    }
    if let (Some(space), true) = (fresh, result.is_ok() || missed.is_some()) {
        key.store(SpaceValue::new(*space));
    }
    let Holds::Space(value) = key.holds() else {
        return result;
    };
    if let Some(error) = missed {
        divergence::give_up(ctx, target, &mut value.space, error);
    }
    value.report(out.report.applied);
    let next_due = value.space.next_due(&settings, grace::expire_from());
    // The entries of a stream stand behind the effect that they tell of, so that is not put off.
    let gathers = value.space.overrides().events().is_none() && blocking::any_at(target.place());
    let stream = (!out.journal.is_empty()).then(|| Stream::of(&value.space, &settings)).flatten();
    drop(key);

    match conditions.replayed {
        true => ctx.replicate_verbatim(),
        false => replicate(ctx, target, out.effects.args(), gathers),
    }
    if let Some(stream) = stream {
        stream.append(ctx, target, &out.journal);
    }
    ctx.signal_modified(&target.name);
    COUNTERS.applied.fetch_add(out.report.applied, Relaxed);
    COUNTERS.expired.fetch_add(out.report.expired, Relaxed);
    COUNTERS.timed_out.fetch_add(out.report.timed_out, Relaxed);
    COUNTERS.retried.fetch_add(out.report.retried, Relaxed);
    COUNTERS.poisoned.fetch_add(out.report.poisoned, Relaxed);
    COUNTERS.workflows_timed_out.fetch_add(out.report.workflows_timed_out, Relaxed);
    if let Some(due) = next_due {
        schedule::note(target.place(), due);
        schedule::arm(ctx);
    }
    for event in out.report.events.iter() {
        ctx.notify(event, &target.name);
    }
    if !out.report.ended.is_empty() {
        awaiting::ended(ctx, target, &out.report.ended);
    }
    result
}
