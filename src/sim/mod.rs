//! The simulator: random operations on the module and on a naive model of the contract, compared
//! after every step. Test only.
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
//! | `shrink` | the shortest history that fails |
//! | `random` | numbers from a seed |
//!
//! `cargo test` runs a fixed set of seeds. `SIM_SEED=n` runs that seed alone, `SIM_STEPS=n` makes
//! runs longer, and `SIM_SECONDS=n` runs ever new seeds for so long.

mod adopt;
mod awaited;
mod checks;
mod copies;
mod documents;
mod forged;
mod model;
mod operations;
mod paging;
pub mod random;
mod shrink;
mod step;
mod tally;
mod tree;
mod world;

use operations::Operations;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use step::Step;
use tally::Tally;
use world::World;

/// Seeds and steps of the set that `cargo test` runs.
const SEEDS: u64 = 2_500;
const STEPS: u64 = 100;
/// Steps of a run of its own.
const LONG_STEPS: u64 = 1_000;
/// How long a history is being shortened.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn runs_thousands_of_seeds_as_the_model_does() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let (seed, steps, seconds) = (number("SIM_SEED"), number("SIM_STEPS"), number("SIM_SECONDS"));
    let (first, count, steps) = match (seed, seconds) {
        (Some(seed), None) => (seed, 1, steps.unwrap_or(LONG_STEPS)),
        (None, None) => (0, SEEDS, steps.unwrap_or(STEPS)),
        (seed, Some(_)) => {
            let clock = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
            (seed.unwrap_or(clock), u64::MAX - clock, steps.unwrap_or(LONG_STEPS))
        }
    };
    let deadline = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let (seeds, tally) = run_seeds(first, count, steps, deadline);
    println!("{seeds} seeds from {first}: {tally}");
    if count >= SEEDS && steps >= STEPS {
        assert_eq!(tally.missing(), [""; 0], "never happened, so nothing was tested about it");
    }
}

#[test]
fn a_lost_effect_is_noticed() {
    let mut world = World::new(world::settings(false));
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
    let mut world = World::new(world::settings(false));
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

/// Runs seeds on all cores, until there are no more or the time is up.
fn run_seeds(first: u64, count: u64, steps: u64, deadline: Option<Instant>) -> (u64, Tally) {
    let next = AtomicU64::new(0);
    let in_time = || deadline.is_none_or(|deadline| Instant::now() < deadline);
    let work = || {
        let (mut seeds, mut tally) = (0, Tally::default());
        while in_time() {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            if nth >= count {
                break;
            }
            match run_seed(first + nth, steps) {
                Ok(one) => tally.add(&one),
                Err(message) => {
                    // The others stop as well.
                    next.store(count, Ordering::Relaxed);
                    panic!("{message}");
                }
            }
            seeds += 1;
        }
        (seeds, tally)
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut total = (0, Tally::default());
        for worker in workers {
            let (seeds, tally) = worker.join().unwrap_or_else(|failure| std::panic::resume_unwind(failure));
            total.0 += seeds;
            total.1.add(&tally);
        }
        total
    })
}

/// Runs one seed; an error is a report for people.
fn run_seed(seed: u64, steps: u64) -> Result<Tally, String> {
    let settings = world::settings(seed % 2 == 1);
    let mut world = World::new(settings.clone());
    let mut operations = Operations::new(seed);
    let mut history: Vec<Step> = Vec::new();
    for number in 0..steps {
        let step = operations.next(&world);
        history.push(step);
        if let Err(what) = guarded(&mut world, &history[number as usize]) {
            let replay = |steps: &[Step]| {
                let mut world = World::new(settings.clone());
                steps.iter().find_map(|step| guarded(&mut world, step).err())
            };
            let hook = take_hook();
            set_hook(Box::new(|_| {}));
            let shortest = shrink::shrink(history, |steps| replay(steps).is_some(), PATIENCE);
            let what_then = replay(&shortest);
            set_hook(hook);
            let lines: Vec<String> = shortest.iter().map(Step::to_string).collect();
            return Err(format!(
                "seed {seed}, step {number}: {what}\nreplay: make sim SEED={seed} STEPS={}\n\
                 shortest history ({} settings), which ends in: {}\n{}\n",
                number + 1,
                if seed % 2 == 1 { "tight" } else { "default" },
                what_then.unwrap_or_default(),
                lines.join("\n"),
            ));
        }
        world.tally.steps += 1;
    }
    Ok(world.tally)
}

/// Does a step; a panic is an error like any other.
fn guarded(world: &mut World, step: &Step) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| world.step(step))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Err(format!("panic: {}", text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("?")))
    })
}
