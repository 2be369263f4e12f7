//! Random workflow documents: good ones of all shapes, and bad ones of every kind.

mod added;
mod options;

pub use added::added;

use super::random::Random;
use std::fmt::Write;

/// Types of tasks. Few, so that claims by type find something and types repeat across workflows.
pub const TYPES: [&str; 5] = ["etl", "mail", "gpu", "", "a type \u{e4}"];

/// A task that is being made up.
struct Sketch {
    name: String,
    parents: Vec<usize>,
}

/// A document, and whether it is meant to be bad.
pub struct Document {
    pub source: Vec<u8>,
    pub bad: bool,
}

/// A random document. Only a wide one may have hundreds of tasks.
pub fn random(random: &mut Random, wide: bool) -> Document {
    let bad = random.one_in(10);
    let mut tasks = shape(random, bad, wide);
    // Shapes repeat, names and all, so that blueprints are shared; sometimes names are their own.
    if random.one_in(4) {
        let own = random.below(1000);
        tasks.iter_mut().for_each(|task| task.name = format!("{}-{own}", task.name));
    } else if random.one_in(8) {
        tasks.iter_mut().for_each(|task| task.name = format!("{} \u{2713}\n\"{}\"", task.name, task.name));
    }
    let fault = if bad { random.below(FAULTS) } else { FAULTS };
    let mut source = write(&tasks, random, fault).into_bytes();
    if fault == CUT_OFF {
        source.truncate(source.len() / 2);
    } else if fault == NOT_UTF8 {
        let place = source.iter().position(|&byte| byte == b't').expect("there are tasks");
        source[place] = 0xff;
    }
    Document { source, bad }
}

/// Kinds of faults; a number from [`FAULTS`] on is none.
const FAULTS: u64 = 22;
/// Faults below: a bad field of a task.
const BAD_OPTIONS: std::ops::Range<u64> = 14..18;
/// Faults below: a bad field of the document.
const BAD_FIELDS: std::ops::Range<u64> = 18..20;
const CUT_OFF: u64 = 20;
const NOT_UTF8: u64 = 21;

/// The tasks and edges of a document. One that is to be bad is small: over a limit as well, it would
/// be wrong in two ways, and no rule says which is told.
fn shape(random: &mut Random, bad: bool, wide: bool) -> Vec<Sketch> {
    let size = match random.below(if bad { 8 } else { 10 }) {
        0..=1 => 1,
        2..=7 => 2 + random.below(5) as usize,
        // Wide enough that one byte does not count the parents of a join.
        _ if wide && random.one_in(40) => 258 + random.below(20) as usize,
        _ => 7 + random.below(7) as usize,
    };
    let last = size - 1;
    let kind = random.below(6);
    let parents = |index: usize, random: &mut Random| -> Vec<usize> {
        match (kind, index) {
            (_, 0) => Vec::new(),
            // A chain.
            (0, _) => vec![index - 1],
            // A fan.
            (1, _) => vec![0],
            // A join.
            (2, _) if index == last => (0..last).collect(),
            (2, _) => Vec::new(),
            // A diamond.
            (3, _) if index == last && last > 1 => (1..last).collect(),
            (3, _) => vec![0],
            // Loose tasks.
            (4, _) => Vec::new(),
            // Anything.
            _ if size > 20 => vec![index / 2],
            _ => (0..index).filter(|_| random.one_in(3)).collect(),
        }
    };
    let mut tasks: Vec<Sketch> = (0..size)
        .map(|index| Sketch { name: format!("t{index}"), parents: parents(index, random) })
        .collect();
    // Push order need not follow the edges.
    if random.one_in(4) {
        tasks.reverse();
        tasks.iter_mut().for_each(|task| task.parents.iter_mut().for_each(|parent| *parent = last - *parent));
    }
    tasks
}

