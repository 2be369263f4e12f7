//! What is checked after a step, besides the reply.
//!
//! The primary keeps its invariants, its digest is that of the replica, it announces what the model
//! announces and wakes whom the model would wake, and effects are left exactly when something
//! changed.

use super::copies;
use super::model::{Entry, Model};
use super::serving::{self, Conditions, load, run, save};
use super::step::{Fault, Step};
use super::tree::{self, Tree};
use super::world::{self, World};
use crate::commands::call::Outcome;
use crate::commands::events::Journal;
use crate::encoding::digest;
use crate::engine::invariant;
use crate::engine::limits::Settings;
use crate::engine::report::Report;
use crate::engine::space::Space;
use crate::engine::units::Millis;
use std::collections::{BTreeMap, BTreeSet};

const TWO_HOURS: u64 = 2 * 60 * 60 * 1000;

/// What was before the step.
pub struct Before {
    model: Model,
    digest: Option<Vec<u8>>,
}

impl Before {
    /// Remembers.
    pub fn new(world: &mut World) -> Before {
        let issued = std::mem::take(&mut world.model.issued);
        let before = Before { model: world.model.clone(), digest: world.primary.as_deref().map(digest::all) };
        world.model.issued = issued;
        before
    }
}

/// Two spaces have the same digest, and both keep their invariants.
pub fn same(left: &Space, right: &Space, left_name: &str, right_name: &str) -> Result<(), String> {
    for (space, name) in [(left, left_name), (right, right_name)] {
        invariant::check(space).map_err(|error| format!("{name} breaks an invariant: {error}"))?;
    }
    match digest::difference(&digest::all(left), &digest::all(right)) {
        None => Ok(()),
        Some(place) => Err(format!("{left_name} and {right_name} differ:{place}")),
    }
}

/// Primary and replica are equal.
pub fn copies(world: &World) -> Result<(), String> {
    match (&world.primary, &world.replica) {
        (None, None) => Ok(()),
        (Some(primary), Some(replica)) => same(primary, replica, "the primary", "the replica"),
        (primary, _) => Err(format!(
            "primary {}, replica not so",
            if primary.is_some() { "exists" } else { "is missing" }
        )),
    }
}

/// What the step reported is what the model says happened.
pub fn report(world: &World, before: &Before, report: &Report) -> Result<(), String> {
    let events: BTreeSet<&str> = report.events.iter().collect();
    let expected: BTreeSet<&str> = world.model.events.iter().copied().collect();
    if events != expected {
        return Err(format!("announces {events:?}, should announce {expected:?}"));
    }
    if report.expired != world.model.expired {
        return Err(format!("{} leases ran out, should be {}", report.expired, world.model.expired));
    }
    let Some(primary) = &world.primary else { return Ok(()) };
    let claimable_before = claimable(&before.model);
    for (kind, tasks) in claimable(&world.model) {
        let known = claimable_before.get(&kind);
        let more = tasks.keys().any(|task| known.is_none_or(|known| !known.contains_key(task)));
        let told =
            report.readied_all || primary.type_id(&kind).is_some_and(|id| report.readied.contains(&id));
        if more && !told {
            return Err(format!("nobody is woken for new tasks of type '{}'", kind.escape_ascii()));
        }
    }
    Ok(())
}

