//! An ordered set of 128-bit keys: ready tasks, leases by deadline, what a worker holds.
//!
//! A deque of sorted chunks of at most [`CHUNK`] keys. These sets grow at the back (new work) and
//! shrink at the front (the next claim, the next deadline), and both touch one chunk only.
//! Appending fills chunks to the last place, so a key costs 16.3 bytes; a `BTreeSet`, whose nodes
//! stay half full when keys arrive in order, costs 34. Inserting or removing elsewhere is two
//! binary searches and a move within one chunk of 2 KiB.

use super::chunk::Chunk;
use std::collections::VecDeque;

/// Keys of a full chunk.
const CHUNK: usize = 128;

/// The set; see the module's prose.
#[derive(Clone, Debug, Default)]
pub struct OrderedSet {
    chunks: VecDeque<Chunk>,
    len: usize,
    /// The chunk that was changed last: a batch stays near it.
    last: usize,
}

impl OrderedSet {
    /// Number of keys.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The smallest key.
    pub fn first(&self) -> Option<u128> {
        self.chunks.front().map(Chunk::first)
    }

    /// All keys in order.
    pub fn iter(&self) -> impl Iterator<Item = u128> {
        self.chunks.iter().flat_map(|chunk| chunk.keys().iter().copied())
    }

    /// All keys up to `last`, in descending order.
    pub fn iter_down(&self, last: u128) -> impl Iterator<Item = u128> {
        let end = self.chunks.partition_point(|chunk| chunk.first() <= last);
        let chunks = self.chunks.range(..end).rev();
        chunks.flat_map(|chunk| chunk.keys().iter().rev().copied()).skip_while(move |&key| key > last)
    }

    /// Adds `key`; false when it was there.
    pub fn insert(&mut self, key: u128) -> bool {
        let at = match self.chunks.back() {
            None => {
                self.chunks.push_back(Chunk::of(key));
                self.len = 1;
                return true;
            }
            Some(last) if last.first() <= key => self.chunks.len() - 1,
            Some(_) => self.chunk_of(key).unwrap_or(0),
        };
        self.last = at;
        let chunk = &mut self.chunks[at];
        let Err(place) = chunk.find(key) else { return false };
        self.len += 1;
        if chunk.len() < CHUNK {
            chunk.insert(place, key, CHUNK);
        } else if place == CHUNK {
            // Behind a full chunk: begin a new one rather than leave two half full ones.
            self.chunks.insert(at + 1, Chunk::of(key));
        } else {
            let mut upper = chunk.split_off(CHUNK / 2);
            if place > CHUNK / 2 {
                upper.insert(place - CHUNK / 2, key, CHUNK);
            } else {
                chunk.insert(place, key, CHUNK);
            }
            self.chunks.insert(at + 1, upper);
        }
        true
    }

    /// Removes `key`; false when it was not there.
    pub fn remove(&mut self, key: u128) -> bool {
        let at = match self.chunks.front() {
            Some(first) if first.first() == key => 0,
            _ => match self.chunk_of(key) {
                Some(at) => at,
                None => return false,
            },
        };
        self.last = at;
        let chunk = &mut self.chunks[at];
        let Ok(place) = chunk.find(key) else { return false };
        chunk.remove(place);
        self.len -= 1;
        if chunk.len() == 0 {
            self.chunks.remove(at);
            if self.chunks.is_empty() {
                self.chunks = VecDeque::new();
            }
        } else if chunk.len() <= CHUNK / 4 {
            self.merge_around(at);
        }
        true
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let chunks: usize = self.chunks.capacity() * size_of::<Chunk>();
        // As if all but the last were full, which they are unless much was removed from the middle:
        // looking at each would make measuring cost as much as walking.
        chunks
            + self.chunks.len().saturating_sub(1) * CHUNK * 16
            + self.chunks.back().map_or(0, |chunk| chunk.capacity() * 16)
    }

    /// The only chunk that can hold `key`: the last that does not begin behind it.
    fn chunk_of(&self, key: u128) -> Option<usize> {
        let begins_by = |at: usize| self.chunks.get(at).is_some_and(|chunk| chunk.first() <= key);
        if begins_by(self.last) && !begins_by(self.last + 1) {
            return Some(self.last);
        }
        self.chunks.partition_point(|chunk| chunk.first() <= key).checked_sub(1)
    }

    /// Keeps chunks from staying nearly empty after removals in the middle. The ends are left
    /// alone: they are where the set grows and shrinks.
    fn merge_around(&mut self, at: usize) {
        if at == 0 || at + 1 >= self.chunks.len() {
            return;
        }
        if self.chunks[at].len() + self.chunks[at + 1].len() <= CHUNK / 2 {
            let upper = self.chunks.remove(at + 1).expect("checked");
            self.chunks[at].append(&upper);
        } else if at > 1 && self.chunks[at - 1].len() + self.chunks[at].len() <= CHUNK / 2 {
            let upper = self.chunks.remove(at).expect("checked");
            self.chunks[at - 1].append(&upper);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn behaves_as_a_btreeset() {
        let mut random = crate::sim::random::Random::new(7);
        for round in 0..40 {
            let range = [10, 300, 5_000, 1_000_000][round % 4];
            let mut set = OrderedSet::default();
            let mut model = BTreeSet::new();
            for step in 0..4_000u64 {
                let key = match random.below(4) {
                    0 => u128::from(step) + range as u128,
                    _ => u128::from(random.below(range)),
                };
                match random.below(5) {
                    0 | 1 => assert_eq!(set.insert(key), model.insert(key)),
                    2 => assert_eq!(set.remove(key), model.remove(&key)),
                    3 => {
                        let first = model.first().copied();
                        assert_eq!(set.first(), first);
                        if let Some(first) = first {
                            assert!(set.remove(first) && model.remove(&first));
                        }
                    }
                    _ => assert_eq!(set.is_empty(), model.is_empty()),
                }
                assert_eq!(set.len(), model.len());
            }
            assert!(set.iter().eq(model.iter().copied()));
            for key in &model {
                assert!(set.remove(*key));
            }
            assert!(set.is_empty() && set.first().is_none());
        }
    }

    #[test]
    fn appending_fills_chunks() {
        let mut set = OrderedSet::default();
        for key in 0..100_000u128 {
            set.insert(key);
        }
        assert!(set.heap_bytes() < 100_000 * 17, "{}", set.heap_bytes());
    }
}
