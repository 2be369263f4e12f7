//! Signals from outside, mostly to tasks that wait for one.

use super::{Operations, words};
use crate::sim::model::Task;
use crate::sim::world::World;

impl Operations {
    /// `WF.SIGNAL`
    pub fn signal(&mut self, world: &World) -> Vec<Vec<u8>> {
        let choice = self.random.below(20);
        let wanted = |task: &Task| match choice {
            0..9 => task.waits_for_signal(),
            9..12 => task.signal && task.is_open(),
            12..18 => task.signal && !task.is_open(),
            _ => true,
        };
        let workflows = world.model.workflows.iter();
        let found: Vec<_> = workflows
            .flat_map(|workflow| workflow.tasks.iter().map(move |task| (workflow, task)))
            .filter(|(_, task)| wanted(task))
            .map(|(workflow, task)| [workflow.id.clone(), task.name.clone()])
            .collect();
        let mut command = words(&["WF.SIGNAL"]);
        if found.is_empty() || self.random.one_in(30) {
            command.push(self.known_id(world));
            command.push(if self.random.one_in(8) { vec![b'n'; 513] } else { b"nobody".to_vec() });
        } else {
            command.extend(self.random.pick(&found).clone());
        }
        let ends: [&[&str]; 9] = [
            &[],
            &["RESULT", "yes"],
            &["result", ""],
            &["RESULT", "\0 5:=%"],
            &["FAIL", "no"],
            &["fail", ""],
            &["FAIL", "nobody\n"],
            &["RESULT", "longer than 8 bytes"],
            &["FAIL", "longer than 8 bytes"],
        ];
        let bad: [&[&str]; 5] = [
            &["RESULT"],
            &["FAIL"],
            &["RESULT", "a", "FAIL", "b"],
            &["FAIL", "a", "fail", "b"],
            &["AT", "once"],
        ];
        let end: &&[&str] =
            if self.random.one_in(20) { self.random.pick(&bad) } else { self.random.pick(&ends) };
        command.extend(words(end));
        command
    }
}
