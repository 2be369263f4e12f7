//! Random workflows, and what the judge must know of them.

use super::record::{Shape, Task};
use crate::engine::edge::On;
use crate::sim::random::Random;
use std::fmt::Write;

/// A random workflow: its document and its shape. Half of them are plain: nothing ends a task of theirs
/// but workers.
pub fn workflow(random: &mut Random) -> (Vec<u8>, Shape) {
    let plain = random.one_in(2);
    let (tasks, sources) = tasks(random, plain, &[], "");
    let mut document = String::from("{");
    if plain {
        document.push_str("\"defaults\":{\"max_deliveries\":1000},");
    } else {
        if random.one_in(3) {
            document.push_str("\"fail_fast\":false,");
        }
        if random.one_in(6) {
            write!(document, "\"timeout_ms\":{},", 400 + random.below(3_000)).expect("a string");
        }
    }
    write!(document, "\"tasks\":[{}]}}", sources.join(",")).expect("a string");
    (document.into_bytes(), Shape { tasks, plain })
}

/// Tasks that a task adds to its workflow, behind itself or before those that may still wait.
pub fn added(random: &mut Random, there: &[Task]) -> (Vec<u8>, Vec<Task>) {
    let mark = format!("x{}", random.below(20));
    let (tasks, sources) = tasks(random, true, there, &mark);
    let source = format!("{{\"defaults\":{{\"max_deliveries\":1000}},\"tasks\":[{}]}}", sources.join(","));
    (source.into_bytes(), tasks)
}

/// Tasks, and what a document says of each. Those that wait for a signal have an `s` in front.
fn tasks(random: &mut Random, plain: bool, there: &[Task], mark: &str) -> (Vec<Task>, Vec<String>) {
    let size = match random.below(4) {
        _ if !there.is_empty() => 1 + random.below(2),
        0 => 1,
        _ => 2 + random.below(4),
    };
    let mut tasks: Vec<Task> = Vec::new();
    let mut sources = Vec::new();
    for index in 0..size {
        let signal = random.one_in(10) && there.is_empty();
        let name = format!("{}{mark}{index}", if signal { 's' } else { 't' });
        let mut source = format!("{{\"name\":\"{name}\",\"type\":\"{}\"", random.pick(&["a", "b"]));
        let before: Vec<&Task> = tasks.iter().chain(there).collect();
        let mut parents = Vec::new();
        for parent in before {
            if random.one_in(3) {
                let on = if plain { On::Success } else { *random.pick(&On::ALL) };
                // What asks for success is the rule.
                let on = if random.one_in(2) { On::Success } else { on };
                parents.push((parent.name.clone(), on));
            }
        }
        let listed: Vec<String> = parents
            .iter()
            .map(|(name, on)| format!("{{\"task\":\"{name}\",\"on\":\"{}\"}}", on.name()))
            .collect();
        write!(source, ",\"parents\":[{}]", listed.join(",")).expect("a string");
        let mut children = Vec::new();
        if !there.is_empty() && random.one_in(2) {
            let child = random.pick(there).name.clone();
            write!(source, ",\"children\":[\"{child}\"]").expect("a string");
            children.push(child);
        }
        let mut timeout_ms = None;
        if !plain && random.one_in(5) {
            let timeout = 50 + random.below(1_000);
            timeout_ms = Some(timeout);
            write!(source, ",\"timeout_ms\":{timeout}").expect("a string");
        }
        options(random, plain, signal, &mut source);
        source.push('}');
        sources.push(source);
        tasks.push(Task { name, parents, children, timeout_ms });
    }
    (tasks, sources)
}

fn options(random: &mut Random, plain: bool, signal: bool, out: &mut String) {
    if signal {
        return out.push_str(",\"signal\":true");
    }
    if random.one_in(3) {
        let delay = random.below(200);
        write!(
            out,
            ",\"max_attempts\":{},\"backoff\":{{\"delay_ms\":{delay},\"jitter\":0.5}}",
            2 + random.below(3)
        )
        .expect("a string");
    }
    if random.one_in(6) {
        write!(out, ",\"lease_ms\":{}", 1 + random.below(400)).expect("a string");
    }
    if random.one_in(8) {
        write!(out, ",\"delay_ms\":{}", random.below(300)).expect("a string");
    }
    if random.one_in(8) {
        write!(out, ",\"priority\":{}", random.below(200)).expect("a string");
    }
    if plain {
        return;
    }
    if random.one_in(4) {
        write!(out, ",\"max_deliveries\":{}", 1 + random.below(3)).expect("a string");
    }
    if random.one_in(4) {
        out.push_str(",\"on_failure\":\"continue\"");
    }
}
