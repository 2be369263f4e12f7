//! Tasks for a workflow that is there: good ones mostly.

use super::{TYPES, options, parent, payload, priority, quoted};
use crate::sim::model::{State, Workflow};
use crate::sim::random::Random;

/// Something that is wrong with an array of tasks.
const BAD: [&str; 12] = [
    "[]",
    "[7]",
    "7",
    "null",
    "[{}]",
    "[{\"name\":\"x\"",
    "{\"tasks\":[{\"name\":\"x\"}],\"name\":\"n\"}",
    "[{\"name\":\"x\",\"colour\":1}]",
    "[{\"name\":\"x\",\"parents\":[\"nobody\"]}]",
    "[{\"name\":\"x\",\"children\":[\"x\"]}]",
    "[{\"name\":\"x\"},{\"name\":\"x\"}]",
    "[{\"name\":\"x\",\"parents\":[\"y\"]},{\"name\":\"y\",\"parents\":[\"x\"]}]",
];

/// Tasks that the task at a place adds to its workflow; of no workflow, any.
pub fn added(random: &mut Random, to: Option<(&Workflow, usize)>) -> Vec<u8> {
    if random.one_in(14) {
        return random.pick(&BAD).as_bytes().to_vec();
    }
    let there = to.map_or(&[][..], |(workflow, _)| &workflow.tasks);
    let text = |name: &[u8]| String::from_utf8(name.to_vec()).expect("JSON");
    let there: Vec<(String, State)> = there.iter().map(|task| (text(&task.name), task.state)).collect();
    let by = to.map(|(_, index)| there[index].0.clone());
    let of = |states: &[State]| -> Vec<&String> {
        there.iter().filter(|(_, state)| states.contains(state)).map(|(name, _)| name).collect()
    };
    let gone = of(&[State::Failed, State::Skipped, State::Cancelled]);
    let failed = of(&[State::Failed]);
    let waiting = of(&[State::Waiting]);
    let flows = random.one_in(if failed.is_empty() { 3 } else { 2 });
    // Mostly names that are new, sometimes those of another call.
    let own = if random.one_in(6) { 0 } else { random.below(1_000) };
    let count = 1 + random.below(4);
    let mut names: Vec<String> = Vec::new();
    let mut tasks = Vec::new();
    for number in 0..count {
        let name = match there.first() {
            Some((name, _)) if random.one_in(40) => name.clone(),
            _ => format!("added {own}.{number}"),
        };
        let mut fields = vec![format!("\"name\":{}", quoted(&name))];
        let kind: &&str = random.pick(&TYPES);
        fields.push(format!("\"type\":{}", quoted(kind)));
        if let Some(payload) = payload(random, true) {
            fields.push(format!("\"payload\":{payload}"));
        }
        if random.one_in(6) {
            fields.push(format!("\"priority\":{}", priority(random)));
        }
        if random.one_in(4) {
            fields.extend(options::some(random, 5));
        }
        if flows && random.one_in(5) {
            fields.push("\"on_failure\":\"continue\"".to_owned());
        }
        let mut parents: Vec<&String> = by.iter().filter(|_| random.one_in(2)).collect();
        parents.extend(names.last().filter(|_| random.one_in(2)));
        if !there.is_empty() && random.one_in(4) {
            parents.push(&random.pick(&there).0);
        }
        if !gone.is_empty() && random.one_in(2) {
            let gone: &&String = random.pick(&gone);
            parents.push(gone);
        }
        parents.dedup();
        let mut written: Vec<String> = Vec::new();
        for (place, name) in parents.iter().enumerate() {
            // One that comes twice would have two conditions.
            if !parents[..place].contains(name) {
                written.push(parent(name, flows, random));
            }
        }
        if flows && !failed.is_empty() && random.one_in(4) {
            let failed: &&String = random.pick(&failed);
            if !parents.contains(failed) {
                written.push(format!("{{\"task\":{},\"on\":\"failure\"}}", quoted(failed)));
            }
        }
        if !written.is_empty() {
            fields.push(format!("\"parents\":[{}]", written.join(",")));
        }
        let child = match random.below(30) {
            0 if !there.is_empty() => Some(&random.pick(&there).0),
            1..12 if !waiting.is_empty() => Some(*random.pick(&waiting)),
            _ => None,
        };
        if let Some(child) = child {
            fields.push(format!("\"children\":[{}]", quoted(child)));
        }
        tasks.push(format!("{{{}}}", fields.join(",")));
        names.push(name);
    }
    let tasks = tasks.join(", ");
    let source = match random.one_in(3) {
        true => format!("{{\"defaults\":{{{}}}, \"tasks\": [{tasks}]}}", options::some(random, 4).join(",")),
        false => format!("[{tasks}]"),
    };
    source.into_bytes()
}
