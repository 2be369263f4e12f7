//! Arguments, read word by word.

use super::Refusal;

/// The longest time that can be given, in milliseconds.
pub const TEN_YEARS: u64 = 10 * 365 * 24 * 60 * 60 * 1000;

/// The words of a command that were not read yet.
pub struct Words<'a>(pub &'a [Vec<u8>]);

impl<'a> Words<'a> {
    /// The next word, if there is one.
    pub fn next(&mut self) -> Option<&'a [u8]> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// The next word, which must be there.
    pub fn need(&mut self) -> Result<&'a [u8], Refusal> {
        self.next().ok_or("ERR")
    }

    /// The next word as a number in a range.
    pub fn number(&mut self, low: u64, high: u64) -> Result<u64, Refusal> {
        let word = std::str::from_utf8(self.need()?).map_err(|_| "ERR")?;
        match word.parse() {
            Ok(number) if (low..=high).contains(&number) => Ok(number),
            _ => Err("ERR"),
        }
    }

    /// Reads a keyword if it comes next, in capitals or not.
    pub fn keyword(&mut self, keyword: &str) -> bool {
        let found = self.has(keyword);
        if found {
            self.0 = &self.0[1..];
        }
        found
    }

    /// Whether a keyword comes next, in capitals or not.
    pub fn has(&self, keyword: &str) -> bool {
        self.0.first().is_some_and(|word| word.eq_ignore_ascii_case(keyword.as_bytes()))
    }
}

/// A token's parts.
pub struct Token {
    pub id: Vec<u8>,
    pub index: usize,
    pub nonce: u32,
}

/// Reads a token from the right.
pub fn token(word: &[u8]) -> Result<Token, Refusal> {
    let mut parts = word.rsplitn(3, |&byte| byte == b'-');
    let (nonce, index, id) = (parts.next(), parts.next(), parts.next());
    let (Some(nonce), Some(index), Some(id)) = (nonce, index, id) else { return Err("ERR") };
    let hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let canonical = index == b"0" || index.first().is_some_and(|&byte| byte != b'0');
    if id.is_empty()
        || nonce.len() != 8
        || !nonce.iter().all(hex)
        || !index.iter().all(u8::is_ascii_digit)
        || !canonical
    {
        return Err("ERR");
    }
    let text = |part: &[u8]| String::from_utf8(part.to_vec()).expect("digits");
    Ok(Token {
        id: id.to_vec(),
        index: text(index).parse().map_err(|_| "ERR")?,
        nonce: u32::from_str_radix(&text(nonce), 16).expect("hex digits"),
    })
}
