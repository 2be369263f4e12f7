//! What few have, kept by whose it is beside the slab: a table of keys and values that costs nothing
//! until it is used.

use super::split_table::SplitTable;
use hashbrown::DefaultHashBuilder;
use std::hash::{BuildHasher, Hash};

/// The table; see the module's prose.
#[derive(Clone, Debug)]
pub struct SideTable<K, V> {
    table: SplitTable<(K, V)>,
    hasher: DefaultHashBuilder,
}

impl<K, V> Default for SideTable<K, V> {
    fn default() -> SideTable<K, V> {
        SideTable { table: SplitTable::default(), hasher: DefaultHashBuilder::default() }
    }
}

impl<K: Copy + Eq + Hash, V> SideTable<K, V> {
    /// The value of a key.
    pub fn get(&self, key: K) -> Option<&V> {
        self.table.find(self.hasher.hash_one(key), |entry| entry.0 == key).map(|entry| &entry.1)
    }

    /// Writes the value of a key; gives the one before.
    pub fn set(&mut self, key: K, value: V) -> Option<V> {
        let before = self.remove(key);
        let SideTable { table, hasher } = self;
        table.insert(hasher.hash_one(key), (key, value), |entry| hasher.hash_one(entry.0));
        before
    }

    /// Drops the value of a key; gives it, if there was one.
    pub fn remove(&mut self, key: K) -> Option<V> {
        self.table.remove(self.hasher.hash_one(key), |entry| entry.0 == key).map(|entry| entry.1)
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Bytes on the heap, without those of the values.
    pub fn heap_bytes(&self) -> usize {
        self.table.heap_bytes()
    }
}
