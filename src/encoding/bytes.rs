//! Reading from bytes that may say anything. No length is believed before that many bytes are seen
//! to be there.

use crate::engine::packed::{Row, put_varint, take_varint};
use crate::engine::restore::Impossible;

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// They end too early.
    CutOff,
    /// They say something that cannot be; what.
    Impossible(&'static str),
    /// They were written by a newer version of the module.
    Newer(u64),
    /// They name something that no version up to this one wrote; what.
    Unknown(String),
    /// They read well and break a rule of the engine; which.
    Broken(String),
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DecodeError::CutOff => f.write_str("it ends too early"),
            DecodeError::Impossible(what) => write!(f, "it says {what}"),
            DecodeError::Newer(version) => {
                write!(f, "it has layout {version}, which a newer version of the module wrote")
            }
            DecodeError::Unknown(what) => {
                write!(f, "it has {what}, which a newer version of the module wrote")
            }
            DecodeError::Broken(what) => write!(f, "it is not consistent: {}", what.escape_debug()),
        }
    }
}

impl DecodeError {
    /// Something with a name that this version does not know: `the effect 'merge'`.
    pub fn unknown(what: &str, name: &[u8]) -> DecodeError {
        const SHOWN: usize = 64;
        DecodeError::Unknown(format!("{what} '{}'", name[..name.len().min(SHOWN)].escape_ascii()))
    }

    /// True when the bytes are sound, as far as one can tell, and the module is too old for them.
    pub fn is_newer(&self) -> bool {
        matches!(self, DecodeError::Newer(_) | DecodeError::Unknown(_))
    }
}

impl From<Impossible> for DecodeError {
    fn from(Impossible(what): Impossible) -> DecodeError {
        DecodeError::Impossible(what)
    }
}

/// Bytes being read from the front.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a>(pub &'a [u8]);

impl<'a> Source<'a> {
    /// True when everything was read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.take(1)?[0])
    }

    /// A varint.
    pub fn int(&mut self) -> Result<u64, DecodeError> {
        take_varint(&mut self.0).ok_or(DecodeError::CutOff)
    }

    /// A varint of at most 32 bits.
    pub fn int32(&mut self) -> Result<u32, DecodeError> {
        u32::try_from(self.int()?).map_err(|_| DecodeError::Impossible("a number out of range"))
    }

    /// How many things follow, each of at least `least` bytes.
    pub fn count(&mut self, least: usize) -> Result<usize, DecodeError> {
        let count = usize::try_from(self.int()?).map_err(|_| DecodeError::CutOff)?;
        if count.checked_mul(least).is_none_or(|bytes| bytes > self.0.len()) {
            return Err(DecodeError::CutOff);
        }
        Ok(count)
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (front, rest) = self.0.split_at_checked(len).ok_or(DecodeError::CutOff)?;
        self.0 = rest;
        Ok(front)
    }

    /// So many texts.
    pub fn row(&mut self, count: usize) -> Result<Row<'a>, DecodeError> {
        Row::take(&mut self.0, count).ok_or(DecodeError::CutOff)
    }

    /// A varint length and that many bytes.
    pub fn text(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = usize::try_from(self.int()?).map_err(|_| DecodeError::CutOff)?;
        self.take(len)
    }
}

/// Appends a varint length and the bytes.
pub fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text);
}
