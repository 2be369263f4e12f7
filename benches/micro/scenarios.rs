//! What is counted: one function a scenario. The work is chains of ten tasks with payloads of 7
//! bytes, as in the load generator.

use super::bed::{Bed, command, counted, slices};
use redisworkflow::commands::sweep;
use redisworkflow::commands::token::Token;
use redisworkflow::encoding::effect_text::{EffectLog, apply_text};
use redisworkflow::encoding::snapshot::{Loader, save};
use redisworkflow::engine::effect::Effect;
use redisworkflow::engine::report::Report;
use redisworkflow::engine::space::Space;
use redisworkflow::engine::state::TaskState;
use redisworkflow::engine::units::Millis;
use redisworkflow::engine::verdict::Standing;
use std::fmt::Write;

/// Something to count.
pub struct Scenario {
    pub name: &'static str,
    /// The tasks that its instructions are spread over.
    pub tasks: usize,
    pub run: fn(),
}

/// All of them, in the order of the file.
pub const SCENARIOS: &[Scenario] = &[
    Scenario { name: "push, a shape that is known", tasks: TASKS, run: push_known },
    Scenario { name: "push, a shape of its own", tasks: TASKS, run: push_own },
    Scenario { name: "start from a definition", tasks: TASKS, run: start },
    Scenario { name: "claim, 100 at a time", tasks: WORKFLOWS, run: || claim(100) },
    Scenario { name: "claim, one at a time", tasks: WORKFLOWS, run: || claim(1) },
    Scenario { name: "complete, 100 at a time", tasks: WORKFLOWS, run: || complete(100) },
    Scenario { name: "complete, one at a time", tasks: WORKFLOWS, run: || complete(1) },
    Scenario { name: "claim and complete whole chains", tasks: TASKS, run: work_off },
    Scenario { name: "sweep of leases that ran out", tasks: WORKFLOWS, run: sweep_leases },
    Scenario { name: "write the text of completions", tasks: WORKFLOWS, run: write_completions },
    Scenario { name: "apply the text of a whole life", tasks: TASKS, run: apply_whole_life },
    Scenario { name: "encode a snapshot", tasks: TASKS, run: encode },
    Scenario { name: "decode a snapshot", tasks: TASKS, run: decode },
];

const WORKFLOWS: usize = 1_000;
const CHAIN: usize = 10;
const TASKS: usize = WORKFLOWS * CHAIN;

/// A chain whose names start with `prefix`.
fn document(number: usize, prefix: &str) -> String {
    let mut out = String::from("{\"tasks\":[");
    for task in 0..CHAIN {
        let comma = if task > 0 { "," } else { "" };
        let payload = number * CHAIN + task;
        let _ =
            write!(out, "{comma}{{\"name\":\"{prefix}t{task}\",\"type\":\"t\",\"payload\":\"{payload:07}\"");
        if task > 0 {
            let _ = write!(out, ",\"parents\":[\"{prefix}t{}\"]", task - 1);
        }
        out.push('}');
    }
    out + "]}"
}

fn push_all(bed: &mut Bed, documents: &[String]) {
    let push = command("WF.PUSH");
    documents.iter().for_each(|document| bed.run(push, &[document.as_bytes()]));
}

fn alike() -> Vec<String> {
    (0..WORKFLOWS).map(|number| document(number, "")).collect()
}

/// A space with the usual workflows, all pending.
fn pending() -> Bed {
    let mut bed = Bed::new();
    push_all(&mut bed, &alike());
    bed
}

/// The same with the first tasks claimed, and their tokens.
fn claimed() -> (Bed, Vec<Vec<u8>>) {
    let mut bed = pending();
    bed.run(command("WF.CLAIM"), &[b"w", b"COUNT", WORKFLOWS.to_string().as_bytes()]);
    let tokens = bed.tokens();
    assert_eq!(tokens.len(), WORKFLOWS);
    (bed, tokens)
}

fn push_known() {
    let (mut bed, documents) = (Bed::new(), alike());
    // The first brings the shape.
    push_all(&mut bed, &documents[..1]);
    counted(|| push_all(&mut bed, &documents));
}

fn push_own() {
    let documents: Vec<String> =
        (0..WORKFLOWS).map(|number| document(number, &format!("w{number}-"))).collect();
    let mut bed = Bed::new();
    counted(|| push_all(&mut bed, &documents));
}

