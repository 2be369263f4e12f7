//! The clock of a server: a wall clock that drifts and is set, and what the module makes of it.
//!
//! What `module/clock.rs` and `module/grace.rs` do, with their bounds, on a time that a run decides.

/// A difference between the two clocks that is a step, in milliseconds.
const STEP: u64 = 1_000;
/// A server that was not heard of for so long stood still.
const STILL: u64 = 2_000;
/// So much ahead of the last reading a reading needs no second look.
const NEAR: u64 = 500;

/// The wall clock was set ahead.
#[derive(Clone, Copy, Debug)]
pub struct Ahead {
    /// Which step it was, from 1.
    pub number: u64,
    /// What it should have shown.
    pub from: u64,
    /// By how many milliseconds it showed more.
    pub by: u64,
}

/// When the module last looked at both clocks.
#[derive(Clone, Debug)]
struct Known {
    at: u64,
    time: u64,
}

/// A server's clock.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// What the wall clock shows more than the true time.
    offset: i64,
    /// So many milliseconds more in a thousand seconds.
    drift: i64,
    known: Option<Known>,
    last: u64,
    ahead: Vec<Ahead>,
    steps: u64,
    grace_since: Option<u64>,
}

impl Clock {
    /// A clock that is so much ahead and drifts by so many milliseconds in a thousand seconds.
    pub fn new(offset: i64, drift: i64) -> Clock {
        Clock { offset, drift, ..Clock::default() }
    }

    /// The process starts: it has looked at nothing yet.
    pub fn start(&mut self) {
        *self = Clock::new(self.offset, self.drift);
    }

    /// Somebody sets the wall clock.
    pub fn set(&mut self, by: i64) {
        self.offset += by;
    }

    /// Time goes on, up to `now`, and the server with it if it `runs`.
    pub fn go_on(&mut self, now: u64, by: u64, runs: bool) {
        // As often as the server's cron event or so; none of the pieces is long enough to be a standstill.
        let pieces = (by / 1_000).clamp(1, 60);
        for piece in 1..=pieces {
            let left = by - by * piece / pieces;
            let passed = by * piece / pieces - by * (piece - 1) / pieces;
            self.offset += self.drift * passed as i64 / 1_000_000;
            if runs {
                self.look(now - left, false);
            }
        }
    }

    fn wall(&self, now: u64) -> u64 {
        now.saturating_add_signed(self.offset)
    }

    /// The module's time.
    pub fn read(&mut self, now: u64) -> u64 {
        let wall = self.wall(now);
        if wall < self.last || wall - self.last > NEAR {
            return self.look(now, true);
        }
        self.last = wall;
        wall
    }

    fn look(&mut self, now: u64, notices: bool) -> u64 {
        let wall = self.wall(now);
        let known = self.known.clone().unwrap_or(Known { at: now, time: wall });
        let passed = now - known.at;
        let expected = known.time + passed;
        if wall > expected + STEP {
            let from = expected.max(self.last);
            self.steps += 1;
            self.ahead.push(Ahead { number: self.steps, from, by: wall - from });
        }
        let time = wall.max(self.last).max(known.time + passed * 9 / 10);
        self.known = Some(Known { at: now, time });
        self.last = time;
        if notices && passed > STILL {
            self.grace(time);
        }
        time
    }

    /// The steps ahead after the one of that number.
    pub fn ahead(&self, after: u64) -> Vec<Ahead> {
        self.ahead.iter().copied().filter(|step| step.number > after).collect()
    }

    /// They have been made good, or are somebody else's business.
    pub fn forget_ahead(&mut self) {
        self.ahead.clear();
    }

    /// No lease expires for a while.
    pub fn grace(&mut self, time: u64) {
        self.grace_since = Some(time);
    }

    /// The moment from which leases may expire.
    pub fn expire_from(&self, grace_ms: u64) -> u64 {
        self.grace_since.map_or(0, |since| since + grace_ms)
    }
}

#[test]
fn a_clock_that_is_set_goes_on_as_the_modules_does() {
    let mut clock = Clock::new(0, 0);
    assert_eq!(clock.read(10_000), 10_000);
    clock.go_on(11_000, 1_000, true);
    clock.set(5_000);
    assert_eq!(clock.read(11_000), 16_000);
    assert_eq!(clock.ahead(0).iter().map(|step| (step.from, step.by)).collect::<Vec<_>>(), [(11_000, 5_000)]);
    assert!(clock.ahead(1).is_empty());
    clock.set(-9_000);
    clock.go_on(12_000, 1_000, true);
    assert_eq!(clock.read(12_000), 16_900, "at nine tenths of the speed");
    assert_eq!(clock.expire_from(7), 0);
    clock.go_on(20_000, 8_000, false);
    assert_eq!((clock.read(20_000), clock.expire_from(7)), (24_100, 24_107), "it stood still");
    clock.start();
    assert_eq!(clock.read(20_000), 16_000, "a process that starts knows nothing");
}
