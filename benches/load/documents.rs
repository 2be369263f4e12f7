//! The workflows that are pushed, as documents. Payloads are 7 bytes, each different; names are as
//! long in a small workflow as in a large one, so that an edge is the same number of bytes.

use std::fmt::Write;
use std::process::Command;

/// Tasks of a chain.
pub const CHAIN: usize = 10;

/// How the tasks of a workflow are named.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Every workflow alike.
    Equal,
    /// Every workflow has its own.
    Own,
}

/// Writes the document of the workflow of that number.
pub type Document = Box<dyn Fn(usize, &mut String) + Sync>;

/// Ten tasks in a row.
pub fn chain(names: Names) -> Document {
    dag(names, CHAIN, |task, parents| parents.extend(task.checked_sub(1)))
}

/// So many tasks, and no edge.
pub fn loose(tasks: usize) -> Document {
    dag(Names::Own, tasks, |_, _| {})
}

/// One task, `width` tasks after it, one after all of these.
pub fn fan(names: Names, width: usize) -> Document {
    dag(names, width + 2, move |task, parents| match task {
        0 => {}
        last if last == width + 1 => parents.extend(1..=width),
        _ => parents.push(0),
    })
}

/// Three diamonds on top of each other: ten tasks, twelve edges.
pub fn diamonds() -> Document {
    dag(Names::Equal, CHAIN, |task, parents| match task % 3 {
        _ if task == 0 => {}
        0 => parents.extend([task - 2, task - 1]),
        1 => parents.push(task - 1),
        _ => parents.push(task - 2),
    })
}

/// `side` tasks, and `side` more that wait for all of them.
pub fn bipartite(names: Names, side: usize) -> Document {
    dag(names, side * 2, move |task, parents| {
        if task >= side {
            parents.extend(0..side);
        }
    })
}

/// A DAG of 5 to 40 tasks, each with up to 3 of the tasks before it as parents; every workflow has a
/// shape of its own, always the same for the same number.
pub fn random() -> Document {
    Box::new(|number, out| {
        let mut seed = number as u64;
        let tasks = random_tasks(number);
        write_dag(number, "", tasks, out, |task, parents| {
            for _ in 0..draw(&mut seed, 4).min(task) {
                parents.push(draw(&mut seed, task));
            }
        });
    })
}

/// Tasks of the random DAG of that number.
pub fn random_tasks(number: usize) -> usize {
    let mut seed = !(number as u64);
    5 + draw(&mut seed, 36)
}

/// The workflows recorded from real runs that the tests use, and the number of their tasks.
pub fn recorded() -> Vec<(String, usize)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests-py/data/wfinstances.jsonl.gz");
    let unpacked = Command::new("gzip").args(["-dc", path]).output().expect("gzip is there");
    let text = String::from_utf8(unpacked.stdout).expect("the file is text");
    text.lines().map(|line| (line.to_owned(), line.matches("\"parents\":").count())).collect()
}

/// A document of so many tasks, whose edges `parents_of(task, into)` tells.
fn dag(names: Names, tasks: usize, parents_of: impl Fn(usize, &mut Vec<usize>) + Sync + 'static) -> Document {
    Box::new(move |number, out| {
        let prefix = if names == Names::Own { format!("w{number}-") } else { String::new() };
        write_dag(number, &prefix, tasks, out, &parents_of);
    })
}

fn write_dag(
    number: usize,
    prefix: &str,
    tasks: usize,
    out: &mut String,
    mut parents_of: impl FnMut(usize, &mut Vec<usize>),
) {
    // Ten tasks have the names t0 to t9, as ever; only wide workflows need longer ones.
    let digits = if tasks <= 10 { 1 } else { 5 };
    let mut parents = Vec::new();
    out.clear();
    out.push_str("{\"tasks\":[");
    for task in 0..tasks {
        let payload = (number * tasks + task) % 10_000_000;
        let comma = if task > 0 { "," } else { "" };
        let _ = write!(
            out,
            "{comma}{{\"name\":\"{prefix}t{task:0digits$}\",\"type\":\"t\",\"payload\":\"{payload:07}\""
        );
        parents.clear();
        parents_of(task, &mut parents);
        for (place, parent) in parents.iter().enumerate() {
            let before = if place > 0 { "," } else { ",\"parents\":[" };
            let _ = write!(out, "{before}\"{prefix}t{parent:0digits$}\"");
        }
        out.push_str(if parents.is_empty() { "}" } else { "]}" });
    }
    out.push_str("]}");
}

/// A number below `bound`; SplitMix64.
fn draw(seed: &mut u64, bound: usize) -> usize {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) % bound as u64) as usize
}
