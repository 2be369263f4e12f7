//! The commands about whole workflows: what failed runs again, what is called off, lists, settings.

use super::{Act, MOST, Operations, words};
use crate::sim::documents::TYPES;
use crate::sim::model::State;
use crate::sim::world::World;

impl Operations {
    /// `WF.RETRY`, mostly of a workflow that has failed.
    pub fn retry(&mut self, world: &World) -> Vec<Vec<u8>> {
        let failed: Vec<_> =
            world.model.workflows.iter().filter(|workflow| workflow.has_failed_task()).collect();
        let timed_out = world.model.workflows.iter().filter(|workflow| workflow.timed_out);
        let candidates: Vec<_> = failed.into_iter().chain(timed_out).collect();
        let random = &mut self.random;
        if candidates.is_empty() || random.one_in(8) {
            let bad: [&[&str]; 4] = [&["TASK"], &["TASK", "t0"], &["TASK", "t0", "t1"], &[]];
            let bad: &&[&str] = random.pick(&bad);
            let bad = words(bad);
            return [words(&["WF.RETRY"]), vec![self.known_id(world)], bad].concat();
        }
        // Rarely there is nothing to run again.
        let nothing = candidates
            .iter()
            .find(|workflow| workflow.tasks.iter().all(|task| task.state == State::Completed));
        let workflow = nothing.copied().unwrap_or_else(|| *random.pick(&candidates));
        let mut command = [words(&["WF.RETRY"]), vec![workflow.id.clone()]].concat();
        if random.one_in(2) {
            let failed = workflow.tasks.iter().filter(|task| task.state == State::Failed);
            let mut names: Vec<_> = failed.map(|task| task.name.clone()).collect();
            if names.is_empty() || random.one_in(8) {
                names =
                    workflow.tasks.iter().map(|task| task.name.clone()).chain([b"nobody".to_vec()]).collect();
            }
            command.extend([b"task".to_vec(), random.pick(&names).clone()]);
        }
        command
    }

    /// `WF.CANCEL` of one or two workflows.
    pub fn cancel(&mut self, world: &World) -> Vec<Vec<u8>> {
        let mut command = words(&["WF.CANCEL"]);
        command.push(self.known_id(world));
        if self.random.one_in(4) {
            command.push(self.known_id(world));
        }
        let reasons: [&[&str]; 6] = [
            &[],
            &[],
            &["REASON", "why"],
            &["reason", ""],
            &["REASON", "a reason of twenty-four"],
            &["REASON"],
        ];
        let reason: &&[&str] = self.random.pick(&reasons);
        command.extend(words(reason));
        command
    }

    /// A listing that begins, goes on, or is read to its end at once.
    pub fn listing(&mut self, world: &World) -> Act {
        match self.random.below(16) {
            0..8 if world.is_listing() => Act::ListOn,
            0..12 => Act::List(self.filter()),
            12 => {
                let mut list = self.filter();
                let bad: [&[&str]; 8] = [
                    &["STATE", "lost"],
                    &["COUNT", "0"],
                    &["COUNT", "1000001"],
                    &["CURSOR", "next"],
                    &["CURSOR", "1-2"],
                    &["OLDER", "-1"],
                    &["TYPE"],
                    &["SORTED"],
                ];
                let bad: &&[&str] = self.random.pick(&bad);
                list.extend(words(bad));
                Act::Command(list)
            }
            13 => {
                // A cursor that nobody gave is as good as any.
                let (form, cursors): (_, [&str; 4]) = if self.random.one_in(2) {
                    (&["WF.LIST"][..], ["0", "3", "70000", "4294967295"])
                } else {
                    let latest = "281474976710655-17592186044415-4294967295";
                    (&["WF.LIST", "FAILED"][..], ["0", "0-0-0", "1700000000000-1-0", latest])
                };
                let cursor = *self.random.pick(&cursors);
                Act::Command(words(&[form, &["CURSOR", cursor]].concat()))
            }
            _ => Act::ListAll(self.filter()),
        }
    }

