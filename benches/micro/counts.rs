//! The file of counts: who made them, then a line for each scenario.

use std::fmt::{Display, Formatter, Result};
use std::process::Command;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/micro/instructions.txt");

/// Counts, and what they depend on.
#[derive(Default)]
pub struct Counts {
    /// Compiler and C library.
    pub made_by: String,
    /// Scenarios and their instructions a task.
    pub counts: Vec<(String, u64)>,
}

impl Counts {
    /// None yet, made here.
    pub fn here() -> Counts {
        let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
        let said = |program: &str, arg: &str| {
            let output = Command::new(program).arg(arg).output();
            output.map_or("?".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let library = said("getconf", "GNU_LIBC_VERSION");
        let made_by = format!("{}, {library}, {}", said(&compiler, "--version"), std::env::consts::ARCH);
        Counts { made_by, counts: vec![] }
    }

    /// Those in the file.
    pub fn read() -> Counts {
        let mut counts = Counts::default();
        for line in std::fs::read_to_string(FILE).unwrap_or_default().lines() {
            if let Some(made_by) = line.strip_prefix("# made by ") {
                counts.made_by = made_by.to_owned();
            } else if let Some((count, name)) = line.trim_start().split_once(' ')
                && let Ok(count) = count.parse()
            {
                counts.add(name, count);
            }
        }
        counts
    }

    /// Puts them into the file.
    pub fn write(&self) {
        std::fs::write(FILE, self.to_string()).expect("the file can be written");
    }

    /// Adds a scenario.
    pub fn add(&mut self, name: &str, count: u64) {
        self.counts.push((name.to_owned(), count));
    }

    /// The count of a scenario.
    pub fn of(&self, name: &str) -> Option<u64> {
        self.counts.iter().find(|(known, _)| known == name).map(|(_, count)| *count)
    }
}

impl Display for Counts {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        writeln!(out, "# Instructions a task, counted by callgrind. `make bench-micro` compares, and")?;
        writeln!(out, "# `make bench-micro UPDATE=1` writes this file.")?;
        writeln!(out, "# made by {}", self.made_by)?;
        self.counts.iter().try_for_each(|(name, count)| writeln!(out, "{count:>7} {name}"))
    }
}
