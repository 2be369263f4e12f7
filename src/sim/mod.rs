//! The simulators. Test only. Here is that of commands: random operations on the module and on a naive
//! model of the contract, compared after every step. That of a cluster under faults is in [`cluster`].
//!
//! A seed gives a run: commands, timers, restarts, rewritten files, copies, at times of a clock that
//! sometimes jumps ahead or steps back. Replies are the model's, replicas and files follow by effects
//! alone, invariants hold. A failure prints the seed and the shortest history that shows it.
//!
//! | file | idea |
//! |---|---|
//! | `model` | what a space is and does, as plainly as possible |
//! | `step`, `operations`, `documents` | what may happen, and a random choice of it |
//! | `world`, `copies`, `checks` | primary, replica and file, and what must hold between them |
//! | `adopt` | what the model leaves open and learns from the module |
//! | `awaited` | clients that wait for workflows, and who of them is answered when |
//! | `forged` | effects that no primary sends |
//! | `paging` | listings page by page, while things change |
//! | `tree` | replies, compared |
//! | `tally` | what happened, to see that enough did |
//! | `cluster` | the other simulator: servers that die and are replaced, and a judge |
//! | `serving` | what runs on a key, without a server |
//! | `runner` | runs of either: seeds on all cores, and what the environment says of it |
//! | `shrink` | the shortest history that fails |
//! | `random` | numbers from a seed |
//!
//! `cargo test` runs a fixed set of seeds of each; see `runner` for longer runs.

mod adopt;
mod awaited;
mod checks;
mod cluster;
mod copies;
mod documents;
mod forged;
mod model;
mod operations;
mod paging;
pub mod random;
mod runner;
mod serving;
mod shrink;
mod step;
mod tally;
mod tree;
mod world;

use operations::Operations;
use runner::Run;
use step::Step;
use tally::Tally;
use world::World;

/// Seeds and steps of the set that `cargo test` runs.
const SEEDS: u64 = 2_500;
const STEPS: u64 = 100;

#[test]
fn runs_thousands_of_seeds_as_the_model_does() {
    runner::test::<World>(SEEDS, STEPS);
}

impl Run for World {
    const NAME: &'static str = "commands";
    const LONG_STEPS: u64 = 1_000;
    type Step = Step;
    type Source = Operations;
    type Tally = Tally;

    fn new(seed: u64) -> World {
        World::with(world::settings(seed % 2 == 1))
    }

    fn source(seed: u64) -> Operations {
        Operations::new(seed)
    }

    fn next(&self, operations: &mut Operations) -> Step {
        operations.next(self)
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        self.act_and_check(step)?;
        self.tally.steps += 1;
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn tally(self) -> Tally {
        self.tally
    }

    fn story(seed: u64, steps: &[Step]) -> (String, Vec<String>) {
        let settings = if seed % 2 == 1 { "tight settings" } else { "default settings" };
        (settings.to_owned(), steps.iter().map(Step::to_string).collect())
    }
}

#[test]
fn a_lost_effect_is_noticed() {
    let mut world = World::with(world::settings(false));
    let mut operations = Operations::new(0);
    while world.file.len() < 5 {
        let step = operations.next(&world);
        world.step(&step).expect("nothing is lost yet");
    }
    assert_eq!(checks::copies(&world), Ok(()));
    world.file.remove(0);
    let step = Step { act: step::Act::Replay, ..operations.next(&world) };
    assert!(world.step(&step).is_err(), "the file lost its first effect");
    world.replica = None;
    assert!(checks::copies(&world).is_err(), "the replica lost all of them");
}

/// Too rare to wait for: the deadline passes while the last tasks run, and they complete. Once such a
/// workflow ran again with nothing left to do, and for ever.
#[test]
fn a_timed_out_workflow_whose_tasks_completed_completes_when_it_is_retried() {
    let mut world = World::with(world::settings(false));
    let document = br#"{"tasks":[{"name":"a"}],"timeout_ms":50}"#;
    let mut run = |after: u64, words: &[&[u8]]| {
        let words = words.iter().map(|word| word.to_vec()).collect();
        let (act, now) = (step::Act::Command(words), step::START + after);
        let step = Step { act, now, expire_from: Some(0), may_block: false, nonces: 7 };
        world.step(&step).expect("as the model does");
        world.model.workflows[0].state()
    };
    run(0, &[b"WF.PUSH", document]);
    run(1, &[b"WF.CLAIM", b"alice"]);
    assert_eq!(run(60, &[b"WF.CLAIM", b"bob"]), "failed");
    // The token that the step's seed gives.
    let token = format!("1-0-{:08x}", random::Random::new(7).bits() as u32);
    run(61, &[b"WF.COMPLETE", token.as_bytes()]);
    assert_eq!(run(62, &[b"WF.RETRY", b"1"]), "completed");
}