fn start() {
    let mut bed = Bed::new();
    bed.run(command("WF.DEFINE"), &[b"chain", document(0, "").as_bytes()]);
    let run = command("WF.START");
    counted(|| (0..WORKFLOWS).for_each(|_| bed.run(run, &[b"chain"])));
    assert_eq!(bed.space.totals().tasks[TaskState::Ready as usize], WORKFLOWS as u64);
}

fn claim(count: usize) {
    let (mut bed, run) = (pending(), command("WF.CLAIM"));
    let text = count.to_string();
    counted(|| {
        for _ in 0..WORKFLOWS / count {
            bed.run(run, &[b"w", b"TYPES", b"1", b"t", b"COUNT", text.as_bytes()]);
        }
    });
    assert_eq!(bed.tokens().len(), count);
}

fn complete(count: usize) {
    let (mut bed, tokens) = claimed();
    let (tokens, run) = (slices(&tokens), command("WF.COMPLETE"));
    counted(|| tokens.chunks(count).for_each(|some| bed.run(run, some)));
    assert_eq!(bed.out.effects.len(), 3, "an effect, its time and its tasks");
}

/// Claims and completes 100 tasks at a time until there are none.
fn work_off() {
    let mut bed = pending();
    let (claim, complete) = (command("WF.CLAIM"), command("WF.COMPLETE"));
    loop {
        counted(|| bed.run(claim, &[b"w", b"COUNT", b"100"]));
        let tokens = bed.tokens();
        if tokens.is_empty() {
            break;
        }
        let tokens = slices(&tokens);
        counted(|| bed.run(complete, &tokens));
    }
    assert_eq!(bed.space.totals().tasks[TaskState::Completed as usize], TASKS as u64);
}

fn sweep_leases() {
    let (mut bed, _) = claimed();
    bed.now = Millis(bed.now.0 + 1_000_000_000);
    counted(|| bed.run(|call| sweep::sweep(call).map(|_| ()), &[]));
    assert!(bed.space.agenda().leases.is_empty(), "all leases were taken back");
}

fn write_completions() {
    let (bed, tokens) = claimed();
    let tasks: Vec<_> = tokens
        .iter()
        .map(|token| match Token::read(token).expect("a token").standing(&bed.space) {
            Standing::Good(task) => task,
            other => panic!("{other:?}"),
        })
        .collect();
    let mut log = EffectLog::default();
    counted(|| {
        for &task in &tasks {
            log.append(
                &bed.space,
                &Effect::Complete { now: bed.now, task, result: None, skipped: &[], frees: true },
            );
        }
    });
    assert!(!log.is_empty());
}

/// What a replica does for workflows that are pushed and worked off.
fn apply_whole_life() {
    let mut bed = Bed::new();
    let mut stream: Vec<Vec<Vec<u8>>> = Vec::new();
    for document in alike() {
        bed.run(command("WF.PUSH"), &[document.as_bytes()]);
        stream.push(bed.effects());
    }
    loop {
        bed.run(command("WF.CLAIM"), &[b"w", b"COUNT", b"100"]);
        let tokens = bed.tokens();
        if tokens.is_empty() {
            break;
        }
        stream.push(bed.effects());
        bed.run(command("WF.COMPLETE"), &slices(&tokens));
        stream.push(bed.effects());
    }
    let stream: Vec<Vec<&[u8]>> = stream.iter().map(|args| slices(args)).collect();
    let (mut replica, mut report) = (Space::new(), Report::default());
    counted(|| {
        for args in &stream {
            apply_text(&mut replica, args, &mut report).expect("it is what was written");
            report.clear();
        }
    });
    assert_eq!(replica.totals(), bed.space.totals());
}

/// Chunks of a space with a part of everything in progress.
fn half_done() -> Bed {
    let (mut bed, tokens) = claimed();
    bed.run(command("WF.COMPLETE"), &slices(&tokens[..WORKFLOWS / 2]));
    bed
}

fn encode() {
    let bed = half_done();
    let mut bytes = 0;
    counted(|| save(&bed.space, &mut |chunk| bytes += chunk.len()));
    assert!(bytes > TASKS);
}

fn decode() {
    let bed = half_done();
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    save(&bed.space, &mut |chunk| chunks.push(chunk.to_vec()));
    let space = counted(|| {
        let mut loader = Loader::new();
        chunks.iter().try_for_each(|chunk| loader.chunk(chunk))?;
        loader.finish()
    });
    assert_eq!(space.expect("it is what was written").totals(), bed.space.totals());
}
