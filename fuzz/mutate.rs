//! How an input is changed: blindly, by bytes; and with a view to what most formats are made of, which
//! is pieces, words, numbers, brackets and runs of bytes with their length in front.

use super::input::{BETWEEN, Input};
use super::random::Random;

/// Numbers at which something ends.
const EDGES: &[u64] = &[
    0,
    1,
    2,
    3,
    7,
    8,
    9,
    10,
    15,
    16,
    63,
    64,
    99,
    100,
    127,
    128,
    129,
    255,
    256,
    512,
    513,
    999,
    1_000,
    1_001,
    1_024,
    10_000,
    32_767,
    65_535,
    65_536,
    200_000,
    1_000_000,
    1_048_575,
    1_048_576,
    16_777_215,
    16_777_216,
    2_147_483_647,
    4_294_967_295,
    4_294_967_296,
    315_360_000_000,
    315_360_000_001,
    1_700_000_000_000,
    1_700_000_060_000,
    9_007_199_254_740_993,
    17_592_186_044_415,
    17_592_186_044_416,
    9_223_372_036_854_775_806,
    9_223_372_036_854_775_807,
    9_223_372_036_854_775_808,
    u64::MAX,
];

/// Bytes a piece may come to have.
const MOST_BYTES: usize = 4_096;

/// What may be put into an input, besides what is there.
pub struct Pantry<'a> {
    /// Another input.
    pub other: &'a Input,
    /// Words of the language.
    pub words: &'a [Vec<u8>],
    /// Whether numbers are written as varints.
    pub binary: bool,
    /// Pieces it may come to have.
    pub pieces: usize,
}

/// Changes an input once or several times.
pub fn mutate(input: &Input, pantry: &Pantry<'_>, random: &mut Random) -> Input {
    let mut input = input.clone();
    loop {
        match random.below(6) {
            0 => among_pieces(&mut input, pantry, random),
            _ => within_a_piece(&mut input, pantry, random),
        }
        if random.one_in(2) {
            break;
        }
    }
    input.pieces.truncate(pantry.pieces);
    input.pieces.iter_mut().for_each(|piece| piece.truncate(MOST_BYTES));
    input
}

fn among_pieces(input: &mut Input, pantry: &Pantry<'_>, random: &mut Random) {
    let pieces = &mut input.pieces;
    let place = random.below(pieces.len() as u64 + 1) as usize;
    let inside = place.min(pieces.len().saturating_sub(1));
    match random.below(7) {
        0 if !pieces.is_empty() => {
            pieces.remove(inside);
        }
        1 if !pieces.is_empty() => pieces.insert(place, pieces[inside].clone()),
        2 if !pieces.is_empty() => {
            let one = random.below(pieces.len() as u64) as usize;
            pieces.swap(one, inside);
        }
        3 => pieces.truncate(place),
        4 => {
            // The beginning of one, the end of the other.
            let from = random.below(pantry.other.pieces.len() as u64 + 1) as usize;
            pieces.truncate(place);
            pieces.extend_from_slice(&pantry.other.pieces[from..]);
        }
        _ if !pantry.other.pieces.is_empty() => {
            pieces.insert(place, random.pick(&pantry.other.pieces).clone())
        }
        _ => {}
    }
}

fn within_a_piece(input: &mut Input, pantry: &Pantry<'_>, random: &mut Random) {
    if input.pieces.is_empty() {
        input.pieces.push(Vec::new());
    }
    let place = random.below(input.pieces.len() as u64) as usize;
    let piece = &mut input.pieces[place];
    match random.below(16) {
        0 if !piece.is_empty() => {
            let at = random.below(piece.len() as u64) as usize;
            piece[at] ^= 1 << random.below(8);
        }
        1 if !piece.is_empty() => {
            let at = random.below(piece.len() as u64) as usize;
            piece[at] = *random.pick(&[0, 1, b' ', b'%', b'=', b'"', b'\\', 0x7f, 0x80, 0xff, b'-', b'0']);
        }
        2 => drop(piece.drain(run(piece.len(), random))),
        3 => {
            let copy = piece[run(piece.len(), random)].to_vec();
            insert(piece, &copy, random);
        }
        4 => piece.truncate(random.below(piece.len() as u64 + 1) as usize),
        5..8 if !pantry.words.is_empty() => {
            let word: &Vec<u8> = random.pick(pantry.words);
            replace_or_insert(piece, word, random);
        }
        5..=9 => number(piece, pantry.binary, random),
        10 | 11 => word(piece, pantry, random),
        12 | 13 => bracket(piece, pantry, random),
        14 => {
            let Some(other) =
                pantry.other.pieces.get(random.below(pantry.other.pieces.len().max(1) as u64) as usize)
            else {
                return;
            };
            replace_or_insert(piece, &other[run(other.len(), random)], random);
        }
        _ => {
            let byte = random.bits() as u8;
            insert(piece, &[byte], random);
        }
    }
}

