//! What may be said of a task beyond name, type, payload and edges.
//!
//! A shape stores the distinct sets once, so tasks that say nothing cost nothing.

/// The options of one task. `None` where the document says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TaskOptions {
    /// Its own priority.
    pub priority: Option<u32>,
    /// Its lease in milliseconds.
    pub lease_ms: Option<u64>,
    /// Failures after which it has failed for good.
    pub max_attempts: Option<u16>,
    /// Lost deliveries after which it has failed for good.
    pub max_deliveries: Option<u16>,
    /// How long it waits before it is tried again.
    pub backoff: Option<Backoff>,
    /// How long one attempt may take from its start to its end, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// How long it waits once its parents are done, in milliseconds; never 0.
    pub delay_ms: Option<u64>,
    /// Its failure does not fail the workflow.
    pub tolerated: bool,
    /// Its result stays although no child wants it any more: `Some(true)` or nothing.
    pub keep_result: Option<bool>,
    /// Nobody claims it: a signal from outside ends it, or `timeout_ms` after it became ready.
    pub signal: bool,
}

/// How the delay grows with the number of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BackoffKind {
    /// It does not.
    Fixed = 0,
    /// `delay_ms` more each time.
    Linear = 1,
    /// Twice as long each time.
    Exponential = 2,
}

impl BackoffKind {
    /// All kinds in the order of their numbers.
    pub const ALL: [BackoffKind; 3] = [BackoffKind::Fixed, BackoffKind::Linear, BackoffKind::Exponential];

    /// The word in documents.
    pub fn name(self) -> &'static str {
        match self {
            BackoffKind::Fixed => "fixed",
            BackoffKind::Linear => "linear",
            BackoffKind::Exponential => "exponential",
        }
    }
}

/// How long a task that failed waits before it is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backoff {
    /// How the delay grows.
    pub kind: BackoffKind,
    /// The first delay, in milliseconds.
    pub delay_ms: u64,
    /// The longest delay, in milliseconds.
    pub max_ms: u64,
    /// Up to how many thousandths of the delay are left away at random, 0 to 1000.
    pub jitter: u16,
}

/// The longest delay of a backoff that does not say, unless its first is longer: an hour.
pub const DEFAULT_MAX_BACKOFF_MS: u64 = 60 * 60 * 1_000;

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { kind: BackoffKind::Exponential, delay_ms: 1_000, max_ms: DEFAULT_MAX_BACKOFF_MS, jitter: 0 }
    }
}

impl Backoff {
    /// The delay after the `failures`-th failure (from 1), in milliseconds. `random` are 32 random
    /// bits: of them the jitter is made.
    pub fn delay(&self, failures: u32, random: u32) -> u64 {
        let steps = u64::from(failures.max(1)) - 1;
        let whole = match self.kind {
            BackoffKind::Fixed => self.delay_ms,
            BackoffKind::Linear => self.delay_ms.saturating_mul(steps + 1),
            BackoffKind::Exponential if steps < 64 => self.delay_ms.saturating_mul(1 << steps),
            BackoffKind::Exponential if self.delay_ms == 0 => 0,
            BackoffKind::Exponential => u64::MAX,
        };
        let whole = whole.min(self.max_ms);
        let most = u128::from(whole) * u128::from(self.jitter) / 1_000;
        whole - (((most + 1) * u128::from(random)) >> 32) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_as_their_kind_says_up_to_the_longest() {
        let delays = |kind, failures: [u32; 4]| {
            let backoff = Backoff { kind, delay_ms: 100, max_ms: 450, jitter: 0 };
            failures.map(|failures| backoff.delay(failures, u32::MAX))
        };
        assert_eq!(delays(BackoffKind::Fixed, [1, 2, 3, 65_535]), [100, 100, 100, 100]);
        assert_eq!(delays(BackoffKind::Linear, [1, 2, 4, 5]), [100, 200, 400, 450]);
        assert_eq!(delays(BackoffKind::Exponential, [1, 2, 3, 4]), [100, 200, 400, 450]);
        assert_eq!(delays(BackoffKind::Exponential, [62, 64, 65, 66]), [450; 4]);
        let none = Backoff { delay_ms: 0, ..Backoff::default() };
        assert_eq!([1, 64, 65, 1_000].map(|failures| none.delay(failures, 0)), [0; 4]);
    }

    #[test]
    fn jitter_takes_away_up_to_its_part_and_no_more() {
        let of = |jitter, random| {
            Backoff { kind: BackoffKind::Fixed, delay_ms: 1_000, max_ms: 5_000, jitter }.delay(1, random)
        };
        assert_eq!((of(0, 0), of(0, u32::MAX)), (1_000, 1_000));
        assert_eq!((of(250, 0), of(250, u32::MAX)), (1_000, 750));
        assert_eq!((of(1_000, 0), of(1_000, u32::MAX)), (1_000, 0));
        assert_eq!(of(1_000, 1 << 31), 500);
    }
}