/// What is appended to the stream of events is what the model says: of each workflow in order, and of all
/// together the same. In which order workflows come that end at the same time is open.
pub fn entries(world: &mut World, journal: &Journal) -> Result<(), String> {
    let settings = world.primary.as_deref().map(|space| space.settings(&world.settings));
    let settings = settings.as_deref().unwrap_or(&world.settings);
    let owned = |(name, value): (&'static str, &[u8])| (name, value.to_vec());
    let found = journal.entries(settings).map(|(event, fields)| (event, fields.map(owned).collect()));
    let mut found: Vec<Entry> = found.collect();
    let mut expected = world.model.entries.clone();
    let workflow = |entry: &Entry| entry.1[0].1.clone();
    found.sort_by_key(workflow);
    expected.sort_by_key(workflow);
    if found != expected {
        return Err(format!("appends {found:?}, should append {expected:?}"));
    }
    found.iter().for_each(|(event, _)| world.tally.entry(event));
    Ok(())
}

/// The state after the step: see the module's prose.
pub fn state(world: &mut World, before: &Before, step: &Step) -> Result<(), String> {
    copies(world)?;
    if world.model.exists != world.primary.is_some() {
        return Err("the key exists or not, against the contract".to_owned());
    }
    let Some(primary) = &world.primary else { return Ok(()) };
    let now_digest = digest::all(primary);
    let moved = before.digest.as_ref() != Some(&now_digest);
    let changed = !before.model.same_state(&world.model);
    match (world.changed(), moved, changed) {
        (false, true, _) => return Err("the digest changed without an effect".to_owned()),
        (false, _, true) => return Err("something changed without an effect".to_owned()),
        (_, false, true) => return Err("something changed that the digest does not see".to_owned()),
        // Who extends a lease to the moment at which it ends already says so; and that the clock was set
        // is said without a look at whether there is a lease from before.
        (true, _, false) if world.file.last().is_some_and(|effects| is_idle(effects)) => {
            world.tally.idle_effects += 1;
        }
        (true, _, false) => return Err("effects although nothing changed".to_owned()),
        (true, true, true) | (false, false, false) => {}
    }
    outlook(primary, &world.model, step, &world.settings)
}

/// Whether effects may change nothing, or nothing but the latest time the space has seen.
fn is_idle(effects: &[Vec<u8>]) -> bool {
    effects[0] == b"extend" || effects[0] == b"shift"
}

/// What those who wake clients and set timers ask the space.
fn outlook(space: &Space, model: &Model, step: &Step, settings: &Settings) -> Result<(), String> {
    for expire_from in [0, step.now + 50] {
        let due = space.next_due(settings, Millis(expire_from)).map(|time| time.0);
        let expected = model.next_due(settings, expire_from);
        if let Some(difference) = tree::difference(&expected, &Tree::maybe(due, Tree::number)) {
            return Err(format!("the next that is due:{difference}"));
        }
    }
    let expected = claimable(model);
    for name in model.kinds.keys() {
        let id = space.type_id(name).ok_or_else(|| format!("type '{}' is not known", name.escape_ascii()))?;
        let head = space.head_priority(id).map(u64::from);
        let expected = expected.get(name).and_then(|tasks| tasks.values().min().copied());
        if head != expected {
            return Err(format!(
                "type '{}' offers priority {head:?}, should be {expected:?}",
                name.escape_ascii()
            ));
        }
    }
    let types: BTreeSet<Vec<u8>> = space.claimable_types().map(|id| space.type_name(id).to_vec()).collect();
    let expected: BTreeSet<Vec<u8>> = expected.into_keys().collect();
    if types != expected {
        return Err(format!("claimable types are {types:?}, should be {expected:?}"));
    }
    Ok(())
}

/// The claimable tasks of a type, by workflow and index, and their priorities.
type Claimable<'a> = BTreeMap<(&'a [u8], usize), u64>;

fn claimable(model: &Model) -> BTreeMap<Vec<u8>, Claimable<'_>> {
    let mut kinds: BTreeMap<Vec<u8>, Claimable<'_>> = BTreeMap::new();
    for workflow in &model.workflows {
        for (index, task) in workflow.tasks.iter().enumerate() {
            if model.is_claimable(workflow, task) {
                kinds.entry(task.kind.clone()).or_default().insert((&workflow.id, index), task.priority);
            }
        }
    }
    kinds
}