/// A short run of places of a list, or now and then a long one.
fn run(len: usize, random: &mut Random) -> std::ops::Range<usize> {
    let start = random.below(len as u64 + 1) as usize;
    let most = if random.one_in(4) { len } else { 8 };
    let count = random.below(most.min(len - start) as u64 + 1) as usize;
    start..start + count
}

fn insert(piece: &mut Vec<u8>, bytes: &[u8], random: &mut Random) {
    let at = random.below(piece.len() as u64 + 1) as usize;
    piece.splice(at..at, bytes.iter().copied());
}

fn replace_or_insert(piece: &mut Vec<u8>, bytes: &[u8], random: &mut Random) {
    if random.one_in(2) {
        return insert(piece, bytes, random);
    }
    let range = run(piece.len(), random);
    piece.splice(range, bytes.iter().copied());
}

/// A number, written in digits or as a varint, becomes another.
fn number(piece: &mut Vec<u8>, binary: bool, random: &mut Random) {
    let value = *random.pick(EDGES);
    if binary {
        let at = random.below(piece.len() as u64 + 1) as usize;
        if random.one_in(2) && at < piece.len() {
            piece[at] = if random.one_in(2) { piece[at].wrapping_add(1) } else { piece[at].wrapping_sub(1) };
            return;
        }
        let mut bytes = Vec::new();
        let bits = random.below(20);
        let mut rest = if random.one_in(2) { value } else { random.below(1 << bits) };
        while rest >= 0x80 {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        let end = (at + 1).min(piece.len());
        piece.splice(at..end, bytes);
        return;
    }
    let starts = |&at: &usize| piece[at].is_ascii_digit() && (at == 0 || !piece[at - 1].is_ascii_digit());
    let numbers: Vec<usize> = (0..piece.len()).filter(starts).collect();
    if numbers.is_empty() {
        return insert(piece, value.to_string().as_bytes(), random);
    }
    let start = *random.pick(&numbers);
    let end = start + piece[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let old = str::from_utf8(&piece[start..end]).ok().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let new = match random.below(6) {
        0 => old.wrapping_add(1),
        1 => old.wrapping_sub(1),
        2 => random.below(12),
        _ => value,
    };
    let sign = if random.one_in(12) { "-" } else { "" };
    piece.splice(start..end, format!("{sign}{new}").into_bytes());
}

/// A word goes, comes twice, moves, or becomes another.
fn word(piece: &mut Vec<u8>, pantry: &Pantry<'_>, random: &mut Random) {
    let mut words: Vec<Vec<u8>> = piece.split(|&byte| byte == BETWEEN).map(<[u8]>::to_vec).collect();
    let (one, other) = (random.below(words.len() as u64) as usize, random.below(words.len() as u64) as usize);
    match random.below(5) {
        0 => drop(words.remove(one)),
        1 => words.insert(one, words[other].clone()),
        2 => words.swap(one, other),
        3 if !pantry.words.is_empty() => words.insert(one, random.pick(pantry.words).clone()),
        _ if !pantry.words.is_empty() => words[one] = random.pick(pantry.words).clone(),
        _ => {}
    }
    *piece = words.join(&BETWEEN);
}

/// What stands in brackets, or in quotes, goes, comes twice, or takes the place of another.
fn bracket(piece: &mut Vec<u8>, pantry: &Pantry<'_>, random: &mut Random) {
    let Some(range) = a_bracket(piece, random) else { return };
    match random.below(4) {
        0 => drop(piece.drain(range)),
        1 => {
            let twice = [&piece[range.clone()], b",", &piece[range.clone()]].concat();
            piece.splice(range, twice);
        }
        2 => {
            let copy = piece[range].to_vec();
            if let Some(other) = a_bracket(piece, random) {
                piece.splice(other, copy);
            }
        }
        _ => {
            let Some(from) = pantry.other.pieces.first() else { return };
            if let Some(other) = a_bracket(from, random) {
                piece.splice(range, from[other].iter().copied());
            }
        }
    }
}

fn a_bracket(piece: &[u8], random: &mut Random) -> Option<std::ops::Range<usize>> {
    let opens: Vec<usize> = (0..piece.len()).filter(|&at| matches!(piece[at], b'{' | b'[' | b'"')).collect();
    if opens.is_empty() {
        return None;
    }
    let start = *random.pick(&opens);
    if piece[start] == b'"' {
        let len = piece[start + 1..].iter().position(|&byte| byte == b'"')?;
        return Some(start..start + len + 2);
    }
    let mut depth = 0_i32;
    for (at, byte) in piece.iter().enumerate().skip(start) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(start..at + 1);
        }
    }
    None
}