fn write(tasks: &[Sketch], random: &mut Random, fault: u64) -> String {
    let ancestor = fault >= FAULTS && random.one_in(10);
    let spell = |field: &str| {
        let capital = field[..1].to_ascii_uppercase() + &field[1..];
        if ancestor { capital } else { field.to_owned() }
    };
    let victim = random.below(tasks.len() as u64) as usize;
    let style = *random.pick(&[Edges::Parents, Edges::Children, Edges::Both]);
    // What may stand in a document may as well not stand there: half of them say nothing of time.
    let timed = !ancestor && random.one_in(2);
    let flows = !ancestor && random.one_in(3);
    let signals = !ancestor && random.one_in(4);
    let mut written = Vec::new();
    for (index, task) in tasks.iter().enumerate() {
        let mut name = quoted(&task.name);
        if index == victim {
            match fault {
                0 => name = "\"\"".to_owned(),
                1 => name = quoted(&tasks[(victim + 1) % tasks.len()].name),
                2 => name = "7".to_owned(),
                _ => {}
            }
        }
        let mut fields = vec![format!("\"{}\": {name}", spell("name"))];
        if fault == 1 && tasks.len() == 1 {
            written.push(format!("{{{}}}", fields[0]));
        }
        if !random.one_in(10) {
            let kind: &&str = random.pick(&TYPES);
            fields.push(format!("\"{}\":{}", spell("type"), quoted(kind)));
        }
        if let Some(payload) = payload(random, fault < FAULTS) {
            fields.push(format!("\"{}\":{payload}", spell("payload")));
        }
        if random.one_in(5) {
            let priority = priority(random);
            let quote = if ancestor { "\"" } else { "" };
            fields.push(format!("\"{}\":{quote}{priority}{quote}", spell("priority")));
        }
        if signals && random.one_in(3) {
            fields.extend(options::of_signal(random));
        } else if timed {
            fields.extend(options::some(random, 6));
        }
        if flows && random.one_in(6) {
            fields.push(format!(
                "\"on_failure\":{}",
                random.pick(&["\"fail\"", "\"continue\"", "\"continue\"", "null"])
            ));
        }
        if ancestor && random.one_in(2) {
            fields.push("\"Workflow\":\"W\",\"WorkflowId\":3".to_owned());
        }
        fields.extend(
            edges(tasks, index, style, flows, random)
                .into_iter()
                .map(|(field, names)| format!("\"{}\":[{}]", spell(field), names.join(","))),
        );
        if index == victim {
            fields.extend(bad_field(tasks, index, fault));
            if BAD_OPTIONS.contains(&fault) {
                fields.push(options::bad(random));
            }
        }
        written.push(format!("{{{}}}", fields.join(", ")));
    }
    if fault == 11 {
        written.clear();
    }
    let mut document = String::from("{");
    if !random.one_in(6) {
        write!(document, "\"{}\":\"{}\", ", spell("name"), random.pick(&["nightly", "w", ""]))
            .expect("a string");
    }
    if random.one_in(4) {
        write!(document, "\"{}\":{},", spell("priority"), priority(random)).expect("a string");
    }
    if timed && random.one_in(2) {
        write!(document, "\"defaults\": {{{}}},", options::some(random, 3).join(", ")).expect("a string");
    }
    if random.one_in(8) && !ancestor {
        write!(document, "\"timeout_ms\":{},", random.pick(&["1", "60", "3000", "100000", "null"]))
            .expect("a string");
    }
    if flows && random.one_in(2) {
        write!(document, "\"fail_fast\":{},", random.pick(&["true", "false", "false", "null"]))
            .expect("a string");
    }
    if BAD_FIELDS.contains(&fault) {
        // In place of what was written above: a field that comes twice is bad too.
        document = format!("{{{},", options::bad_of_document(random));
    }
    if fault == 12 {
        document.push_str("\"colour\":\"red\",");
    }
    if fault == 13 {
        document.push_str("\"priority\":-1,");
    }
    write!(document, "\"{}\":[{}]}}", spell("tasks"), written.join(", ")).expect("a string");
    document
}

/// The fields by which a task goes wrong.
fn bad_field(tasks: &[Sketch], index: usize, fault: u64) -> Option<String> {
    let child = (0..tasks.len()).find(|&other| tasks[other].parents.contains(&index));
    Some(match fault {
        3 => "\"color\":1".to_owned(),
        4 => "\"Max_attempts\":3".to_owned(),
        5 => "\"defaults\":{}".to_owned(),
        6 => "\"priority\":16777216".to_owned(),
        7 => "\"lease_ms\":0".to_owned(),
        // The lists are written anew with what is wrong: a document that says a field twice is bad too.
        8 => "\"parents\":[\"nobody\"]".to_owned(),
        9 => format!("\"children\":[{}]", quoted(&tasks[index].name)),
        10 => match child {
            Some(child) => format!("\"parents\":[{}]", quoted(&tasks[child].name)),
            None => format!("\"parents\":[{}]", quoted(&tasks[index].name)),
        },
        _ => return None,
    })
}

/// How a document writes its edges.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edges {
    Parents,
    Children,
    Both,
}

/// The lists of parents and children of a task, with a name twice now and then.
fn edges(
    tasks: &[Sketch],
    index: usize,
    style: Edges,
    flows: bool,
    random: &mut Random,
) -> Vec<(&'static str, Vec<String>)> {
    let parents = tasks[index].parents.iter().map(|&parent| &tasks[parent]);
    let children = tasks.iter().filter(|task| task.parents.contains(&index));
    let mut lists = Vec::new();
    for (field, names, omitted) in [
        (
            "parents",
            parents.map(|task| parent(&task.name, flows, random)).collect::<Vec<_>>(),
            Edges::Children,
        ),
        ("children", children.map(|task| quoted(&task.name)).collect(), Edges::Parents),
    ] {
        let twice = names.first().filter(|_| random.one_in(8)).cloned();
        let names: Vec<_> = names.into_iter().chain(twice).collect();
        if style != omitted && (!names.is_empty() || random.one_in(3)) {
            lists.push((field, names));
        }
    }
    lists
}

/// A parent: its name, or now and then an object that says when.
fn parent(name: &str, flows: bool, random: &mut Random) -> String {
    match if flows { random.below(6) } else { 6 } {
        0 => format!("{{\"task\":{},\"on\":\"failure\"}}", quoted(name)),
        1 => format!("{{\"on\":\"always\",\"task\":{}}}", quoted(name)),
        2 => format!("{{\"task\":{}}}", quoted(name)),
        _ => quoted(name),
    }
}

fn priority(random: &mut Random) -> u64 {
    *random.pick(&[0, 1, 50, 99, 100, 100, 101, 16_777_215])
}

fn payload(random: &mut Random, bad: bool) -> Option<String> {
    Some(match random.below(9) {
        0 => "null".to_owned(),
        1 => "\"plain\"".to_owned(),
        2 => "\"\\u00e4\\n \\\"quoted\\\" \\u0000\"".to_owned(),
        3 => "{\"b\" : 1.50,  \"a\":[ ]}".to_owned(),
        4 => "0.10".to_owned(),
        5 => format!("[true, {}]", random.below(1000)),
        // Large enough that a saved space has more than one chunk of a kind.
        6 if !bad && random.one_in(100) => format!("\"{}\"", "large ".repeat(30_000)),
        6 if !bad => format!("\"{}\"", "x".repeat(random.below(40) as usize)),
        _ => return None,
    })
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string")
}
