//! Pushes: a document, and options in any order.

use super::{HOUR, MOST, Operations, TEN_YEARS, words};
use crate::sim::documents;
use crate::sim::world::World;

impl Operations {
    /// `WF.PUSH`
    pub fn push(&mut self, world: &World) -> Vec<Vec<u8>> {
        // Two wide workflows could hold more than one sweep does.
        let wide = world.model.workflows.iter().any(|workflow| workflow.tasks.len() > 100);
        let document = documents::random(&mut self.random, !wide);
        let mut command = words(&["WF.PUSH"]);
        command.push(document.source);
        command.extend(self.terms(world, document.bad));
        command
    }

    /// The options of `WF.PUSH` and `WF.START`.
    pub fn terms(&mut self, world: &World, bad: bool) -> Vec<Vec<u8>> {
        let mut options: Vec<Vec<Vec<u8>>> = Vec::new();
        let random = &mut self.random;
        // A bad document under a taken id, or when no id is left, is wrong in two ways, and no rule
        // says which is told.
        if bad {
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
        if random.one_in(5) {
            options.push(words(&["DELAY", *random.pick(&["0", "1", "40", "1000", "100000", MOST])]));
        } else if random.one_in(8) {
            let times = [0, self.now - 5, self.now, self.now + 50, self.now + 5_000, self.now + 30 * HOUR];
            options.push(words(&["at", &random.pick(&times).to_string()]));
        }
        if random.one_in(6) {
            options.push(words(&["TIMEOUT", *random.pick(&["1", "60", "2000", "100000", MOST])]));
        }
        if random.one_in(5) {
            options.push(words(&["RETAIN", *random.pick(&["0", "1", "500", "3600000", MOST])]));
        }
        if random.one_in(40) {
            let too_far = (self.now + TEN_YEARS + 1).to_string();
            let bad: [&[&str]; 9] = [
                &["PRIORITY", "-1"],
                &["ID"],
                &["DELAY", "315360000001"],
                &["AT", &too_far],
                &["AT", "soon"],
                &["TIMEOUT", "0"],
                &["RETAIN", "-1"],
                &["DELAY", "5", "AT", "5"],
                &["TIMEOUT", "5", "TIMEOUT", "6"],
            ];
            let bad: &&[&str] = random.pick(&bad);
            options.push(words(bad));
        }
        // Options come in any order, but a broken one without its value only makes sense at the end.
        if !options.is_empty() && random.one_in(2) && options.last().is_some_and(|option| option[0] != b"ID")
        {
            options.reverse();
        }
        options.into_iter().flatten().collect()
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
}
