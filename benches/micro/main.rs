//! Micro-benchmarks by instruction count: what the hot paths of the engine cost, free of noise.
//!
//! Each scenario runs once under callgrind, which counts the instructions inside of
//! [`bed::counted`] and nothing else. `instructions.txt` keeps the counts. This program prints them
//! beside what it finds now and fails when one grew by more than 5 %; with `--update` it writes the
//! file. Counts depend on the compiler and on the C library's allocator, so the file names both,
//! and on others nothing is judged.
//!
//! Rejected: criterion. On a machine that is shared, times differ by more than what is looked for.

mod bed;
mod counts;
mod scenarios;

use counts::Counts;
use scenarios::{SCENARIOS, Scenario};
use std::process::{Command, ExitCode};

/// Growth that is let pass, in percent.
const TOLERANCE: f64 = 5.0;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if let [word, name] = args.as_slice()
        && word == "run"
    {
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).expect("a scenario");
        (scenario.run)();
        return ExitCode::SUCCESS;
    }
    let now = match measure_all() {
        Ok(counts) => counts,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::FAILURE;
        }
    };
    if args.iter().any(|arg| arg == "--update") {
        now.write();
        println!("{now}");
        return ExitCode::SUCCESS;
    }
    compare(&Counts::read(), &now)
}

fn measure_all() -> Result<Counts, String> {
    let mut counts = Counts::here();
    for scenario in SCENARIOS {
        counts.add(scenario.name, instructions(scenario)? / scenario.tasks as u64);
    }
    Ok(counts)
}

/// The instructions of a scenario: this program again, under callgrind.
fn instructions(scenario: &Scenario) -> Result<u64, String> {
    let out = std::env::temp_dir().join(format!("redis-workflow-micro-{}", std::process::id()));
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*bed*counted*"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(this)
        .args(["run", scenario.name])
        .output()
        .map_err(|error| format!("valgrind does not start ({error}): make deps installs it"))?;
    let profile = std::fs::read_to_string(&out).unwrap_or_default();
    let _ = std::fs::remove_file(&out);
    let total = profile.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    match total {
        Some(total) if output.status.success() && total > 0 => Ok(total),
        _ => Err(format!("{}: not counted\n{}", scenario.name, String::from_utf8_lossy(&output.stderr))),
    }
}

fn compare(before: &Counts, now: &Counts) -> ExitCode {
    let comparable = before.made_by == now.made_by;
    let mut grown = vec![];
    let mut shrunk = false;
    println!("{:>9} {:>9}          instructions a task", "before", "now");
    for (name, count) in &now.counts {
        let Some(old) = before.of(name) else {
            println!("{:>9} {count:>9}          {name}", "-");
            shrunk = true;
            continue;
        };
        let percent = (*count as f64 / old as f64 - 1.0) * 100.0;
        println!("{old:>9} {count:>9} {percent:>+7.1} % {name}");
        if percent > TOLERANCE {
            grown.push(name.as_str());
        }
        shrunk |= percent < -TOLERANCE;
    }
    if !comparable {
        println!(
            "not judged: the file was made by {}, this is {}; they count differently",
            before.made_by, now.made_by
        );
        return ExitCode::SUCCESS;
    }
    if shrunk {
        println!("there is less to do, or something new: keep it with `make bench-micro UPDATE=1`");
    }
    if grown.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("grew by more than {TOLERANCE} %: {}", grown.join(", "));
    println!("if it is worth that: `make bench-micro UPDATE=1`");
    ExitCode::FAILURE
}
