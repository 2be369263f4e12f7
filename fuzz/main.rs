//! The fuzzer: inputs nobody would think of, made by changing inputs that showed something new, and
//! what must hold whatever comes in.
//!
//! Four targets, each a door through which bytes come that may say anything:
//!
//! | target | what comes in |
//! |---|---|
//! | `document` | workflow documents of WF.PUSH |
//! | `commands` | arguments of all commands, in the order of a session |
//! | `effects` | arguments of WF.APPLY, from a stream or an AOF |
//! | `snapshot` | chunks of an RDB file, a DUMP, a rewritten AOF |
//!
//! Nothing may panic; memory stays in proportion to the input; what is accepted breaks no invariant,
//! is the same after it was saved and loaded, and the same on a replica that sees the effects alone.
//!
//! `cargo test` checks the inputs kept in `corpus/`. `make fuzz` looks for new ones: built with
//! `-C instrument-coverage`, the program reads the counters of its own code after each input, and
//! keeps what reached a place, or an outcome, that nothing before it had. A failing input is made
//! small, printed, and left in a file that `make fuzz REPLAY=file` runs.
//!
//! | file | idea |
//! |---|---|
//! | `targets` | what is done with an input, and what must hold |
//! | `world` | a primary and a replica that only sees effects |
//! | `input`, `mutate`, `words` | inputs as pieces, how they are changed, what is put in |
//! | `search`, `shrink` | looking for what is new, and making small what fails |
//! | `coverage`, `memory` | where the code was, and what it allocated |
//! | `corpus`, `watch` | the kept inputs; a second process that survives the first |
//!
//! Rejected: cargo-fuzz and AFL need a nightly compiler or tools of their own; a fuzzer that everybody
//! can run with the compiler at hand finds more.

mod corpus;
mod coverage;
mod input;
mod memory;
mod mutate;
#[path = "../src/sim/random.rs"]
mod random;
mod search;
mod shrink;
mod targets;
mod watch;
mod words;
mod world;

use std::process::ExitCode;
use targets::{TARGETS, Target};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["search", options @ ..] => search::main(options),
        ["watched", options @ ..] => search::watched(options),
        ["replay", file] => replay(file),
        _ => check_what_is_kept(),
    }
}

/// What `cargo test` does: every kept input, and that the fuzzer notices what it is there to notice.
fn check_what_is_kept() -> ExitCode {
    input::self_test();
    shrink::self_test();
    memory::self_test();
    let mut failed = 0;
    for target in TARGETS {
        let kept = corpus::kept(target);
        for input in &kept {
            if let Err(what) = targets::quietly(|| target.run(input)) {
                failed += 1;
                eprintln!("{}: {what}\n{}", target.name, input.to_text());
            }
        }
        println!("fuzz {}: {} kept inputs", target.name, kept.len());
        assert!(!kept.is_empty(), "nothing is kept for {}", target.name);
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the inputs of one file; its name begins with the name of the target.
fn replay(file: &str) -> ExitCode {
    let name = std::path::Path::new(file).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some(target) = TARGETS.iter().find(|target| name.starts_with(target.name)) else {
        eprintln!("{file}: a file is named by its target: {}", Target::names());
        return ExitCode::FAILURE;
    };
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("{file}: {error}");
            return ExitCode::FAILURE;
        }
    };
    for input in corpus::read(&text) {
        println!("{}", input.to_text());
        // Not caught: the panic says where it happened.
        match (target.check)(&input) {
            Ok(_) => println!("holds\n"),
            Err(what) => {
                println!("{what}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
