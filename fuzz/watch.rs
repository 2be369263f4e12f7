//! Two processes: one that searches, and one that watches it, as a stack that overflows, an allocation
//! that is refused, or a loop without an end leave nobody to tell. What is being run stands in a file.

use super::input::Input;
use super::targets::Target;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// What the search may take longer than it was given: to make a failing input small.
const GRACE: Duration = Duration::from_secs(120);

/// Where inputs are left.
pub fn folder() -> PathBuf {
    let folder = std::env::var("FUZZ_FOLDER").unwrap_or_else(|_| "target/fuzz".into());
    std::fs::create_dir_all(&folder).expect("a folder for what is found");
    folder.into()
}

fn current(target: &Target) -> PathBuf {
    folder().join(format!("{}-current.txt", target.name))
}

/// The file that says what is being run.
pub struct Current(File);

impl Current {
    /// Of a target.
    pub fn of(target: &Target) -> Current {
        Current(File::create(current(target)).expect("a file for what is being run"))
    }

    /// This is run next.
    pub fn write(&mut self, input: &Input) {
        let text = input.to_text();
        let done = self.0.rewind().and_then(|()| self.0.write_all(text.as_bytes()));
        done.and_then(|()| self.0.set_len(text.len() as u64)).expect("the file can be written");
    }
}

/// Lets this program search in a process of its own; false when something was found.
pub fn watch(target: &Target, seconds: u64, options: &[String]) -> bool {
    let this = std::env::current_exe().expect("this program has a name");
    let mut child = Command::new(this)
        .args(["watched", "--target", target.name, "--seconds", &seconds.to_string()])
        .args(options)
        .env("LLVM_PROFILE_FILE", "/dev/null")
        .spawn()
        .expect("a second process");
    let end = Instant::now() + Duration::from_secs(seconds) + GRACE;
    let status = loop {
        match child.try_wait().expect("the process is ours") {
            Some(status) => break status,
            None if Instant::now() > end => {
                child.kill().expect("the process is ours");
                break child.wait().expect("the process is ours");
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    if !matches!(status.code(), Some(0 | 1)) {
        let left = folder().join(format!("{}-ended.txt", target.name));
        let copied = std::fs::copy(current(target), &left);
        println!(
            "fuzz {}: it ended with {status} {copied:?}; make fuzz REPLAY={}",
            target.name,
            left.display()
        );
    }
    status.success()
}
