//! A sorted run of keys that is cheap to change at both ends: one chunk of an
//! [`super::ordered::OrderedSet`].
//!
//! A vector whose first keys may be gone: taking the smallest moves nothing, and inserting or
//! removing elsewhere moves the shorter side where there is room. (A `VecDeque` does the same and
//! pays for wrapping around: three times the instructions of an insertion.)

/// The run; see the module's prose. Never empty while it is part of a set.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    keys: Vec<u128>,
    /// How many of the first are gone.
    gone: usize,
}

impl Chunk {
    /// A run of one key.
    pub fn of(key: u128) -> Chunk {
        Chunk { keys: vec![key], gone: 0 }
    }

    /// The keys in order.
    pub fn keys(&self) -> &[u128] {
        &self.keys[self.gone..]
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.keys.len() - self.gone
    }

    /// The smallest key.
    pub fn first(&self) -> u128 {
        self.keys[self.gone]
    }

    /// Where `key` is, or where it belongs. The ends are looked at first.
    pub fn find(&self, key: u128) -> Result<usize, usize> {
        let keys = self.keys();
        match keys {
            [first, ..] if *first == key => Ok(0),
            [.., last] if *last < key => Err(keys.len()),
            _ => keys.binary_search(&key),
        }
    }

    /// Inserts `key` where [`Chunk::find`] said; holds `most` keys after that at most.
    pub fn insert(&mut self, place: usize, key: u128, most: usize) {
        let at = self.gone + place;
        // Mostly at the end; a move of nothing would still be a call.
        if at == self.keys.len() && at < most {
            self.keys.push(key);
        } else if self.gone > 0 && (place < self.len() / 2 || self.keys.len() == most) {
            self.keys.copy_within(self.gone..at, self.gone - 1);
            self.gone -= 1;
            self.keys[at - 1] = key;
        } else {
            self.keys.insert(at, key);
        }
    }

    /// Removes the key at `place`.
    pub fn remove(&mut self, place: usize) {
        let at = self.gone + place;
        if place == 0 {
            self.gone += 1;
        } else if place < self.len() / 2 {
            self.keys.copy_within(self.gone..at, self.gone + 1);
            self.gone += 1;
        } else {
            self.keys.remove(at);
        }
    }

    /// Takes the keys from `place` on away.
    pub fn split_off(&mut self, place: usize) -> Chunk {
        Chunk { keys: self.keys.split_off(self.gone + place), gone: 0 }
    }

    /// Appends keys that come behind all of this.
    pub fn append(&mut self, behind: &Chunk) {
        self.keys.drain(..self.gone);
        self.gone = 0;
        self.keys.extend_from_slice(behind.keys());
    }

    /// Keys there is memory for.
    pub fn capacity(&self) -> usize {
        self.keys.capacity()
    }
}
