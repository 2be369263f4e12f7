//! The simulator of a cluster: what crashes, failovers, cut links, clocks and clients that lose their
//! answers do to a space on several servers. Its subject is not what a command does but what is left of
//! it. Test only.
//!
//! A seed gives a run: servers with disks, links, clocks and roles, and clients that push, work and
//! repeat themselves, each a value or a small state machine. After every step each server that changed
//! keeps the invariants, and is what every other server was at the same place of history, however it got
//! there. At the end faults stop, everything ends, and a judge reads what clients saw. A failure prints
//! the seed and the shortest history that shows it, in words.
//!
//! | file | idea |
//! |---|---|
//! | `history` | branches and offsets: what is lost, exactly |
//! | `clock` | a server's clock, which drifts and is set, as the module reads it |
//! | `disk` | snapshot and effects as bytes; a torn tail |
//! | `link` | what is on its way to a replica |
//! | `node` | a server |
//! | `primary` | one turn of a primary: a command or the timer, and whom it wakes |
//! | `world` | servers and clients together, and what must hold after a step |
//! | `serve` | who answers, what is told of it, and which way effects go |
//! | `faults`, `roles` | what is done to servers, and who follows whom |
//! | `ending` | faults stop, everything ends |
//! | `client`, `shapes`, `request` | who asks what, random workflows, and what an answer says |
//! | `record`, `judge`, `life` | what happened, and which promises were broken in which history; pure |
//! | `step`, `choose` | what may happen, and a random choice of it |
//! | `tally` | what happened, to see that enough did |
//!
//! Not simulated: the server itself, whose part is taken from its documentation and from the tests on
//! real ones (`docs/reliability.md`), and replicas of replicas.

mod choose;
mod client;
mod clock;
mod disk;
mod ending;
mod faults;
mod history;
mod judge;
mod judge_tests;
mod life;
mod link;
mod node;
mod primary;
mod record;
mod request;
mod roles;
mod serve;
mod shapes;
mod step;
mod tally;
mod world;

use super::runner::{self, Run};
use choose::Source;
use step::Step;
use tally::Tally;
use world::{Planted, World};

/// Seeds and steps of the set that `cargo test` runs.
const SEEDS: u64 = 2_500;
const STEPS: u64 = 200;

#[test]
fn thousands_of_seeds_of_faults_break_no_promise() {
    runner::test::<World>(SEEDS, STEPS);
}

/// How many seeds it takes until a fault of the simulated world is noticed, and what is said of it.
fn noticed(planted: Planted) -> (u64, String) {
    let failure = |seed| {
        let (mut world, mut source) = (World::with(seed, Some(planted)), Source::new(seed));
        let mut steps = || {
            (0..STEPS).try_for_each(|_| {
                let step = source.next(&world);
                world.act(&step)
            })?;
            world.finish()
        };
        Some((seed + 1, runner::guarded(&mut steps).err()?))
    };
    (0..SEEDS).find_map(failure).expect("it is noticed")
}

#[test]
fn a_link_that_loses_an_effect_is_noticed() {
    let (seeds, what) = noticed(Planted::LostEffect);
    println!("after {seeds} seeds: {what}");
}

#[test]
fn a_promoted_server_that_draws_the_nonces_of_others_is_noticed() {
    let (seeds, what) = noticed(Planted::SameNonces);
    println!("after {seeds} seeds: {what}");
    assert!(what.contains("was issued 2 times"), "{what}");
}

#[test]
fn a_server_that_forgets_the_last_effect_of_its_file_is_noticed() {
    let (seeds, what) = noticed(Planted::ForgottenEffect);
    println!("after {seeds} seeds: {what}");
}

#[test]
fn a_replica_that_goes_by_its_own_clock_is_noticed() {
    let (seeds, what) = noticed(Planted::OwnClock);
    println!("after {seeds} seeds: {what}");
    assert!(what.contains("is not at"), "{what}");
}

impl Run for World {
    const NAME: &'static str = "cluster";
    const LONG_STEPS: u64 = 400;
    type Step = Step;
    type Source = Source;
    type Tally = Tally;

    fn new(seed: u64) -> World {
        World::with(seed, None)
    }

    fn source(seed: u64) -> Source {
        Source::new(seed)
    }

    fn next(&self, source: &mut Source) -> Step {
        source.next(self)
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        self.act(step)
    }

    fn end(&mut self) -> Result<(), String> {
        self.finish()
    }

    fn tally(self) -> Tally {
        self.tally
    }

    fn story(seed: u64, steps: &[Step]) -> (String, Vec<String>) {
        let mut world = World::with(seed, None);
        world.story = Some(Vec::new());
        let told = steps.iter().try_for_each(|step| runner::guarded(|| world.act(step)));
        if told.is_ok() {
            let _ = runner::guarded(|| world.finish());
        }
        let settings = format!(
            "{} servers, grace of {} ms, {}",
            world.nodes.len(),
            world.settings.grace_ms,
            if world.always { "synced before each answer" } else { "synced now and then" }
        );
        (settings, world.story.unwrap_or_default())
    }
}
