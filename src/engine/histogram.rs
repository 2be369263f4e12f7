//! How long things took: a histogram of milliseconds with a relative error of at most 1/8.
//!
//! Below 16 ms each value has a bucket; above, each power of two has eight. The buckets grow to
//! the largest value seen, so an idle type costs nothing and a busy one less than 3 KiB.

/// The histogram; see the module's prose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

/// More buckets than any value needs: the bucket of `u64::MAX` is the last.
pub const BUCKETS: usize = 16 + 60 * 8;

impl Histogram {
    /// Counts one value.
    pub fn record(&mut self, millis: u64) {
        let bucket = bucket_of(millis);
        if bucket >= self.buckets.len() {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
    }

    /// For each of some ascending percentages the value that so many do not exceed, at most 1/8 too
    /// high; `None` when there are no values. One walk for all.
    pub fn percentiles<const N: usize>(&self, percentages: [u64; N]) -> Option<[u64; N]> {
        if self.count == 0 {
            return None;
        }
        let (mut bucket, mut seen) = (0, u128::from(self.buckets[0]));
        Some(percentages.map(|percent| {
            let rank = (u128::from(self.count) * u128::from(percent)).div_ceil(100).max(1);
            while seen < rank {
                bucket += 1;
                seen += u128::from(self.buckets[bucket]);
            }
            upper_end(bucket)
        }))
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The buckets, lowest first, for files and digests.
    pub fn buckets(&self) -> &[u64] {
        &self.buckets
    }

    /// From the buckets; `None` when they cannot be a histogram's.
    pub fn from_buckets(buckets: Vec<u64>) -> Option<Histogram> {
        if buckets.len() > BUCKETS || buckets.last() == Some(&0) {
            return None;
        }
        let count = buckets.iter().try_fold(0u64, |sum, &n| sum.checked_add(n))?;
        Some(Histogram { buckets, count })
    }
}

fn bucket_of(millis: u64) -> usize {
    if millis < 16 {
        return millis as usize;
    }
    let power = 63 - millis.leading_zeros() as usize;
    16 + (power - 4) * 8 + (millis >> (power - 3)) as usize % 8
}

fn upper_end(bucket: usize) -> u64 {
    if bucket < 16 {
        return bucket as u64;
    }
    let power = (bucket - 16) / 8 + 4;
    let step = 1u64 << (power - 3);
    (1u64 << power) + ((bucket - 16) % 8) as u64 * step + (step - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_lies_in_its_bucket_and_the_error_is_bounded() {
        for value in
            (0..5_000).chain((0..64).flat_map(|p| [(1u64 << p) - 1, 1 << p, (1 << p) + 1])).chain([u64::MAX])
        {
            let bucket = bucket_of(value);
            assert!(bucket < BUCKETS);
            let end = upper_end(bucket);
            assert!(end >= value && end - value <= value / 8, "{value} in bucket up to {end}");
            assert!(value == 0 || bucket_of(value - 1) <= bucket);
        }
    }

    #[test]
    fn percentiles_match_a_sorted_list_within_the_error() {
        let mut random = crate::sim::random::Random::new(3);
        let mut histogram = Histogram::default();
        let mut values: Vec<u64> = (0..1_000).map(|_| random.below(100_000)).collect();
        assert_eq!(histogram.percentiles([50]), None);
        values.iter().for_each(|&value| histogram.record(value));
        values.sort_unstable();
        let percentages = [1, 50, 95, 99, 100];
        for (percent, shown) in percentages.into_iter().zip(histogram.percentiles(percentages).unwrap()) {
            let exact = values[(values.len() * percent as usize).div_ceil(100) - 1];
            assert!(shown >= exact && shown <= exact + exact / 8 + 1, "p{percent}: {shown} for {exact}");
        }
        assert_eq!(Histogram::from_buckets(histogram.buckets().to_vec()), Some(histogram));
    }
}
