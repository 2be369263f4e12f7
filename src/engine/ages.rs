//! Since when the oldest ready task of a type has been ready, without an index of all of them.
//!
//! Tasks are counted by the millisecond in which they became ready, in a sorted list of at most
//! [`BUCKETS`] buckets; when there are more, neighbours are merged. So the cost is bounded a type
//! and not a task (an exact index would cost 16 bytes a ready task), and the answer is at most one
//! bucket too old: exact while little is waiting, within about 1/256 of the whole range otherwise, a
//! little more where the clock stepped back.

use super::units::Millis;
use std::collections::VecDeque;

/// Buckets before neighbours are merged: 8 KiB.
const BUCKETS: usize = 512;

#[derive(Clone, Debug)]
struct Bucket {
    start: Millis,
    count: u64,
}

/// The counts; see the module's prose.
#[derive(Clone, Debug, Default)]
pub struct Ages {
    buckets: VecDeque<Bucket>,
    /// The latest time that was added. Only a later one may open a bucket: any other belongs to
    /// one that is there, and the last bucket may hold times up to this.
    newest: Millis,
}

impl Ages {
    /// A task became ready at `since`.
    pub fn add(&mut self, since: Millis) {
        if self.buckets.is_empty() || since > self.newest {
            self.newest = since;
            self.buckets.push_back(Bucket { start: since, count: 1 });
            if self.buckets.len() > BUCKETS {
                self.merge();
            }
            return;
        }
        match self.behind(since) {
            // Before the first: make that begin earlier rather than insert in front.
            0 => {
                self.buckets[0].start = since;
                self.buckets[0].count += 1;
            }
            at => self.buckets[at - 1].count += 1,
        }
    }

    /// A task that became ready at `since` is not ready any more.
    pub fn remove(&mut self, since: Millis) {
        let at = self.behind(since).checked_sub(1).expect("a task that left was counted");
        let bucket = &mut self.buckets[at];
        bucket.count = bucket.count.checked_sub(1).expect("a task that left was counted");
        // An empty bucket in the middle is kept: dropping it would hand its range to the one
        // before, whose tasks are older.
        while self.buckets.front().is_some_and(|bucket| bucket.count == 0) {
            self.buckets.pop_front();
        }
        if self.buckets.is_empty() && self.buckets.capacity() > 16 {
            self.buckets = VecDeque::new();
        }
    }

    /// Since when the oldest has been ready.
    pub fn oldest(&self) -> Option<Millis> {
        self.buckets.front().map(|bucket| bucket.start)
    }

    /// How many are ready.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.count).sum()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.buckets.capacity() * size_of::<Bucket>()
    }

    /// The place behind the bucket that `since` belongs to. Most of the time that is the last, to
    /// which tasks are added, or the first, from which they are taken; else it is searched for.
    fn behind(&self, since: Millis) -> usize {
        let starts_by = |at: usize| self.buckets.get(at).is_some_and(|bucket| bucket.start <= since);
        match self.buckets.len() {
            count if count > 0 && starts_by(count - 1) => count,
            _ if starts_by(0) && !starts_by(1) => 1,
            _ => self.buckets.partition_point(|bucket| bucket.start <= since),
        }
    }

    fn merge(&mut self) {
        // The range of an empty bucket goes to the one before.
        self.buckets.retain(|bucket| bucket.count > 0);
        if self.buckets.len() <= BUCKETS / 2 {
            return;
        }
        let old = std::mem::take(&mut self.buckets);
        for (place, bucket) in old.into_iter().enumerate() {
            match self.buckets.back_mut() {
                Some(last) if place % 2 == 1 => last.count += bucket.count,
                _ => self.buckets.push_back(bucket),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn oldest_is_never_too_young_and_nearly_exact() {
        for seed in 0..20 {
            let mut random = crate::sim::random::Random::new(seed);
            let mut ages = Ages::default();
            let mut model: BTreeMap<u64, u64> = BTreeMap::new();
            let mut now = 1_000_000u64;
            let mut earliest = now;
            for _ in 0..20_000 {
                now += random.below(3);
                if random.below(100) == 0 {
                    now -= 50;
                }
                earliest = earliest.min(now);
                if random.below(5) < 3 {
                    ages.add(Millis(now));
                    *model.entry(now).or_default() += 1;
                } else if let Some((&since, _)) = model.iter().nth(random.below(3) as usize) {
                    ages.remove(Millis(since));
                    let left = model.get_mut(&since).unwrap();
                    *left -= 1;
                    if *left == 0 {
                        model.remove(&since);
                    }
                }
                assert_eq!(ages.count(), model.values().sum::<u64>());
                assert!(ages.buckets.len() <= BUCKETS);
                match (ages.oldest(), model.keys().next()) {
                    (None, None) => {}
                    (Some(shown), Some(&exact)) => {
                        assert!(shown.0 <= exact);
                        let slack = (now - earliest) / 64 + 200;
                        assert!(exact - shown.0 <= slack, "{} for {exact}", shown.0);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}
