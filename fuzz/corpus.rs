//! The kept inputs: one text file a target, inputs apart by an empty line, `#` begins a comment. What
//! the fuzzer keeps stands in `<target>.txt`; what once failed stands with its story in
//! `<target>-found.txt`; where the fuzzer begins stands in `<target>-seeds.txt`.

use super::input::Input;
use super::targets::Target;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Bytes of text that are kept of one target.
const MOST: usize = 56 << 10;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// All inputs of a target that are kept.
pub fn kept(target: &Target) -> Vec<Input> {
    let mut inputs = Vec::new();
    for kind in ["-seeds", "-found", ""] {
        let text = std::fs::read(folder().join(format!("{}{kind}.txt", target.name)));
        inputs.extend(read(&text.unwrap_or_default()));
    }
    inputs
}

/// Inputs from text.
pub fn read(text: &[u8]) -> Vec<Input> {
    let lines: Vec<&[u8]> =
        text.split(|&byte| byte == b'\n').filter(|line| !line.starts_with(b"#")).collect();
    let inputs = lines.split(|line| line.is_empty()).filter(|lines| !lines.is_empty());
    inputs.map(|lines| Input::from_lines(lines.iter().copied())).collect()
}

/// Keeps what was found: the smallest inputs first, each only for a place of its own.
pub fn keep(target: &Target, mut inputs: Vec<(Input, Vec<u32>)>) {
    inputs.sort_by_cached_key(|(input, _)| input.to_text().len());
    let mut seen: HashSet<u32> = HashSet::new();
    let mut text = String::from("# Kept by the fuzzer: make fuzz KEEP=1\n");
    for (input, features) in inputs {
        let new = features.iter().filter(|&&feature| seen.insert(feature / 8)).count();
        let as_text = input.to_text();
        if new > 0 && text.len() + as_text.len() < MOST {
            text += "\n";
            text += &as_text;
        }
    }
    std::fs::write(folder().join(format!("{}.txt", target.name)), text).expect("the corpus can be written");
}
