//! What workers say with their tokens, and claims, by which they come to them.

use super::{MOST, Operations, words};
use crate::sim::documents::{self, TYPES};
use crate::sim::model::{State, Task, Workflow};
use crate::sim::world::World;

impl Operations {
    /// `WF.CLAIM`
    pub fn claim(&mut self) -> Vec<Vec<u8>> {
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

    /// One token or several, each perhaps with a text after a keyword, and more where things fail.
    fn tokens(&mut self, world: &World, keyword: Option<&str>) -> Vec<Vec<u8>> {
        let count = if self.random.one_in(2) { 1 } else { 1 + self.random.below(4) };
        let mut list = Vec::new();
        for _ in 0..count {
            let token = self.token(world);
            let twice = self.random.one_in(10);
            for _ in 0..1 + usize::from(twice) {
                list.push(token.clone());
                let Some(keyword) = keyword else { continue };
                let wish = if keyword == "error" { self.wish() } else { Vec::new() };
                let text: &[u8] = match self.random.below(8) {
                    0 | 1 => b"done",
                    2 => b"",
                    3 => b"\0 5:\xff",
                    4 if self.random.one_in(4) => b"longer than 8 bytes",
                    _ => {
                        list.extend(wish);
                        continue;
                    }
                };
                let text = [keyword.as_bytes().to_vec(), text.to_vec()];
                let (first, second) =
                    if self.random.one_in(2) { (&wish[..], &text[..]) } else { (&text[..], &wish[..]) };
                list.extend([first, second].concat());
            }
        }
        list
    }

    /// What is to follow a failure.
    fn wish(&mut self) -> Vec<Vec<u8>> {
        match self.random.below(12) {
            0 => words(&["noretry"]),
            1..4 => words(&["RETRY", *self.random.pick(&["0", "1", "50", "5000", MOST])]),
            _ => Vec::new(),
        }
    }

    /// `WF.COMPLETE`
    pub fn complete(&mut self, world: &World) -> Vec<Vec<u8>> {
        if self.random.one_in(8) {
            // All that run, or run down, or run again.
            let choice = self.random.below(3);
            let workflows = world.model.workflows.iter().filter(|workflow| match choice {
                0 => true,
                1 => workflow.failed,
                _ => !workflow.failed && workflow.has_failed_task(),
            });
            let running = workflows.flat_map(|workflow| {
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
        if self.random.one_in(4) {
            return self.choose(world);
        }
        [words(&["WF.COMPLETE"]), self.tokens(world, Some("RESULT"))].concat()
    }

    /// `WF.COMPLETE` with SKIP: of a task that has children, mostly.
    fn choose(&mut self, world: &World) -> Vec<Vec<u8>> {
        let names = |workflow: &Workflow, index: usize| -> Vec<Vec<u8>> {
            let children = workflow.tasks.iter().filter(|task| task.parents.contains(&index));
            children.map(|task| task.name.clone()).collect()
        };
        let repeats = self.random.one_in(10);
        let mut found = Vec::new();
        for workflow in &world.model.workflows {
            for (index, task) in workflow.tasks.iter().enumerate() {
                let wanted = if repeats { State::Completed } else { State::Running };
                let children = names(workflow, index);
                if task.state == wanted && task.nonce.is_some() && !children.is_empty() {
                    found.push((workflow.token(index), children));
                }
            }
        }
        let mut command = words(&["WF.COMPLETE"]);
        let mut children = vec![b"nobody".to_vec()];
        if found.is_empty() {
            command.extend(self.tokens(world, Some("RESULT")));
        } else {
            let (token, names) = self.random.pick(&found).clone();
            command.push(token);
            children = names;
        }
        if self.random.one_in(3) {
            command.extend(words(&["result", "r"]));
        }
        command.extend(words(&["Skip"]));
        match self.random.below(12) {
            0 => {}
            1 => command.extend([self.random.pick(&children).clone(), b"nobody".to_vec()]),
            2..5 => command.extend(children),
            _ => {
                for _ in 0..1 + self.random.below(3) {
                    command.push(self.random.pick(&children).clone());
                }
            }
        }
        command
    }

    /// `WF.FAIL`
    pub fn fail(&mut self, world: &World) -> Vec<Vec<u8>> {
        let mut command = [words(&["WF.FAIL"]), self.tokens(world, Some("error"))].concat();
        if self.random.one_in(30) {
            let bad: [&[&str]; 5] = [
                &["NORETRY", "RETRY", "5"],
                &["RETRY", "315360000001"],
                &["RETRY"],
                &["NORETRY", "noretry"],
                &["ERROR"],
            ];
            let bad: &&[&str] = self.random.pick(&bad);
            command.extend(words(bad));
        }
        command
    }

    /// `WF.EXTEND`
    pub fn extend(&mut self, world: &World) -> Vec<Vec<u8>> {
        let lease = if self.random.one_in(20) {
            *self.random.pick(&["0", "-5", "2592000001", "soon"])
        } else {
            *self.random.pick(&["1", "50", "1000", "60000", "2592000000"])
        };
        [words(&["WF.EXTEND", lease]), self.tokens(world, None)].concat()
    }

    /// `WF.ADD`: tasks for the workflow of a task that has a token, mostly.
    pub fn add(&mut self, world: &World) -> Vec<Vec<u8>> {
        let beside = if self.random.one_in(2) { self.beside_a_failure(world) } else { None };
        let token = beside.unwrap_or_else(|| self.token(world));
        let task = |workflow: &'_ Workflow| {
            let with =
                |&index: &usize| workflow.tasks[index].nonce.is_some() && workflow.token(index) == token;
            (0..workflow.tasks.len()).find(with)
        };
        let to = world.model.workflows.iter().find_map(|workflow| Some((workflow, task(workflow)?)));
        let tasks = documents::added(&mut self.random, to);
        let mut command = [words(&["WF.ADD"]), vec![token, tasks]].concat();
        if self.random.one_in(60) {
            command.extend(words(&["twice"]));
        }
        command
    }

    /// A token of a task that runs in a workflow of which another has failed.
    fn beside_a_failure(&mut self, world: &World) -> Option<Vec<u8>> {
        let workflows = world.model.workflows.iter().filter(|workflow| workflow.has_failed_task());
        let running = workflows.flat_map(|workflow| {
            let runs = |&index: &usize| workflow.tasks[index].state == State::Running;
            (0..workflow.tasks.len()).filter(runs).map(|index| workflow.token(index))
        });
        let running: Vec<_> = running.collect();
        if running.is_empty() { None } else { Some(self.random.pick(&running).clone()) }
    }
}
