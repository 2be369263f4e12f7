//! Runs of any simulator: seeds on all cores, the shortest history of one that fails, and what the
//! environment says of it.
//!
//! `SIM_SEED=n` runs that seed alone, `SIM_STEPS=n` makes runs longer, `SIM_SECONDS=n` runs ever new
//! seeds for so long, and `SIM_ONLY=name` leaves the other simulator out.

use super::shrink;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a history is being shortened.
const PATIENCE: Duration = Duration::from_secs(20);

/// One run of a simulator. A run is its seed and its list of steps and nothing else, so any part of a
/// list can be run again, which is how the shortest failing history is found.
pub trait Run: Sized {
    /// What `SIM_ONLY` calls it.
    const NAME: &'static str;
    /// Steps of a run of its own.
    const LONG_STEPS: u64;
    /// What may happen.
    type Step: Clone + fmt::Debug;
    /// Where steps come from.
    type Source;
    /// What happened.
    type Tally: Counts;

    /// A world in which nothing has happened.
    fn new(seed: u64) -> Self;
    /// Its source of steps.
    fn source(seed: u64) -> Self::Source;
    /// The next step in this world.
    fn next(&self, source: &mut Self::Source) -> Self::Step;
    /// Does one step and checks everything; an error says what is wrong.
    fn step(&mut self, step: &Self::Step) -> Result<(), String>;
    /// Brings the run to its end and checks what must hold then.
    fn end(&mut self) -> Result<(), String>;
    /// What happened in it.
    fn tally(self) -> Self::Tally;
    /// A history for people: under which settings, and a line a step.
    fn story(seed: u64, steps: &[Self::Step]) -> (String, Vec<String>);
}

/// What happened in runs, so that a test can see that it tested something.
pub trait Counts: Default + fmt::Display + Send {
    /// Adds another tally to this one.
    fn add(&mut self, other: &Self);
    /// What never happened, or too rarely, although it should have.
    fn missing(&self) -> Vec<String>;
}

/// Runs a fixed set of seeds, or what the environment says, and prints what happened.
pub fn test<R: Run>(seeds: u64, steps: u64) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    if std::env::var("SIM_ONLY").is_ok_and(|only| !only.is_empty() && only != R::NAME) {
        return;
    }
    let (seed, wanted, seconds) = (number("SIM_SEED"), number("SIM_STEPS"), number("SIM_SECONDS"));
    let (first, count, length) = match (seed, seconds) {
        (Some(seed), None) => (seed, 1, wanted.unwrap_or(R::LONG_STEPS)),
        (None, None) => (0, seeds, wanted.unwrap_or(steps)),
        (seed, Some(_)) => {
            let clock = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
            (seed.unwrap_or(clock), u64::MAX - clock, wanted.unwrap_or(R::LONG_STEPS))
        }
    };
    let deadline = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let (done, tally) =
        seeds_from::<R>(first, count, length, deadline).unwrap_or_else(|what| panic!("{what}"));
    println!("{}: {done} seeds from {first}: {tally}", R::NAME);
    if count >= seeds && length >= steps {
        assert_eq!(tally.missing(), [""; 0], "never happened, so nothing was tested about it");
    }
}

/// Runs seeds on all cores, until there are no more or the time is up; the error of the first that
/// fails is a report for people.
fn seeds_from<R: Run>(
    first: u64,
    count: u64,
    steps: u64,
    deadline: Option<Instant>,
) -> Result<(u64, R::Tally), String> {
    let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let in_time = || deadline.is_none_or(|deadline| Instant::now() < deadline);
    let work = || {
        let (mut seeds, mut tally) = (0, R::Tally::default());
        while in_time() {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            if nth >= count {
                break;
            }
            match live::<R>(first + nth, steps) {
                Ok(one) => tally.add(&one),
                Err((history, what)) => {
                    // The others stop as well; whoever is second to fail says nothing.
                    next.store(count, Ordering::Relaxed);
                    match failed.swap(true, Ordering::Relaxed) {
                        true => break,
                        false => return Err(report::<R>(first + nth, history, &what)),
                    }
                }
            }
            seeds += 1;
        }
        Ok((seeds, tally))
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut total = (0, R::Tally::default());
        for worker in workers {
            let (seeds, tally) = worker.join().expect("panics are caught")?;
            total.0 += seeds;
            total.1.add(&tally);
        }
        Ok(total)
    })
}

/// What failed, for people.
fn report<R: Run>(seed: u64, history: Vec<R::Step>, what: &str) -> String {
    let number = history.len();
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let shortest = shrink::shrink(history, |steps| again::<R>(seed, steps).is_err(), PATIENCE);
    let what_then = again::<R>(seed, &shortest).err().unwrap_or_default();
    set_hook(hook);
    let (settings, lines) = R::story(seed, &shortest);
    format!(
        "seed {seed}, step {number}: {what}\nreplay: make sim SIM={} SEED={seed} STEPS={number}\n\
         shortest history ({settings}), which ends in: {what_then}\n{}\n",
        R::NAME,
        lines.join("\n"),
    )
}

/// A run of this seed, and if it fails its steps and what is wrong.
fn live<R: Run>(seed: u64, steps: u64) -> Result<R::Tally, (Vec<R::Step>, String)> {
    let (mut run, mut source) = (R::new(seed), R::source(seed));
    let mut history: Vec<R::Step> = Vec::new();
    for _ in 0..steps {
        let step = run.next(&mut source);
        history.push(step);
        let step = &history[history.len() - 1];
        if let Err(what) = guarded(|| run.step(step)) {
            return Err((history, what));
        }
    }
    match guarded(|| run.end()) {
        Ok(()) => Ok(run.tally()),
        Err(what) => Err((history, what)),
    }
}

/// The same steps, or some of them, once more, up to the first that fails.
pub fn again<R: Run>(seed: u64, steps: &[R::Step]) -> Result<(), String> {
    let mut run = R::new(seed);
    steps.iter().try_for_each(|step| guarded(|| run.step(step)))?;
    guarded(|| run.end())
}

/// A panic is an error like any other.
pub fn guarded(body: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Err(format!("panic: {}", text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("?")))
    })
}
