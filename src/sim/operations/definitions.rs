//! Definitions: a few names, so that they are defined anew, started and removed in turn.

use super::{Operations, words};
use crate::sim::documents;
use crate::sim::world::World;

const NAMES: [&[u8]; 4] = [b"nightly", b"a", b"\0 \xff%=", b"B"];

impl Operations {
    /// One of the commands of definitions, mostly a start.
    pub fn definition(&mut self, world: &World) -> Vec<Vec<u8>> {
        match self.random.below(12) {
            0..4 => self.define(world),
            4..9 => self.start(world),
            9 => self.undefine(world),
            _ => self.definitions(),
        }
    }

    fn define(&mut self, world: &World) -> Vec<Vec<u8>> {
        let wide = world.model.definitions.values().any(|definition| definition.document.tasks.len() > 100);
        let document = documents::random(&mut self.random, !wide);
        let random = &mut self.random;
        let name = match random.below(30) {
            // A bad document under such a name is wrong in two ways.
            0 if !document.bad => Vec::new(),
            1 if !document.bad => vec![b'n'; 513],
            _ => random.pick(&NAMES).to_vec(),
        };
        let mut command = words(&["WF.DEFINE"]);
        command.extend([name, document.source]);
        if random.one_in(60) {
            command.push(b"more".to_vec());
        }
        command
    }

    fn start(&mut self, world: &World) -> Vec<Vec<u8>> {
        let wide = world.model.workflows.iter().any(|workflow| workflow.tasks.len() > 100);
        let fits = |tasks: usize| tasks <= 100 || !wide;
        let there =
            world.model.definitions.iter().filter(|(_, definition)| fits(definition.document.tasks.len()));
        let there: Vec<&Vec<u8>> = there.map(|(name, _)| name).collect();
        let name = match there.is_empty() || self.random.one_in(12) {
            true => b"nobody defined".to_vec(),
            false => (*self.random.pick(&there)).clone(),
        };
        let mut command = words(&["WF.START"]);
        command.push(name);
        command.extend(self.terms(world, false));
        command
    }

    fn undefine(&mut self, world: &World) -> Vec<Vec<u8>> {
        let mut command = words(&["WF.UNDEFINE"]);
        for _ in 0..1 + self.random.below(2) {
            let name = world.model.definitions.keys().next().filter(|_| self.random.one_in(2)).cloned();
            command.push(name.unwrap_or_else(|| self.random.pick(&NAMES).to_vec()));
        }
        command
    }

    fn definitions(&mut self) -> Vec<Vec<u8>> {
        let options: [&[&str]; 7] =
            [&[], &[], &[], &["PATTERN", "n*"], &["pattern", "?"], &["PATTERN"], &["ALL"]];
        let options: &&[&str] = self.random.pick(&options);
        [words(&["WF.DEFINITIONS"]), words(options)].concat()
    }
}
