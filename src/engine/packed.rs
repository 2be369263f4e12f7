//! A list of byte strings in one run of bytes, for payloads and names.
//!
//! ```text
//! offsets: u32 little endian, one for each block of 16 entries but the first, from the entries' start
//! entries: varint length, bytes
//! ```
//!
//! An entry costs one byte more than its own (up to 127 bytes), and a list of up to 16 has no
//! offsets at all, which is the common case and what the memory budget was made for. Reading
//! entry `i` looks at no more than 16 lengths. The number of entries is known to the owner and
//! not stored.

/// Entries between two stored offsets; a list of so many has none.
pub const BLOCK: usize = 16;

/// Appends `value` in 7-bit groups, lowest first.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads a varint from the front of `bytes` and moves past it; `None` when it is cut off, does
/// not fit 64 bits, or is longer than needed.
pub fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (place, &byte) in bytes.iter().enumerate().take(10) {
        let bits = u64::from(byte & 0x7f);
        if place == 9 && byte > 1 {
            return None;
        }
        value |= bits << (7 * place);
        if byte < 0x80 {
            if byte == 0 && place > 0 {
                return None;
            }
            *bytes = &bytes[place + 1..];
            return Some(value);
        }
    }
    None
}

/// Appends a packed list of `count` entries to `out`. `entry(i, out)` appends the bytes of entry
/// `i`; it is called once for each, in order.
pub fn write(out: &mut Vec<u8>, count: usize, mut entry: impl FnMut(usize, &mut Vec<u8>)) {
    let offsets = out.len();
    out.resize(offsets + table_bytes(count), 0);
    let start = out.len();
    for index in 0..count {
        if index > 0 && index % BLOCK == 0 {
            let offset = ((out.len() - start) as u32).to_le_bytes();
            let place = offsets + (index / BLOCK - 1) * 4;
            out[place..place + 4].copy_from_slice(&offset);
        }
        // The length comes first but is known last: reserve one byte, which is nearly always
        // enough, and move the entry when it is not.
        let length_at = out.len();
        out.push(0);
        entry(index, out);
        let length = out.len() - length_at - 1;
        if length < 0x80 {
            out[length_at] = length as u8;
        } else {
            let mut varint = Vec::with_capacity(5);
            put_varint(&mut varint, length as u64);
            out.splice(length_at..=length_at, varint);
        }
    }
}

/// Appends one entry, lengths in front; a list of up to [`BLOCK`] is nothing but its entries.
pub fn put_entry(out: &mut Vec<u8>, entry: &[u8]) {
    put_varint(out, entry.len() as u64);
    out.extend_from_slice(entry);
}

/// Bytes of a list of entries of these lengths.
pub fn list_bytes(lengths: impl ExactSizeIterator<Item = usize>) -> usize {
    let length_bytes = |length: usize| (64 - (length as u64 | 1).leading_zeros() as usize).div_ceil(7);
    table_bytes(lengths.len()) + lengths.map(|length| length + length_bytes(length)).sum::<usize>()
}

/// Entries in a row, without offsets: what a list of up to [`BLOCK`] is, and what files have.
#[derive(Clone, Copy, Debug, Default)]
pub struct Row<'a> {
    bytes: &'a [u8],
    count: usize,
}

impl<'a> Row<'a> {
    /// A row of `count` entries that was taken or put together before.
    pub fn of(bytes: &'a [u8], count: usize) -> Row<'a> {
        Row { bytes, count }
    }

    /// Takes a row of `count` entries off the front of bytes that may say anything; `None` when
    /// they are cut off.
    pub fn take(bytes: &mut &'a [u8], count: usize) -> Option<Row<'a>> {
        let mut rest = *bytes;
        for _ in 0..count {
            let length = match *rest {
                [length @ 0..0x80, ref tail @ ..] => {
                    rest = tail;
                    usize::from(length)
                }
                _ => usize::try_from(take_varint(&mut rest)?).ok()?,
            };
            rest = rest.get(length..)?;
        }
        let row = Row { bytes: &bytes[..bytes.len() - rest.len()], count };
        *bytes = rest;
        Some(row)
    }

    /// The bytes.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Number of entries.
    pub fn len(self) -> usize {
        self.count
    }

    /// True when there is none.
    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// The entries.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.bytes;
        (0..self.count).map(move |_| take_entry(&mut rest))
    }
}

/// Entry `index` of a list of `count` that starts at the front of `bytes`.
pub fn get(bytes: &[u8], count: usize, index: usize) -> &[u8] {
    debug_assert!(index < count);
    let block = index / BLOCK;
    let table = table_bytes(count);
    let mut rest = &bytes[table..];
    if block > 0 {
        let place = (block - 1) * 4;
        let offset = u32::from_le_bytes(bytes[place..place + 4].try_into().expect("four bytes"));
        rest = &rest[offset as usize..];
    }
    for _ in 0..index % BLOCK {
        take_entry(&mut rest);
    }
    take_entry(&mut rest)
}

/// Takes an entry off the front; nearly always its length is one byte.
fn take_entry<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let length = match **rest {
        [length @ 0..0x80, ref tail @ ..] => {
            *rest = tail;
            usize::from(length)
        }
        _ => take_varint(rest).expect("written by us") as usize,
    };
    let (entry, tail) = rest.split_at(length);
    *rest = tail;
    entry
}

/// All entries in order.
pub fn iter(bytes: &[u8], count: usize) -> impl Iterator<Item = &[u8]> {
    let mut rest = &bytes[table_bytes(count)..];
    (0..count).map(move |_| take_entry(&mut rest))
}

fn table_bytes(count: usize) -> usize {
    count.saturating_sub(1) / BLOCK * 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_reads_back_for_every_count_around_the_blocks() {
        for count in (0..70).chain([256, 1000]) {
            let entries: Vec<Vec<u8>> =
                (0..count).map(|i| vec![i as u8; [0, 1, 7, 127, 128, 300, 20_000][i % 7]]).collect();
            let mut bytes = b"before".to_vec();
            write(&mut bytes, count, |i, out| out.extend_from_slice(&entries[i]));
            let list = &bytes[6..];
            for (index, entry) in entries.iter().enumerate() {
                assert_eq!(get(list, count, index), entry.as_slice(), "{index} of {count}");
            }
            assert!(iter(list, count).eq(entries.iter().map(Vec::as_slice)));
        }
    }

    #[test]
    fn varints_have_one_form_only() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            let mut rest = bytes.as_slice();
            assert_eq!(take_varint(&mut rest), Some(value));
            assert!(rest.is_empty());
            let mut cut = &bytes[..bytes.len() - 1];
            assert_eq!(take_varint(&mut cut), None);
        }
        assert_eq!(take_varint(&mut [0x80, 0x00].as_slice()), None, "longer than needed");
        assert_eq!(take_varint(&mut [0xff; 11].as_slice()), None, "does not end");
        let mut over = [0xff; 10];
        over[9] = 2;
        assert_eq!(take_varint(&mut over.as_slice()), None, "65 bits");
    }
}