/// A copy keeps the invariants and the claim order, and no token ever handed out works there.
pub fn copy(world: &mut World, step: &Step) -> Result<(), String> {
    let Some(primary) = &world.primary else { return Ok(()) };
    let copy = primary.void_copy();
    let loaded = copies::reload(&copy)?;
    same(&copy, &loaded, "the copy", "the copy that was loaded")?;
    let mut key = Some(loaded);
    let mut out = Outcome::default();
    let tokens: Vec<Vec<u8>> = world.model.issued.iter().rev().take(100).cloned().collect();
    for (name, first) in [("WF.COMPLETE", None), ("WF.FAIL", None), ("WF.EXTEND", Some(b"1000".to_vec()))] {
        let args: Vec<Vec<u8>> = first.into_iter().chain(tokens.iter().cloned()).collect();
        if tokens.is_empty() {
            continue;
        }
        run(name, &args, &mut key, &step.conditions(&world.settings), &mut out)
            .map_err(|error| format!("{name} on a copy: {error:?}"))?;
        let codes = tree::read(&out.reply)?.integers();
        if out.changed() || codes.iter().any(|&code| code > 0) {
            return Err(format!("a token works on the copy: {name} says {codes:?}"));
        }
    }
    // What it shows, and what is claimed there, at once and when delays have ended there. A copy has no
    // clock of its own: what ran is ready there since the latest time that the space has seen.
    let (_, _, latest) = primary.counters();
    let mut model = world.model.void_copy(latest.0);
    let get = |workflow: &super::model::Workflow| ("WF.GET", vec![workflow.id.clone(), b"TASKS".to_vec()]);
    let mut calls: Vec<(&str, Vec<Vec<u8>>)> = model.workflows.iter().map(get).collect();
    let claim = ("WF.CLAIM", vec![b"worker".to_vec(), b"COUNT".to_vec(), b"20".to_vec()]);
    calls.extend([("WF.STATS", Vec::new()), claim.clone(), claim]);
    let last = calls.len() - 1;
    for (place, (name, args)) in calls.into_iter().enumerate() {
        let (later, expire_from) = if place == last { (TWO_HOURS, Some(u64::MAX)) } else { (0, None) };
        let step = Step { now: step.now + later, expire_from, ..step.clone() };
        let mut nonces = serving::nonces(step.nonces);
        let expected = model.run(name, &args, &mut world::moment(&step, &world.settings, &mut nonces));
        run(name, &args, &mut key, &step.conditions(&world.settings), &mut out)
            .map_err(|error| format!("{name} on a copy: {error:?}"))?;
        world::compare(&expected, &super::model::Answer::Reply(tree::read(&out.reply)?), None)
            .map_err(|error| format!("{name} on a copy: {error}"))?;
    }
    invariant::check(key.as_ref().expect("it was there"))?;
    world.tally.copies += 1;
    copies(world)
}

/// Effects that belong to another past, or to none, are refused or carried out; either way nothing
/// breaks.
pub fn stray(world: &mut World, nth: usize, fault: Option<Fault>, step: &Step) -> Result<(), String> {
    let Some(primary) = &world.primary else { return Ok(()) };
    let mut effects = world.file[nth % world.file.len()].clone();
    if let Some(fault) = fault {
        fault.strike(&mut effects);
    }
    let mut key = Some(copies::reload(primary)?);
    let mut out = Outcome::default();
    let conditions = Conditions { replayed: true, ..step.conditions(&world.settings) };
    let result = run("WF.APPLY", &effects, &mut key, &conditions, &mut out);
    world.tally.stray[usize::from(result.is_err())] += 1;
    let space = key.expect("it was there");
    if space.incomplete() {
        return Ok(());
    }
    invariant::check(&space)
        .map_err(|error| format!("stray effects ({result:?}): {error}: {}", world::shown(&effects)))
}

/// What is saved and damaged loads as a space that breaks no rule, or not at all.
pub fn corrupt(world: &mut World, fault: Fault) -> Result<(), String> {
    let Some(primary) = &world.primary else { return Ok(()) };
    let mut chunks = save(primary);
    fault.strike(&mut chunks);
    let loaded = load(&chunks);
    world.tally.corrupt[usize::from(loaded.is_err())] += 1;
    loaded.map_or(Ok(()), |space| invariant::check(&space))
}
