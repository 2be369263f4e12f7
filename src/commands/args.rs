//! Reading arguments: options in any order, each at most once, every error naming the argument.

use super::error::CommandError;
use crate::engine::limits::MAX_NAME_BYTES;

/// The arguments not read yet.
#[derive(Clone, Copy)]
pub struct Args<'a>(pub &'a [&'a [u8]]);

impl<'a> Args<'a> {
    /// The next argument, if there is one.
    pub fn maybe(&mut self) -> Option<&'a [u8]> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// The next argument; the server has counted them for fixed places.
    pub fn required(&mut self) -> Result<&'a [u8], CommandError> {
        self.maybe().ok_or(CommandError::WrongArity)
    }

    /// The value of an option.
    pub fn value(&mut self, option: &'static str) -> Result<&'a [u8], CommandError> {
        self.maybe().ok_or(CommandError::MissingValue(option))
    }

    /// A whole number in a range.
    pub fn number(&mut self, name: &'static str, min: u64, max: u64) -> Result<u64, CommandError> {
        let text = self.value(name)?;
        number(name, text, min, max)
    }

    /// Takes the next argument if it is this keyword, in any case.
    pub fn keyword(&mut self, keyword: &str) -> bool {
        let found = self.0.first().is_some_and(|arg| arg.eq_ignore_ascii_case(keyword.as_bytes()));
        if found {
            self.0 = &self.0[1..];
        }
        found
    }

    /// Nothing may follow.
    pub fn end(&self) -> Result<(), CommandError> {
        match self.0.first() {
            None => Ok(()),
            Some(arg) => Err(CommandError::UnknownOption(arg.to_vec())),
        }
    }

    /// A name: of a worker, a type.
    pub fn name(&mut self, name: &'static str) -> Result<&'a [u8], CommandError> {
        let text = self.value(name)?;
        if text.len() > MAX_NAME_BYTES {
            return Err(CommandError::TooLong(name, MAX_NAME_BYTES));
        }
        Ok(text)
    }
}

/// A whole number in a range.
pub fn number(name: &'static str, text: &[u8], min: u64, max: u64) -> Result<u64, CommandError> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(CommandError::NotInteger(name, text.to_vec()));
    }
    let value = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    value.filter(|value| (min..=max).contains(value)).ok_or(CommandError::OutOfRange(name, min, max))
}

/// Fills an option that may be given once.
pub fn once<T>(slot: &mut Option<T>, option: &'static str, value: T) -> Result<(), CommandError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(CommandError::Repeated(option)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_whole_and_in_range() {
        assert_eq!(number("N", b"17", 0, 20), Ok(17));
        for text in ["", "-", "1.5", "x", "1 ", "+1", "0x10"] {
            let error = CommandError::NotInteger("N", text.as_bytes().to_vec());
            assert_eq!(number("N", text.as_bytes(), 0, 20), Err(error), "{text}");
        }
        for text in ["-1", "21", "99999999999999999999999"] {
            assert_eq!(
                number("N", text.as_bytes(), 0, 20),
                Err(CommandError::OutOfRange("N", 0, 20)),
                "{text}"
            );
        }
    }
}
