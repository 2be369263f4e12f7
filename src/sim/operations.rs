//! What is done next: random, but made up from what the model knows, so that ids exist and tokens
//! are worth something often enough.

mod definitions;
mod push;
mod signal;
mod time;
mod tokens;

use super::documents::TYPES;
use super::model::State;
use super::random::Random;
use super::step::{Act, Fault, START, Step};
use super::world::World;

const WORKERS: [&str; 3] = ["alice", "bob", "w\u{f6}rker 3"];
const HOUR: u64 = 3_600_000;
/// Ten years in milliseconds, the longest of most times.
const TEN_YEARS: u64 = 315_360_000_000;
const MOST: &str = "315360000000";

/// A source of steps.
pub struct Operations {
    random: Random,
    now: u64,
}

impl Operations {
    /// From a seed.
    pub fn new(seed: u64) -> Operations {
        Operations { random: Random::new(seed), now: START }
    }

    /// The next step in this world.
    pub fn next(&mut self, world: &World) -> Step {
        let jumped = self.random.one_in(12) && self.jump_to_a_moment(world);
        if !jumped {
            self.clock();
        }
        // At such a moment those who depend on it come first, sometimes.
        let act = match self.random.below(6) {
            0 if jumped => Act::Sweep,
            1 if jumped => Act::Command(self.extend(world)),
            2 if jumped => Act::Command(self.fail(world)),
            _ => self.act(world),
        };
        let expire_from = match self.random.below(20) {
            0 => None,
            1 => Some(self.now + self.random.below(100)),
            2 => Some(self.now),
            _ => Some(START - HOUR),
        };
        let may_block = !self.random.one_in(4);
        Step { act, now: self.now, expire_from, may_block, nonces: self.random.bits() }
    }

    fn clock(&mut self) {
        let random = &mut self.random;
        match random.below(40) {
            // What waits as long as it can is due at last. Once: the times of a task span 34 years.
            0 if random.one_in(40) && self.now < START + TEN_YEARS => self.now += TEN_YEARS + HOUR,
            0 => self.now += HOUR + random.below(40 * HOUR),
            1 => self.now = self.now.saturating_sub(random.below(2 * HOUR)).max(START - HOUR),
            2 => self.now = (self.now - random.below(100)).max(START - HOUR),
            3..=8 => {}
            9..=12 => self.now += random.below(3_000),
            _ => self.now += random.below(60),
        }
    }

    /// Goes to the moment at which something is due, or one before or after it.
    fn jump_to_a_moment(&mut self, world: &World) -> bool {
        let mut moments = Vec::new();
        for (place, workflow) in world.model.workflows.iter().enumerate() {
            moments.extend(workflow.deadline);
            moments.extend(world.expires(place));
            for task in &workflow.tasks {
                match task.state {
                    State::Delayed => moments.push(task.due.1),
                    State::Ready => moments.extend(task.signal_due()),
                    State::Running => {
                        moments.push(task.deadline);
                        moments.extend(
                            task.options.timeout_ms.and_then(|timeout| Some(task.started? + timeout)),
                        );
                    }
                    _ => {}
                }
            }
        }
        moments.retain(|&moment| (self.now..self.now + 50 * HOUR).contains(&moment));
        if moments.is_empty() {
            return false;
        }
        self.now = *self.random.pick(&moments) + self.random.below(3) - 1;
        true
    }

