//! A reply as flat data: a list of items in wire order and one buffer with all their bytes.
//!
//! Commands write into it, the glue walks it once and calls the server's reply functions. It is
//! not a tree on purpose: a tree costs an allocation a node and a third more time per reply. The
//! glue keeps one `Reply` and reuses it, so in the steady state nothing is allocated.

/// One element of a reply, in the order in which it goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// An integer.
    Int(i64),
    /// A binary safe bulk string.
    Bulk(&'a [u8]),
    /// The simple string `OK`.
    Ok,
    /// Nothing: `nil`.
    Null,
    /// The next `n` elements belong to an array.
    Array(usize),
    /// The next `n` pairs of elements belong to a map (a flat array in RESP2).
    Map(usize),
}

#[derive(Clone, Copy, Debug)]
enum Stored {
    Int(i64),
    Bulk { start: usize, end: usize },
    Ok,
    Null,
    Array(usize),
    Map(usize),
}

/// A reply under construction; see the module's prose.
#[derive(Debug, Default)]
pub struct Reply {
    items: Vec<Stored>,
    bytes: Vec<u8>,
}

impl Reply {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.items.clear();
        self.bytes.clear();
    }

    /// Appends an integer.
    pub fn int(&mut self, value: i64) {
        self.items.push(Stored::Int(value));
    }

    /// Appends a count or a point in time as an integer; values past `i64::MAX` are shown as that.
    pub fn count(&mut self, value: u64) {
        self.int(i64::try_from(value).unwrap_or(i64::MAX));
    }

    /// Appends a bulk string.
    pub fn bulk(&mut self, value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.items.push(Stored::Bulk { start, end: self.bytes.len() });
    }

    /// Appends a bulk string that `write` puts together in place.
    pub fn bulk_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.items.push(Stored::Bulk { start, end: self.bytes.len() });
    }

    /// Appends `OK`.
    pub fn ok(&mut self) {
        self.items.push(Stored::Ok);
    }

    /// Appends the beginning of the bulk string before, as far as `length` says.
    pub fn bulk_again(&mut self, length: impl FnOnce(&[u8]) -> Option<usize>) {
        let Some(&Stored::Bulk { start, end }) = self.items.last() else { return self.bulk(b"") };
        let length = length(&self.bytes[start..end]).unwrap_or(end - start);
        self.items.push(Stored::Bulk { start, end: start + length });
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.items.capacity() * size_of::<Stored>() + self.bytes.capacity()
    }

    /// Appends a null.
    pub fn null(&mut self) {
        self.items.push(Stored::Null);
    }

    /// Starts an array of `len` elements, which follow.
    pub fn array(&mut self, len: usize) {
        self.items.push(Stored::Array(len));
    }

    /// Starts a map of `len` pairs, which follow.
    pub fn map(&mut self, len: usize) {
        self.items.push(Stored::Map(len));
    }

    /// All elements in wire order.
    pub fn items(&self) -> impl Iterator<Item = Item<'_>> {
        self.items.iter().map(|item| match *item {
            Stored::Int(value) => Item::Int(value),
            Stored::Bulk { start, end } => Item::Bulk(&self.bytes[start..end]),
            Stored::Ok => Item::Ok,
            Stored::Null => Item::Null,
            Stored::Array(len) => Item::Array(len),
            Stored::Map(len) => Item::Map(len),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_back_in_order() {
        let mut reply = Reply::default();
        reply.array(3);
        reply.int(-1);
        reply.bulk(b"a\0b");
        reply.null();
        let items: Vec<_> = reply.items().collect();
        assert_eq!(items, [Item::Array(3), Item::Int(-1), Item::Bulk(b"a\0b"), Item::Null]);
        reply.clear();
        assert_eq!(reply.items().count(), 0);
    }
}
