//! An input: pieces of bytes, whatever the target takes a piece for. As text, for files in git, a
//! line is a piece; bytes that are not printable, and backslashes, are written as `\xHH`.

use std::fmt::Write;

/// What stands between the words of a piece, where a piece has words.
pub const BETWEEN: u8 = b'\t';

/// The input; see the module's prose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Input {
    pub pieces: Vec<Vec<u8>>,
}

impl Input {
    /// Its size in bytes.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len() + 1).sum()
    }

    /// From text. Reading is total: what is not of the form stands for itself.
    pub fn from_lines<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Input {
        Input { pieces: lines.into_iter().map(unescape).collect() }
    }

    /// The text; a piece of no bytes is a lone backslash, as an empty line ends an input.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            for (place, &byte) in piece.iter().enumerate() {
                match byte {
                    b'\\' | b'#' if byte == b'\\' || place == 0 => {
                        write!(text, "\\x{byte:02x}").expect("a string")
                    }
                    BETWEEN | b' '..=b'~' => text.push(byte as char),
                    _ => write!(text, "\\x{byte:02x}").expect("a string"),
                }
            }
            if piece.is_empty() {
                text.push('\\');
            }
            text.push('\n');
        }
        text
    }
}

fn unescape(line: &[u8]) -> Vec<u8> {
    if line == b"\\" {
        return Vec::new();
    }
    let digit = |byte: Option<&u8>| (*byte? as char).to_digit(16);
    let mut bytes = Vec::with_capacity(line.len());
    let mut at = 0;
    while at < line.len() {
        let value = match (&line[at..], digit(line.get(at + 2)), digit(line.get(at + 3))) {
            ([b'\\', b'x', ..], Some(high), Some(low)) => Some((high << 4 | low) as u8),
            _ => None,
        };
        at += if value.is_some() { 4 } else { 1 };
        bytes.push(value.unwrap_or(line[at - 1]));
    }
    bytes
}

/// Every byte survives the way through the text.
pub fn self_test() {
    let all: Vec<u8> = (0..=255).collect();
    let input =
        Input { pieces: vec![all, Vec::new(), b"# not a comment \\x41 \\".to_vec(), b"a\tb".to_vec()] };
    let text = input.to_text();
    assert_eq!(
        Input::from_lines(text.as_bytes().split_inclusive(|&byte| byte == b'\n').map(|l| &l[..l.len() - 1])),
        input
    );
}