    fn act(&mut self, world: &World) -> Act {
        // Keeps spaces small, so that histories are short and a step is cheap.
        if world.model.workflows.len() > 9 && self.random.one_in(2) {
            return Act::Command(self.delete(world));
        }
        let words = match self.random.below(306) {
            0..30 => self.push(world),
            30..78 => self.claim(),
            78..108 => self.complete(world),
            108..126 => self.fail(world),
            126..138 => self.extend(world),
            138..154 => self.pause_or_release(world),
            154..160 => self.recover(),
            160..163 => self.get(world),
            260..270 => self.wait(world),
            163..167 => self.why(world),
            167..169 => self.delete(world),
            169 => self.workers(),
            170..172 => self.stats(),
            172..180 => self.retry(world),
            180..184 => self.configure(),
            184 => self.cancel(world),
            185 => words(&["WF.APPLY", "pause", "all", "-"]),
            186..194 => return Act::Sweep,
            194..196 => {
                let by = 1_001 + self.random.below(3 * HOUR);
                // Some commands may have come before the timer.
                self.now += if self.random.one_in(3) { by / 2 } else { by };
                return Act::ClockAhead(by);
            }
            196..202 => return Act::Serve(self.random.below(8) as usize),
            202 => return Act::Leave(self.random.below(8) as usize),
            203..206 => return Act::ReloadPrimary,
            206..209 => return Act::ReloadReplica,
            209..211 => return Act::Rewrite,
            211..213 => return Act::Replay,
            213..216 => return Act::Copy,
            216..220 => return Act::Failover,
            220..224 => {
                let fault = if self.random.one_in(3) { None } else { Some(self.fault()) };
                return Act::Stray(self.random.below(1 << 20) as usize, fault);
            }
            224..228 => return Act::Corrupt(self.fault()),
            228 if self.random.one_in(3) => return Act::Drop,
            228..242 => return self.listing(world),
            246..260 => self.definition(world),
            270..294 => self.signal(world),
            294..306 => self.add(world),
            _ => return Act::OnWrongType(self.any(world)),
        };
        Act::Command(words)
    }

    /// Any command.
    fn any(&mut self, world: &World) -> Vec<Vec<u8>> {
        match self.random.below(23) {
            0 => self.push(world),
            1 => self.claim(),
            2 => self.complete(world),
            3 => self.fail(world),
            4 => self.extend(world),
            5 => self.pause_or_release(world),
            6 => self.recover(),
            7 => self.get(world),
            8 => self.delete(world),
            9 => words(&["WF.RELEASE", "ALL"]),
            10 => self.retry(world),
            11 => self.configure(),
            12 => self.filter(),
            13 => self.workers(),
            14 => self.why(world),
            15 => self.cancel(world),
            16 | 17 => self.definition(world),
            18 => self.wait(world),
            19 => self.signal(world),
            20 => self.add(world),
            _ => self.stats(),
        }
    }

    fn fault(&mut self) -> Fault {
        let change =
            if self.random.one_in(2) { 1 << self.random.below(8) } else { 1 + self.random.below(255) as u8 };
        Fault { place: self.random.below(1 << 32) as usize, change }
    }

    /// Mostly the id of a workflow that is there.
    fn known_id(&mut self, world: &World) -> Vec<u8> {
        let workflows = &world.model.workflows;
        if workflows.is_empty() || self.random.one_in(8) {
            return self.random.pick(&[b"99".to_vec(), b"nothing".to_vec()]).clone();
        }
        self.random.pick(workflows).id.clone()
    }

