//! Tokens: `<workflow id>-<task index>-<8 hex digits>`, read from the right, because an id may
//! contain dashes.

use super::error::CommandError;
use crate::encoding::effect_text::{read_nonce, write_nonce};
use crate::engine::ids::{Id, read_integer, write_integer};
use crate::engine::space::Space;
use crate::engine::units::{Nonce, TaskIndex};
use crate::engine::verdict::{Standing, judge};

/// A token as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    id: Id<'a>,
    index: u32,
    nonce: Nonce,
}

impl<'a> Token<'a> {
    /// Reads a token; only the one form that [`write`] gives is one.
    pub fn read(text: &'a [u8]) -> Result<Token<'a>, CommandError> {
        Token::parse(text).ok_or_else(|| CommandError::BadToken(text.to_vec()))
    }

    fn parse(text: &'a [u8]) -> Option<Token<'a>> {
        let (text, nonce) = text.split_last_chunk::<8>()?;
        let text = text.strip_suffix(b"-")?;
        let dash = text.iter().rposition(|&byte| byte == b'-')?;
        let (id, digits) = (&text[..dash], &text[dash + 1..]);
        if id.is_empty() {
            return None;
        }
        let index = u32::try_from(read_integer(digits)?).ok()?;
        Some(Token { id: Id::of(id), index, nonce: read_nonce(nonce)? })
    }

    /// What it is worth.
    pub fn standing(self, space: &Space) -> Standing {
        judge(space, self.id, self.index, self.nonce)
    }
}

/// Appends the token of a task of the workflow with this id. It begins with the id.
pub fn write(id: Id<'_>, index: TaskIndex, nonce: Nonce, out: &mut Vec<u8>) {
    id.write(out);
    out.push(b'-');
    write_integer(u64::from(index.0), out);
    out.push(b'-');
    write_nonce(nonce, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_from_the_right_and_have_one_form() {
        let token = |id, index, nonce| Token { id, index, nonce: Nonce(nonce) };
        for (text, expected) in [
            ("17-0-9f8e7d6c", token(Id::Integer(17), 0, 0x9f8e_7d6c)),
            ("order-7-12-00000001", token(Id::Text(b"order-7"), 12, 1)),
            ("--0-ffffffff", token(Id::Text(b"-"), 0, u32::MAX)),
            ("017-4294967295-00000000", token(Id::Text(b"017"), u32::MAX, 0)),
        ] {
            assert_eq!(Token::read(text.as_bytes()), Ok(expected), "{text}");
        }
        for text in [
            "",
            "-",
            "17",
            "17-0",
            "17-0-9F8E7D6C",
            "17-0-9f8e7d6",
            "17-0-9f8e7d6cc",
            "-0-9f8e7d6c",
            "17--9f8e7d6c",
            "17-00-9f8e7d6c",
            "17-01-9f8e7d6c",
            "17-4294967296-9f8e7d6c",
            "17-x-9f8e7d6c",
            "17-0-9f8e7d6g",
        ] {
            assert!(Token::read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
