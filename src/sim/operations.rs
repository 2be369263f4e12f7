//! What is done next: random, but made up from what the model knows, so that ids exist and tokens
//! are worth something often enough.

use super::documents::{self, TYPES};
use super::model::{State, Task, Workflow};
use super::random::Random;
use super::step::{Act, Fault, START, Step};
use super::world::World;

const WORKERS: [&str; 3] = ["alice", "bob", "w\u{f6}rker 3"];
const HOUR: u64 = 3_600_000;

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
        self.clock();
        let act = self.act(world);
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
            0 => self.now += HOUR + random.below(40 * HOUR),
            1 => self.now = self.now.saturating_sub(random.below(2 * HOUR)).max(START - HOUR),
            2 => self.now = (self.now - random.below(100)).max(START - HOUR),
            3..=8 => {}
            9..=12 => self.now += random.below(3_000),
            _ => self.now += random.below(60),
        }
    }

    fn act(&mut self, world: &World) -> Act {
        // Keeps spaces small, so that histories are short and a step is cheap.
        if world.model.workflows.len() > 9 && self.random.one_in(2) {
            return Act::Command(self.delete(world));
        }
        let words = match self.random.below(212) {
            0..30 => self.push(world),
            30..78 => self.claim(),
            78..112 => self.complete(world),
            112..122 => self.fail(world),
            122..134 => self.extend(world),
            134..152 => self.pause_or_release(world),
            152..158 => self.recover(),
            158..165 => self.get(world),
            165..167 => self.delete(world),
            167..170 => self.stats(),
            170 => words(&["WF.APPLY", "pause", "all", "-"]),
            171..178 => return Act::Sweep,
            178..184 => return Act::Serve(self.random.below(8) as usize),
            184 => return Act::Leave(self.random.below(8) as usize),
            185..188 => return Act::ReloadPrimary,
            188..191 => return Act::ReloadReplica,
            191..193 => return Act::Rewrite,
            193..195 => return Act::Replay,
            195..198 => return Act::Copy,
            198..201 => return Act::Failover,
            201..205 => {
                let fault = if self.random.one_in(3) { None } else { Some(self.fault()) };
                return Act::Stray(self.random.below(1 << 20) as usize, fault);
            }
            205..209 => return Act::Corrupt(self.fault()),
            209 if self.random.one_in(3) => return Act::Drop,
            _ => {
                let words = match self.random.below(12) {
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
                    _ => self.stats(),
                };
                return Act::OnWrongType(words);
            }
        };
        Act::Command(words)
    }

    fn fault(&mut self) -> Fault {
        let change =
            if self.random.one_in(2) { 1 << self.random.below(8) } else { 1 + self.random.below(255) as u8 };
        Fault { place: self.random.below(1 << 32) as usize, change }
    }

    fn push(&mut self, world: &World) -> Vec<Vec<u8>> {
        let document = documents::random(&mut self.random);
        let mut command = words(&["WF.PUSH"]);
        command.push(document.source);
        let mut options: Vec<Vec<Vec<u8>>> = Vec::new();
        let random = &mut self.random;
        // A bad document under a taken id, or when no id is left, is wrong in two ways, and no rule
        // says which is told.
        if document.bad {
            options.push(words(&["ID", "of a bad document"]));
        } else if random.one_in(2) {
            options.push(vec![b"ID".to_vec(), self.own_id(world)]);
        }
        let random = &mut self.random;
        if random.one_in(6) {
            options.push(words(&["nx"]));
        }
        if random.one_in(4) {
            options
                .push(vec![b"INPUT".to_vec(), vec![b'\0', b'i', 0xff][..random.below(4) as usize].to_vec()]);
        } else if random.one_in(20) {
            options.push(words(&["INPUT", "more than eight bytes"]));
        }
        if random.one_in(5) {
            let priority = *random.pick(&["0", "7", "100", "16777215"]);
            options.push(words(&["PRIORITY", priority]));
        }
        if random.one_in(6) {
            options.push(words(&["PAUSED"]));
        }
        if random.one_in(50) {
            options.push(
                random.pick(&[words(&["PRIORITY", "-1"]), words(&["ID"]), words(&["DELAY", "5"])]).clone(),
            );
        }
        // Options come in any order, but a broken one without its value only makes sense at the end.
        if !options.is_empty() && random.one_in(2) && options.last().is_some_and(|option| option[0] != b"ID")
        {
            options.reverse();
        }
        command.extend(options.into_iter().flatten());
        command
    }

    fn own_id(&mut self, world: &World) -> Vec<u8> {
        let random = &mut self.random;
        match random.below(12) {
            0..3 => self.known_id(world),
            3..6 => random.below(12).to_string().into_bytes(),
            6 => b"007".to_vec(),
            7 => b"a-0-deadbeef".to_vec(),
            8 => b"\0 \xff%=\r\n".to_vec(),
            9 if random.one_in(20) => b"9223372036854775806".to_vec(),
            10 => b"9223372036854775807".to_vec(),
            _ => format!("own-{}", random.below(5)).into_bytes(),
        }
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

    fn claim(&mut self) -> Vec<Vec<u8>> {
        let mut command = words(&["WF.CLAIM", self.worker()]);
        let random = &mut self.random;
        if random.one_in(3) {
            let count = 1 + random.below(3) as usize;
            command.extend(words(&["TYPES", &count.to_string()]));
            for _ in 0..count {
                command.extend(words(&[if random.one_in(10) { "none" } else { *random.pick(&TYPES) }]));
            }
        }
        if random.one_in(2) {
            let count = if random.one_in(12) { 400 } else { 1 + random.below(5) };
            command.extend(words(&["COUNT", &count.to_string()]));
        }
        if random.one_in(4) {
            command.extend(words(&["block", *random.pick(&["0", "1", "5000", "3153600000000"])]));
        }
        if random.one_in(2) {
            command
                .extend(words(&["LEASE", *random.pick(&["1", "20", "100", "1000", "60000", "2592000000"])]));
        }
        if random.one_in(8) {
            command.extend(words(&["MAXPRIORITY", *random.pick(&["0", "50", "99", "100", "16777215"])]));
        }
        if random.one_in(3) {
            command.extend(words(&["WITHRESULTS"]));
        }
        if random.one_in(40) {
            command.extend(
                random
                    .pick(&[
                        words(&["COUNT", "0"]),
                        words(&["COUNT", "1000001"]),
                        words(&["LEASE", "2592000001"]),
                        words(&["MAXPRIORITY", "x"]),
                        words(&["BLOCK"]),
                        words(&["TYPES", "3", "a"]),
                        words(&["QUICK"]),
                    ])
                    .clone(),
            );
        }
        command
    }

    /// A token: one that is worth something, an old one, or a made-up one.
    fn token(&mut self, world: &World) -> Vec<u8> {
        let random = &mut self.random;
        let token = |workflow: &Workflow, index: usize, nonce: u32| {
            let tail = format!("-{index}-{nonce:08x}");
            [&workflow.id[..], tail.as_bytes()].concat()
        };
        let all = || {
            let workflows = world.model.workflows.iter();
            workflows.flat_map(|workflow| {
                workflow.tasks.iter().enumerate().map(move |(index, task)| (workflow, index, task))
            })
        };
        let choice = random.below(20);
        let wanted = |task: &Task| match choice {
            0..12 => task.state == State::Running,
            12..14 => task.state == State::Ready,
            _ => true,
        };
        let found: Vec<_> = all()
            .filter_map(|(workflow, index, task)| {
                task.nonce.filter(|_| wanted(task)).map(|nonce| token(workflow, index, nonce))
            })
            .collect();
        if choice < 16 && !found.is_empty() {
            return random.pick(&found).clone();
        }
        match random.below(8) {
            0..4 if !world.model.issued.is_empty() => random.pick(&world.model.issued).clone(),
            4 => b"nothing-0-00000000".to_vec(),
            5 if random.one_in(4) => random
                .pick(&[&b"1-0"[..], b"1-00-00000000", b"1-0-0000000G", b"1-0-ABCDEF01", b"-0-00000000"])
                .to_vec(),
            _ => {
                let places: Vec<_> = all().map(|(workflow, index, _)| (workflow, index)).collect();
                if places.is_empty() {
                    return b"1-0-01234567".to_vec();
                }
                let (workflow, index) = *random.pick(&places);
                let index = if random.one_in(3) { index + 20 } else { index };
                token(workflow, index, random.bits() as u32)
            }
        }
    }

    /// One token or several, each perhaps with a text after a keyword.
    fn tokens(&mut self, world: &World, keyword: Option<&str>) -> Vec<Vec<u8>> {
        let count = if self.random.one_in(2) { 1 } else { 1 + self.random.below(4) };
        let mut list = Vec::new();
        for _ in 0..count {
            let token = self.token(world);
            let twice = self.random.one_in(10);
            for _ in 0..1 + usize::from(twice) {
                list.push(token.clone());
                let Some(keyword) = keyword else { continue };
                let text: &[u8] = match self.random.below(8) {
                    0 | 1 => b"done",
                    2 => b"",
                    3 => b"\0 5:\xff",
                    4 if self.random.one_in(4) => b"longer than 8 bytes",
                    _ => continue,
                };
                list.extend([keyword.as_bytes().to_vec(), text.to_vec()]);
            }
        }
        list
    }

    fn complete(&mut self, world: &World) -> Vec<Vec<u8>> {
        if self.random.one_in(16) {
            let running = world.model.workflows.iter().flat_map(|workflow| {
                let indexes = 0..workflow.tasks.len();
                indexes
                    .filter(|&index| workflow.tasks[index].state == State::Running)
                    .map(|index| workflow.token(index))
            });
            let running: Vec<_> = running.collect();
            if !running.is_empty() {
                return [words(&["WF.COMPLETE"]), running].concat();
            }
        }
        [words(&["WF.COMPLETE"]), self.tokens(world, Some("RESULT"))].concat()
    }

    fn fail(&mut self, world: &World) -> Vec<Vec<u8>> {
        let mut command = [words(&["WF.FAIL"]), self.tokens(world, Some("error"))].concat();
        if self.random.one_in(30) {
            command.extend(self.random.pick(&[words(&["NORETRY"]), words(&["RETRY", "5"])]).clone());
        }
        command
    }

    fn extend(&mut self, world: &World) -> Vec<Vec<u8>> {
        let lease = if self.random.one_in(20) {
            *self.random.pick(&["0", "-5", "2592000001", "soon"])
        } else {
            *self.random.pick(&["1", "50", "1000", "60000", "2592000000"])
        };
        [words(&["WF.EXTEND", lease]), self.tokens(world, None)].concat()
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
            1..15 => command.extend(words(&["TASKS"])),
            _ => {}
        }
        command
    }

    fn delete(&mut self, world: &World) -> Vec<Vec<u8>> {
        let count = 1 + self.random.below(3);
        let ids: Vec<_> = (0..count).map(|_| self.known_id(world)).collect();
        [words(&["WF.DELETE"]), ids].concat()
    }

    fn stats(&mut self) -> Vec<Vec<u8>> {
        if self.random.one_in(20) { words(&["WF.STATS", "please"]) } else { words(&["WF.STATS"]) }
    }
}

fn words(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}