    fn worker(&mut self) -> &'static str {
        let worker: &&str = self.random.pick(&WORKERS);
        worker
    }

    fn pause_or_release(&mut self, world: &World) -> Vec<Vec<u8>> {
        // Released more often than paused, or nothing ever runs.
        let name = *self.random.pick(&["WF.PAUSE", "WF.RELEASE", "WF.RELEASE"]);
        let count = 1 + self.random.below(2);
        match self.random.below(16) {
            0..10 => {
                let ids = (0..count).map(|_| {
                    let paused: Vec<_> =
                        world.model.workflows.iter().filter(|workflow| workflow.paused).collect();
                    if name == "WF.RELEASE" && !paused.is_empty() {
                        self.random.pick(&paused).id.clone()
                    } else {
                        self.known_id(world)
                    }
                });
                let ids: Vec<_> = ids.collect();
                [words(&[name, "ID"]), ids].concat()
            }
            10..13 => {
                let random = &mut self.random;
                let types =
                    (0..count).map(|_| if random.one_in(8) { "unseen" } else { *random.pick(&TYPES) });
                [words(&[name, "type"]), words(&types.collect::<Vec<_>>())].concat()
            }
            13..15 => words(&[name, "ALL"]),
            _ => {
                let bad: [&[&str]; 4] = [&["ID"], &["TYPE"], &["EVERYTHING"], &["ALL", "of it"]];
                let bad: &&[&str] = self.random.pick(&bad);
                [words(&[name]), words(bad)].concat()
            }
        }
    }

    fn recover(&mut self) -> Vec<Vec<u8>> {
        let mut command = words(&["WF.RECOVER", self.worker()]);
        let options: [&[&str]; 7] = [
            &[],
            &[],
            &["RESUME"],
            &["resume"],
            &["RESUME", "LEASE", "50"],
            &["RESUME", "LEASE", "0"],
            &["LEASE", "5"],
        ];
        let options = *self.random.pick(&options);
        command.extend(words(options));
        command
    }

    fn get(&mut self, world: &World) -> Vec<Vec<u8>> {
        let mut command = vec![b"WF.GET".to_vec(), self.known_id(world)];
        match self.random.below(20) {
            0 => command.extend(words(&["EVERYTHING"])),
            1..11 => command.extend(words(&["TASKS"])),
            11..17 => {
                let pages: [&[&str]; 8] = [
                    &["tasks", "FROM", "0"],
                    &["TASKS", "COUNT", "1"],
                    &["TASKS", "FROM", "2", "COUNT", "2"],
                    &["TASKS", "count", "3", "from", "1"],
                    &["TASKS", "FROM", "1048575"],
                    &["TASKS", "FROM", "1048576"],
                    &["TASKS", "COUNT", "0"],
                    &["FROM", "1", "TASKS"],
                ];
                command.extend(words(pages[self.random.below(pages.len() as u64) as usize]));
            }
            _ => {}
        }
        command
    }

    fn wait(&mut self, world: &World) -> Vec<Vec<u8>> {
        let count = match self.random.below(40) {
            0 => 1025,
            n => 1 + n as usize % 3,
        };
        let ids: Vec<_> = (0..count).map(|_| self.known_id(world)).collect();
        let options: [&[&str]; 8] = [
            &[],
            &["BLOCK", "0"],
            &["BLOCK", "0"],
            &["block", "50"],
            &["BLOCK", "3153600000000"],
            &["BLOCK", "3153600000001"],
            &["BLOCK"],
            &["BLOCK", "x"],
        ];
        let options = *self.random.pick(&options);
        [words(&["WF.WAIT"]), ids, words(options)].concat()
    }

    fn why(&mut self, world: &World) -> Vec<Vec<u8>> {
        let id = self.known_id(world);
        let mut command = vec![b"WF.WHY".to_vec(), id.clone()];
        match self.random.below(20) {
            0 => command.extend(words(&["a", "b"])),
            1 => command.push(vec![b'n'; 513]),
            2 => command.extend(words(&["nothing"])),
            3..16 => {
                let workflow = world.model.workflows.iter().find(|workflow| workflow.id == id);
                command.extend(workflow.map(|workflow| self.random.pick(&workflow.tasks).name.clone()));
            }
            _ => {}
        }
        command
    }

    fn delete(&mut self, world: &World) -> Vec<Vec<u8>> {
        let count = 1 + self.random.below(3);
        let ids: Vec<_> = (0..count).map(|_| self.known_id(world)).collect();
        [words(&["WF.DELETE"]), ids].concat()
    }

    fn workers(&mut self) -> Vec<Vec<u8>> {
        if self.random.one_in(20) { words(&["WF.WORKERS", "all"]) } else { words(&["WF.WORKERS"]) }
    }

    fn stats(&mut self) -> Vec<Vec<u8>> {
        if self.random.one_in(20) { words(&["WF.STATS", "please"]) } else { words(&["WF.STATS"]) }
    }
}

fn words(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}
