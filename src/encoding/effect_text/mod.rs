//! Effects as arguments of `WF.APPLY key ...`, for replicas and the AOF, readable by people:
//!
//! ```text
//! push <id> <now> <priority> <flags> <name> <input> <blueprint> <shape> <payloads>
//! define <definition> <version> <now> <priority, or -> <timeout ms, or -> <name> <blueprint> <shape> <payloads>
//! start <definition> <id> <now> <priority> <flags> <input>
//! undefine <definitions>
//! add <now> <task> <blueprint> <shape> <payloads>
//! claim <worker> <now> <leases>       resume <worker> <now> <leases>
//! done <now> <tasks>                  fail, timeout, poison, poison-recovered <now> <tasks>
//! choose <now> <task> <children>      as done, of one task; indexes of the children it skips
//! complete <now> <tasks>              as done, but no result is freed: written before results were
//! signal, signal-fail, signal-timeout <now> <tasks>
//! expire <now> <tasks>                retry, retry-timeout <now> <leases>
//! recover <now> <tasks>               due <now> <tasks>
//! extend <leases>                     deadline <now> <ids>
//! cancel <now> <ids>                  an id, and perhaps the reason as behind a task
//! rerun <now> <id> <index, or ->      delete <ids>
//! shift <from> <by>                   the clock was set ahead by so much
//! config <name> <value, or default>
//! events <key of a stream, or nothing>
//! pause <kind> <names>                release <now> <kind> <names>      kind: workflow type all
//! snapshot <chunk>                    see `snapshot`
//! ```
//!
//! One command replicates one `WF.APPLY` with one or several of these in a row. Lists are one
//! argument, separated by spaces, because each argument costs the server an object:
//!
//! ```text
//! tasks     17-0 17-1=5:hello         a task, and the text it left: its length, then its bytes
//! leases    1700000030000 17-0-9f8e7d6c 17-3-01234567   a time, then the tasks it holds for
//! payloads  7:{"n":1}0:               length and bytes of each, in push order
//! flags     p paused, i has INPUT, n the blueprint is new, d<time> its roots are delayed until,
//!           t<deadline>:<after ms> it times out, r<ms> it is kept so long; - none
//! shape     the document without payloads when the blueprint is new, empty otherwise; of `add` it
//!           has the added tasks alone, and as their children tasks that were there; of a large push
//!           or definition it is not readable: see `packed`
//! ```
//!
//! A version that was released has to find out that it does not know an effect. So what it would misread
//! gets a word, a flag, or a field of the shape that is new: `done` is `complete` with another meaning.
//!
//! In lists, bytes of ids and names that are not printable ASCII, and space, `%` and `=`, are
//! written as `%XX`.

mod items;
mod packed;
mod read;
mod shape;
mod write;

pub use packed::write as write_packed_shape;
pub use read::{apply_text, retell};
pub use shape::write_shape;
pub use write::{EffectLog, write_payloads};

use crate::engine::units::Nonce;
use std::borrow::Cow;

/// Appends the eight hex digits of a token's random part.
pub fn write_nonce(nonce: Nonce, out: &mut Vec<u8>) {
    // All digits in one word: one of 10 or more carries into bit 4 when 6 is added.
    const ONES: u64 = u64::MAX / 255;
    let mut digits = u64::from(nonce.0);
    digits = (digits << 16 | digits) & 0x0000_ffff_0000_ffff;
    digits = (digits << 8 | digits) & 0x00ff_00ff_00ff_00ff;
    digits = (digits << 4 | digits) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = (digits + ONES * 6) >> 4 & ONES;
    let text = digits + ONES * u64::from(b'0') + letters * u64::from(b'a' - b'9' - 1);
    out.extend_from_slice(&text.to_be_bytes());
}

