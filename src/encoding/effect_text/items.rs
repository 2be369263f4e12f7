//! The pieces of arguments: numbers, names of workflows and tasks, lists, flags.

use super::unescape;
use crate::encoding::bytes::DecodeError;
use crate::engine::extras::Timeout;
use crate::engine::ids::Id;
use crate::engine::space::Space;
use crate::engine::units::{Millis, Slot, TaskIndex, TaskRef};

pub(super) fn number(text: &[u8]) -> Option<u64> {
    str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

pub(super) fn find_slot(space: &Space, text: &[u8]) -> Result<Slot, DecodeError> {
    let id = unescape(text).ok_or(DecodeError::Impossible("an id that does not read"))?;
    space.find(Id::of(&id)).ok_or(DecodeError::Impossible("a workflow that is not there"))
}

/// `<id>-<index>`, read from the right.
pub(super) fn find_task(space: &Space, text: &[u8]) -> Result<TaskRef, DecodeError> {
    let dash = text.iter().rposition(|&byte| byte == b'-');
    let dash = dash.ok_or(DecodeError::Impossible("a task that does not read"))?;
    let index = number(&text[dash + 1..]).and_then(|index| u32::try_from(index).ok());
    let index = index.ok_or(DecodeError::Impossible("a task that does not read"))?;
    Ok(TaskRef { slot: find_slot(space, &text[..dash])?, index: TaskIndex(index) })
}

/// Takes `<length>:<bytes>` off the front.
pub(super) fn take_counted<'a>(text: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let colon = text.iter().take(21).position(|&byte| byte == b':').ok_or(DecodeError::CutOff)?;
    let length = number(&text[..colon]).and_then(|length| usize::try_from(length).ok());
    let length = length.ok_or(DecodeError::Impossible("a length that does not read"))?;
    let (bytes, rest) = text[colon + 1..].split_at_checked(length).ok_or(DecodeError::CutOff)?;
    *text = rest;
    Ok(bytes)
}

/// Takes a task with the text it left, and the space behind it, off the front.
pub(super) fn take_task<'a>(
    space: &Space,
    rest: &mut &'a [u8],
) -> Result<(TaskRef, Option<&'a [u8]>), DecodeError> {
    let (name, text) = take_item(rest)?;
    Ok((find_task(space, name)?, text))
}

/// Takes an item of a list with the text behind it, and the space behind that, off the front.
pub(super) fn take_item<'a>(rest: &mut &'a [u8]) -> Result<(&'a [u8], Option<&'a [u8]>), DecodeError> {
    let end = rest.iter().position(|byte| matches!(byte, b' ' | b'=')).unwrap_or(rest.len());
    let name = &rest[..end];
    let mut text = None;
    *rest = &rest[end..];
    if let Some(counted) = rest.strip_prefix(b"=") {
        *rest = counted;
        text = Some(take_counted(rest)?);
    }
    *rest = match *rest {
        [] => &[],
        [b' ', rest @ ..] => rest,
        _ => return Err(DecodeError::Impossible("a list that does not read")),
    };
    Ok((name, text))
}

/// What the flags of a push say.
#[derive(Default)]
pub(super) struct Flags {
    pub(super) paused: bool,
    pub(super) input: bool,
    pub(super) new: bool,
    pub(super) delayed_until: Option<Millis>,
    pub(super) timeout: Option<Timeout>,
    pub(super) retain_ms: Option<u64>,
}

impl Flags {
    pub(super) fn read(mut text: &[u8]) -> Result<Flags, DecodeError> {
        let mut flags = Flags::default();
        while let [letter, rest @ ..] = text {
            text = rest;
            match letter {
                b'-' => {}
                b'p' => flags.paused = true,
                b'i' => flags.input = true,
                b'n' => flags.new = true,
                b'd' => flags.delayed_until = Some(take_time(&mut text)?),
                b't' => {
                    let deadline = take_time(&mut text)?;
                    text = text.strip_prefix(b":").ok_or(DecodeError::CutOff)?;
                    flags.timeout =
                        Some(Timeout { deadline, after_ms: take_digits(&mut text)?, passed: false });
                }
                b'r' => flags.retain_ms = Some(take_digits(&mut text)?),
                other => return Err(DecodeError::unknown("the flag", &[*other])),
            }
        }
        Ok(flags)
    }
}

pub(super) fn take_digits(text: &mut &[u8]) -> Result<u64, DecodeError> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    number(digits).ok_or(DecodeError::Impossible("a number that does not read"))
}

pub(super) fn take_time(text: &mut &[u8]) -> Result<Millis, DecodeError> {
    let time = Millis(take_digits(text)?);
    if time > Millis::MAX { Err(DecodeError::Impossible("a time out of range")) } else { Ok(time) }
}
