//! Effects as arguments of `WF.APPLY key ...`, for replicas and the AOF, readable by people:
//!
//! ```text
//! push <id> <now> <priority> <flags> <name> <input> <blueprint> <shape> <payloads>
//! claim <worker> <now> <leases>       resume <worker> <now> <leases>
//! complete <now> <tasks>              fail <now> <tasks>
//! expire <now> <tasks>                recover <now> <tasks>
//! extend <leases>                     delete <ids>
//! pause <kind> <names>                release <now> <kind> <names>      kind: workflow type all
//! snapshot <chunk>                    see `snapshot`
//! ```
//!
//! One command replicates one `WF.APPLY` with one or several of these in a row. Lists are one
//! argument, separated by spaces, because each argument costs the server an object:
//!
//! ```text
//! tasks     17-0 17-1=5:hello         a task, and the text it left: its length, then its bytes
//! leases    1700000030000 17-0-9f8e7d6c 17-3-01234567   a deadline, then the tasks it holds for
//! payloads  7:{"n":1}0:               length and bytes of each, in push order
//! flags     p paused, i has INPUT, n the blueprint is new; - none
//! shape     the document without payloads when the blueprint is new, empty otherwise
//! ```
//!
//! In lists, bytes of ids and names that are not printable ASCII, and space, `%` and `=`, are
//! written as `%XX`.

mod read;
mod write;

pub use read::apply_text;
pub use write::EffectLog;

use crate::engine::units::Nonce;
use std::borrow::Cow;

/// Appends the eight hex digits of a token's random part.
pub fn write_nonce(nonce: Nonce, out: &mut Vec<u8>) {
    for shift in (0..8).rev() {
        out.push(b"0123456789abcdef"[(nonce.0 >> (shift * 4)) as usize & 0xf]);
    }
}

/// Reads exactly eight lowercase hex digits.
pub fn read_nonce(text: &[u8]) -> Option<Nonce> {
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(u32::from(byte - b'0')),
        b'a'..=b'f' => Some(u32::from(byte - b'a') + 10),
        _ => None,
    };
    let text: &[u8; 8] = text.try_into().ok()?;
    text.iter().try_fold(0, |nonce, byte| Some(nonce << 4 | digit(byte)?)).map(Nonce)
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
