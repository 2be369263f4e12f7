//! A hash table that never grows all at once.
//!
//! A table that doubles has to visit every entry, and here an entry is often only the place of a
//! record, whose key must be read again: with 900,000 workflows one push took 83 ms. So entries
//! lie in many small tables, found by the top bits of the hash, and one that is full is split in
//! two by the next bit (extendible hashing). The longest an insertion takes is the split of
//! [`FULL`] entries.

use hashbrown::HashTable;

/// Entries at which a table is split: what 4,096 buckets hold.
const FULL: usize = 3584;

/// Bits that tables are told apart by: 65,536 tables hold 230 million entries, and hashes that all
/// begin alike cannot make the directory larger than 256 KiB.
const MAX_BITS: u32 = 16;

#[derive(Clone, Debug)]
struct Part<T> {
    table: HashTable<T>,
    /// How many top bits all its hashes share.
    bits: u32,
}

/// The table; see the module's prose.
#[derive(Clone, Debug)]
pub struct SplitTable<T> {
    parts: Vec<Part<T>>,
    /// Which part holds the hashes that begin with the bits of this index.
    directory: Vec<u32>,
    len: usize,
}

impl<T> Default for SplitTable<T> {
    fn default() -> SplitTable<T> {
        SplitTable { parts: vec![Part { table: HashTable::new(), bits: 0 }], directory: vec![0], len: 0 }
    }
}

impl<T> SplitTable<T> {
    /// A table with room for so many entries, if their hashes are spread well.
    pub fn with_room(entries: usize) -> SplitTable<T> {
        // With an eighth to spare in each part, as no two get exactly as many.
        let mut bits = 0;
        while (entries >> bits) > FULL - FULL / 8 && bits < MAX_BITS {
            bits += 1;
        }
        let each = (entries >> bits) + (entries >> bits) / 8;
        let part = |_| Part { table: HashTable::with_capacity(each), bits };
        SplitTable { parts: (0..1 << bits).map(part).collect(), directory: (0..1 << bits).collect(), len: 0 }
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entry of that hash for which `same` holds.
    pub fn find(&self, hash: u64, same: impl FnMut(&T) -> bool) -> Option<&T> {
        self.parts[self.part_of(hash)].table.find(hash, same)
    }

    /// Adds an entry that is not there.
    pub fn insert(&mut self, hash: u64, entry: T, hash_of: impl Fn(&T) -> u64) {
        self.len += 1;
        let mut part = self.part_of(hash);
        // Hashes that all begin alike cannot be told apart by splitting.
        while self.parts[part].table.len() >= FULL && self.parts[part].bits < MAX_BITS {
            self.split(part, &hash_of);
            part = self.part_of(hash);
        }
        self.parts[part].table.insert_unique(hash, entry, hash_of);
    }

    /// Takes out the entry of that hash for which `same` holds.
    pub fn remove(&mut self, hash: u64, same: impl FnMut(&T) -> bool) -> Option<T> {
        let part = self.part_of(hash);
        let (entry, _) = self.parts[part].table.find_entry(hash, same).ok()?.remove();
        self.len -= 1;
        if self.len == 0 {
            *self = SplitTable::default();
        }
        Some(entry)
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let tables: usize = self.parts.iter().map(|part| part.table.allocation_size()).sum();
        tables + self.parts.capacity() * size_of::<Part<T>>() + self.directory.capacity() * 4
    }

    /// What measuring costs, in steps.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    fn part_of(&self, hash: u64) -> usize {
        let bits = self.directory.len().trailing_zeros();
        // A shift by 64 is none: with one part there is nothing to look at.
        let index = hash.checked_shr(64 - bits).unwrap_or(0);
        self.directory[index as usize] as usize
    }

    fn split(&mut self, part: usize, hash_of: &impl Fn(&T) -> u64) {
        let bits = self.parts[part].bits + 1;
        if self.directory.len() < 1 << bits {
            self.directory = self.directory.iter().flat_map(|&part| [part, part]).collect();
        }
        let upper = |hash: u64| hash >> (64 - bits) & 1 == 1;
        let moved: Vec<T> = self.parts[part].table.extract_if(|entry| upper(hash_of(entry))).collect();
        let mut table = HashTable::with_capacity(moved.len());
        moved.into_iter().for_each(|entry| {
            table.insert_unique(hash_of(&entry), entry, hash_of);
        });
        self.parts[part].bits = bits;
        self.parts[part].table.shrink_to_fit(hash_of);
        let new = self.parts.len() as u32;
        self.parts.push(Part { table, bits });
        let all_bits = self.directory.len().trailing_zeros();
        for (index, entry) in self.directory.iter_mut().enumerate() {
            if *entry as usize == part && index >> (all_bits - bits) & 1 == 1 {
                *entry = new;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn behaves_as_a_set_through_many_splits() {
        let hash_of = |key: &u64| key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut random = crate::sim::random::Random::new(5);
        let mut table = SplitTable::default();
        let mut model = BTreeSet::new();
        for step in 0..200_000u64 {
            let key = random.below(100_000);
            let hash = hash_of(&key);
            assert_eq!(table.find(hash, |&other| other == key).is_some(), model.contains(&key));
            if model.contains(&key) && (step > 150_000 || random.one_in(3)) {
                assert_eq!(table.remove(hash, |&other| other == key), Some(key));
                model.remove(&key);
            } else if model.insert(key) {
                table.insert(hash, key, hash_of);
            }
            assert_eq!(table.len(), model.len());
        }
        assert!(table.parts.len() > 16);
        assert!(table.parts.iter().all(|part| part.table.len() <= FULL));
        for key in model {
            assert_eq!(table.remove(hash_of(&key), |&other| other == key), Some(key));
        }
        assert!(table.is_empty() && table.parts.len() == 1);
    }

    #[test]
    fn equal_hashes_are_kept_apart_by_the_entries() {
        let mut table = SplitTable::default();
        for key in 0..10_000u64 {
            table.insert(7, key, |_| 7);
        }
        assert_eq!(table.find(7, |&other| other == 9_999), Some(&9_999));
    }
}