/// What each byte stands for as a hex digit; 16 or more: it is none.
const DIGITS: [u8; 256] = {
    let mut values = [0xff; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// Reads exactly eight lowercase hex digits.
pub fn read_nonce(text: &[u8]) -> Option<Nonce> {
    let text: &[u8; 8] = text.try_into().ok()?;
    let values = text.map(|byte| DIGITS[byte as usize]);
    let nonce = values.iter().fold(0, |nonce, &value| nonce << 4 | u32::from(value & 0xf));
    values.iter().all(|&value| value < 16).then_some(Nonce(nonce))
}

/// Appends a text as it stands in lists.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        if byte.is_ascii_graphic() && byte != b'%' && byte != b'=' {
            out.push(byte);
        } else {
            out.push(b'%');
            out.extend([byte >> 4, byte & 0xf].map(|digit| b"0123456789ABCDEF"[digit as usize]));
        }
    }
}

/// The text again; `None` when it is not of that form.
fn unescape(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !text.contains(&b'%') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    let digit = |bytes: &mut std::slice::Iter<'_, u8>| (*bytes.next()? as char).to_digit(16);
    while let Some(&byte) = bytes.next() {
        if byte == b'%' {
            out.push((digit(&mut bytes)? << 4 | digit(&mut bytes)?) as u8);
        } else {
            out.push(byte);
        }
    }
    Some(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::bytes::DecodeError;
    use crate::engine::report::Report;
    use crate::engine::space::Space;

    /// What a version says of the words of those to come decides what becomes of its copy.
    #[test]
    fn what_a_newer_version_would_write_is_told_apart_from_what_makes_no_sense() {
        let shape = r#"{"tasks":[{"name":"a","weight":2}]}"#;
        for (args, newer) in [
            (&["merge", "1"][..], Some("the effect 'merge'")),
            (&["config", "colour", "7"], Some("the setting 'colour'")),
            (&["pause", "group", "g"], Some("the pause of a 'group'")),
            (&["push", "1", "5", "100", "nz", "", "", "0", shape, "0:"], Some("the flag 'z'")),
            (
                &["push", "1", "5", "100", "n", "", "", "0", shape, "0:"],
                Some("the field of a shape 'weight'"),
            ),
            (&["\0\n"], Some(r"the effect '\x00\n'")),
            (&["push", "1", "5", "100", "n", "", "", "0", "{", "0:"], None),
            (&["done", "5", "1-0"], None),
            (&["done"], None),
        ] {
            let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
            let error = apply_text(&mut Space::new(), &args, &mut Report::default()).unwrap_err();
            assert_eq!(error.is_newer(), newer.is_some(), "{error}");
            if let Some(what) = newer {
                assert_eq!(
                    error.to_string(),
                    format!("it has {what}, which a newer version of the module wrote")
                );
            }
        }
    }

    #[test]
    fn a_choice_names_children_of_its_task_each_once_and_in_order() {
        let mut space = Space::new();
        let mut apply = |args: &[&str]| -> Result<(), DecodeError> {
            let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
            apply_text(&mut space, &args, &mut Report::default())
        };
        let shape = r#"{"tasks":[{"name":"a","children":["b","c"]},{"name":"b"},{"name":"c"},{"name":"d"}]}"#;
        apply(&["push", "1", "5", "100", "n", "", "", "0", shape, "0:0:0:0:"]).unwrap();
        apply(&["claim", "w", "5", "100 1-0-00000000"]).unwrap();
        for children in ["", "0", "3", "4", "2 1", "1 1", "1  2", "1 ", "x", "4294967296"] {
            assert!(apply(&["choose", "6", "1-0", children]).is_err(), "{children}");
        }
        for task in ["1-0 1-0", "1-0=1:r 1-0", "1-3", "1-9", "2-0", ""] {
            assert!(apply(&["choose", "6", task, "1"]).is_err(), "{task}");
        }
        assert_eq!(apply(&["choose", "6", "1-0=1:r", "1 2"]), Ok(()));
        assert!(apply(&["choose", "6", "1-0", "1"]).is_err(), "it completed");
    }
}