    /// `WF.LIST`
    pub fn filter(&mut self) -> Vec<Vec<u8>> {
        let random = &mut self.random;
        let failed = random.one_in(2);
        let mut filter = words(if failed { &["WF.LIST", "failed"] } else { &["WF.LIST"] });
        if !failed && random.one_in(3) {
            let state = *random.pick(&["running", "paused", "completed", "FAILED", "cancelled"]);
            filter.extend(words(&["STATE", state]));
        }
        if random.one_in(4) {
            filter.extend(words(&["TYPE", if random.one_in(6) { "none" } else { *random.pick(&TYPES) }]));
        }
        if random.one_in(4) {
            filter.extend(words(&["PREFIX", *random.pick(&["", "n", "nightly", "x"])]));
        }
        for (name, odds) in [("OLDER", 6), ("newer", 6)] {
            if random.one_in(odds) {
                filter.extend(words(&[name, *random.pick(&["0", "100", "5000", "100000000", MOST])]));
            }
        }
        if random.one_in(2) {
            filter.extend(words(&["COUNT", *random.pick(&["1", "2", "3", "20"])]));
        }
        filter
    }

    /// `WF.CONFIG`
    pub fn configure(&mut self) -> Vec<Vec<u8>> {
        let random = &mut self.random;
        if random.one_in(3) {
            return self.stream();
        }
        if random.one_in(3) {
            let pattern = *random.pick(&[
                "*",
                "retain-*",
                "ev*",
                "default-max-attempts",
                "*-ms",
                "none",
                "retain-?????",
            ]);
            return words(&["WF.CONFIG", "GET", pattern]);
        }
        let mut command = words(&["WF.CONFIG", "set"]);
        let mut settings: Vec<(&str, &[&str])> = vec![
            ("default-lease-ms", &["1", "300", "60000", "default"]),
            ("default-max-attempts", &["1", "2", "3", "65535", "default"]),
            ("default-max-deliveries", &["1", "2", "3", "default"]),
            ("retain-completed-ms", &["0", "1000", "3600000", MOST, "default"]),
            ("retain-failed-ms", &["0", "1000", "3600000", MOST, "DEFAULT"]),
            ("retain-count", &["0", "1", "2", "3", "4294967295", "default", "default"]),
            ("retain-bytes", &["0", "2000", "100000000", "1099511627776", "default", "default"]),
            ("events-maxlen", &["0", "10", "4294967295", "default"]),
        ];
        for _ in 0..1 + random.below(2) {
            let (name, values) = settings.swap_remove(random.below(settings.len() as u64) as usize);
            command.extend(words(&[name, *random.pick(values)]));
        }
        if random.one_in(8) {
            let bad: [&[&str]; 9] = [
                &["default-lease-ms", "0"],
                &["default-max-attempts", "65536"],
                &["default-max-deliveries", "-1"],
                &["retain-completed-ms", "315360000001"],
                &["retain-count", "4294967296"],
                &["retain-bytes", "1099511627777"],
                &["retain-bytes"],
                &["max-tasks", "5"],
                &["colour", "red"],
            ];
            let bad: &&[&str] = random.pick(&bad);
            command.extend(words(bad));
        }
        command
    }

    /// `WF.CONFIG` of the stream of events, mostly to one that can be.
    fn stream(&mut self) -> Vec<Vec<u8>> {
        let random = &mut self.random;
        let long = "x".repeat(510) + "{k}";
        let streams =
            ["{k}events", "{k}events", "x{k}\u{e4}\0", "{k}{j}", "", "default", "k", "j", "{}k", &long];
        let mut command = words(&["WF.CONFIG", "SET", "Events", *random.pick(&streams)]);
        let more: [&[&str]; 5] = [&[], &[], &["events-maxlen", "5"], &["events", "{k}again"], &["events"]];
        let more: &&[&str] = random.pick(&more);
        command.extend(words(more));
        command
    }
}
