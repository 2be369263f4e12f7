//! Looking for what is new: an input that showed something is changed, run, and kept when it shows
//! something that none before it has.

use super::input::Input;
use super::mutate::{Pantry, mutate};
use super::random::Random;
use super::targets::{TARGETS, Target, quietly};
use super::watch::{self, Current};
use super::world::{World, save};
use super::{corpus, coverage, shrink};
use redisworkflow::engine::limits::Settings;
use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What one input may take, compiled without much optimisation on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a failing input is made smaller.
const SHRINKING: Duration = Duration::from_secs(30);

struct Options {
    seconds: u64,
    seed: u64,
    target: Option<String>,
    keep: bool,
}

impl Options {
    fn read(words: &[&str]) -> Result<Options, String> {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
        let mut options = Options { seconds: 60, seed: clock, target: None, keep: false };
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            let mut value = || words.next().copied().ok_or(format!("{word} needs a value"));
            let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text} is not a number"));
            match word {
                "--keep" => options.keep = true,
                "--seconds" => options.seconds = number(value()?)?,
                "--seed" => options.seed = number(value()?)?,
                "--target" => options.target = Some(value()?.to_owned()),
                _ => return Err(format!("{word}: there are --seconds --seed --target --keep")),
            }
        }
        match &options.target {
            Some(name) if !TARGETS.iter().any(|target| target.name == name) => {
                Err(format!("{name}: there are {}", Target::names()))
            }
            _ => Ok(options),
        }
    }

    fn targets(&self) -> impl Iterator<Item = &'static Target> {
        TARGETS.iter().filter(|target| self.target.as_deref().is_none_or(|name| name == target.name))
    }
}

fn options(words: &[&str]) -> Option<Options> {
    Options::read(words).map_err(|error| eprintln!("{error}")).ok()
}

/// Searches target after target, each in a process of its own.
pub fn main(words: &[&str]) -> ExitCode {
    let Some(options) = options(words) else { return ExitCode::FAILURE };
    let each = (options.seconds / options.targets().count() as u64).max(1);
    let mut more = vec!["--seed".to_owned(), options.seed.to_string()];
    more.extend(options.keep.then(|| "--keep".to_owned()));
    let found = options.targets().filter(|target| !watch::watch(target, each, &more)).count();
    if found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The search of one target.
pub fn watched(words: &[&str]) -> ExitCode {
    let Some(options) = options(words) else { return ExitCode::FAILURE };
    let Some(target) = options.targets().next() else { return ExitCode::FAILURE };
    let mut search = Search::new(target, options.seed);
    match quietly(|| search.run(Duration::from_secs(options.seconds))) {
        Ok(()) => {
            search.say();
            if options.keep {
                corpus::keep(target, search.pool);
            }
            ExitCode::SUCCESS
        }
        Err((input, what)) => {
            search.say();
            let small = quietly(|| shrink::shrink(input, |input| target.run(input).is_err(), SHRINKING));
            let left = watch::folder().join(format!("{}-failed.txt", target.name));
            std::fs::write(&left, small.to_text()).expect("what failed can be written");
            let what_then = quietly(|| target.run(&small)).err().unwrap_or_default();
            println!("{what}\nsmallest input, which ends in: {what_then}\n\n{}", small.to_text());
            println!("make fuzz REPLAY={}", left.display());
            ExitCode::FAILURE
        }
    }
}

struct Search {
    target: &'static Target,
    words: Vec<Vec<u8>>,
    random: Random,
    seed: u64,
    current: Current,
    /// What was seen: places in the code and outcomes, as numbers.
    seen: HashSet<u32>,
    /// What showed something, and what it showed.
    pool: Vec<(Input, Vec<u32>)>,
    runs: u64,
    outcomes: BTreeSet<String>,
}

impl Search {
    fn new(target: &'static Target, seed: u64) -> Search {
        Search {
            target,
            words: (target.words)(),
            random: Random::new(seed),
            seed,
            current: Current::of(target),
            seen: HashSet::new(),
            pool: Vec::new(),
            runs: 0,
            outcomes: BTreeSet::new(),
        }
    }

    fn run(&mut self, time: Duration) -> Result<(), (Input, String)> {
        let end = Instant::now() + time;
        for input in seeds(self.target) {
            self.try_one(input)?;
        }
        if self.pool.is_empty() {
            self.pool.push((Input::default(), Vec::new()));
        }
        while Instant::now() < end {
            let input = {
                // What was found last leads on most often.
                let (all, some) = (self.pool.len() as u64, (self.pool.len() as u64 / 4).max(1));
                let one = match self.random.one_in(2) {
                    true => self.random.below(all),
                    false => all - 1 - self.random.below(some),
                };
                let other = self.random.below(all);
                let pantry = Pantry {
                    other: &self.pool[other as usize].0,
                    words: &self.words,
                    binary: self.target.binary,
                    pieces: self.target.pieces,
                };
                mutate(&self.pool[one as usize].0, &pantry, &mut self.random)
            };
            self.try_one(input)?;
        }
        Ok(())
    }

    fn try_one(&mut self, input: Input) -> Result<(), (Input, String)> {
        self.current.write(&input);
        self.runs += 1;
        let start = Instant::now();
        coverage::begin();
        let outcome = self.target.run(&input);
        let mut features = Vec::new();
        coverage::reached(|feature| features.push(feature));
        if start.elapsed() > PATIENCE {
            return Err((input, format!("it took {} ms", start.elapsed().as_millis())));
        }
        let names = outcome.map_err(|what| (input.clone(), what))?;
        for name in names {
            let mut hasher = DefaultHasher::new();
            name.hash(&mut hasher);
            features.push(hasher.finish() as u32 | 1 << 31);
            if !self.outcomes.contains(&name) {
                self.outcomes.insert(name);
            }
        }
        let known = self.seen.len();
        self.seen.extend(&features);
        if self.seen.len() > known {
            self.pool.push((input, features));
        }
        Ok(())
    }

    fn say(&self) {
        let places: HashSet<u32> =
            self.seen.iter().filter(|&&seen| seen >> 31 == 0).map(|seen| seen / 8).collect();
        println!(
            "fuzz {}: {} runs from seed {}, {} outcomes, {} of {} places, {} inputs showed something",
            self.target.name,
            self.runs,
            self.seed,
            self.outcomes.len(),
            places.len(),
            coverage::places(),
            self.pool.len()
        );
    }
}

/// Where a search begins: what is kept, and what sessions leave as effects and as files.
fn seeds(target: &Target) -> Vec<Input> {
    let mut inputs = corpus::kept(target);
    let commands = TARGETS.iter().find(|target| target.name == "commands").expect("it is there");
    if target.name != "effects" && target.name != "snapshot" {
        return inputs;
    }
    for session in corpus::kept(commands) {
        let mut world = World::new(Settings::default());
        let mut stream = Input::default();
        for line in &session.pieces {
            if world.step(line).is_err() {
                break;
            }
            stream.pieces.extend(world.effects());
        }
        match (target.name, &world.primary) {
            ("effects", _) => inputs.push(stream),
            (_, Some(space)) => inputs.push(Input { pieces: save(space) }),
            (_, None) => {}
        }
    }
    inputs
}
