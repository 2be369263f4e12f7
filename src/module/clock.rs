//! The module's time: the wall clock as long as it goes on like a clock, and a steady time of its own
//! where it does not.
//!
//! Everything that a space says of time is unix milliseconds, so the wall clock decides. But it is
//! set by people and programs, and work must not be lost or stand still for that:
//!
//! - Stepped back, it is not followed. The module's time goes on at nine tenths of the speed until
//!   the wall clock has caught up, so leases and delays take a ninth longer and nothing stalls.
//! - Stepped ahead, it is followed, so that what was asked for at a time happens at that time. But
//!   what leases and deadlines had left they keep: before anything else happens to a space they are
//!   moved by the step, and [`super::schedule`] moves them where nothing happens.
//! - When the server itself stood still, nobody could extend a lease: the grace period begins.
//!
//! A step is told from a clock that runs by comparing with the monotonic clock. The common reading
//! costs two atomic accesses; a look at the monotonic clock is taken ten times a second and whenever
//! the wall clock moved by more than half a second, or back.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::grace;
use super::server::{Level, log_anywhere};
use crate::engine::units::Millis;

/// A difference between the two clocks that is a step.
const STEP: Duration = Duration::from_secs(1);
/// A server that was not heard of for so long stood still.
const STILL: Duration = Duration::from_secs(2);
/// So much ahead of the last reading, in milliseconds, a reading needs no second look.
const NEAR: u64 = 500;

/// The last reading, in milliseconds.
static LAST: AtomicU64 = AtomicU64::new(0);
static CLOCK: Mutex<Option<Clock>> = Mutex::new(None);

/// When the module last looked at both clocks.
struct Clock {
    at: Instant,
    /// The module's time then, since 1970.
    time: Duration,
    /// The wall clock is behind.
    behind: bool,
    /// Steps ahead that have not been made good everywhere yet.
    ahead: Vec<Ahead>,
    /// How many there were.
    steps: u64,
}

/// Whether there are such steps.
static AHEAD: AtomicBool = AtomicBool::new(false);

/// The wall clock was stepped ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// Which step it was, from 1.
    pub number: u64,
    /// What it should have shown.
    pub from: Millis,
    /// By how many milliseconds it showed more.
    pub by: u64,
}

fn with_clock<R>(body: impl FnOnce(&mut Option<Clock>) -> R) -> R {
    body(&mut CLOCK.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The module's time when the wall clock shows `wall` milliseconds.
pub fn read(wall: u64) -> Millis {
    let last = LAST.load(Relaxed);
    if wall < last || wall - last > NEAR {
        return look(wall);
    }
    LAST.store(wall, Relaxed);
    Millis(wall)
}

/// The same, with a look at the monotonic clock.
pub fn look(wall: u64) -> Millis {
    let now = Instant::now();
    let last = Duration::from_millis(LAST.load(Relaxed));
    let wall = Duration::from_millis(wall);
    let (time, stood_still) = with_clock(|clock| {
        let known =
            clock.get_or_insert(Clock { at: now, time: wall, behind: false, ahead: vec![], steps: 0 });
        let passed = now.duration_since(known.at);
        let expected = known.time + passed;
        if wall > expected + STEP {
            // Readings are whole milliseconds, and what was read last is not after the step.
            let from = expected.max(last);
            step_ahead(known, from, wall.saturating_sub(from));
        }
        let stepped_back = wall + STEP < expected;
        if stepped_back && !known.behind {
            let by = (expected - wall).as_millis();
            log_anywhere(
                Level::Notice,
                &format!("the clock was set back by {by} ms: the module's time goes on"),
            );
        }
        let time = wall.max(last).max(known.time + passed * 9 / 10);
        known.behind = time > wall && (known.behind || stepped_back);
        known.at = now;
        known.time = time;
        (time, passed > STILL)
    });
    let time = Millis(time.as_millis() as u64);
    LAST.store(time.0, Relaxed);
    if stood_still {
        grace::start(time);
    }
    time
}

fn step_ahead(clock: &mut Clock, expected: Duration, by: Duration) {
    let by = by.as_millis() as u64;
    log_anywhere(
        Level::Notice,
        &format!("the clock was set ahead by {by} ms: leases and deadlines are moved along"),
    );
    clock.steps += 1;
    clock.ahead.push(Ahead { number: clock.steps, from: Millis(expected.as_millis() as u64), by });
    AHEAD.store(true, Relaxed);
}

/// Whether the wall clock is behind the module's time, and the server's timers stand still.
pub fn is_behind() -> bool {
    with_clock(|clock| clock.as_ref().is_some_and(|clock| clock.behind))
}

/// The steps ahead that have not been made good everywhere, after the one of that number.
pub fn ahead(after: u64) -> Vec<Ahead> {
    if !AHEAD.load(Relaxed) {
        return Vec::new();
    }
    let newer = |step: &Ahead| step.number > after;
    with_clock(|clock| {
        clock.as_ref().map_or_else(Vec::new, |clock| clock.ahead.iter().copied().filter(newer).collect())
    })
}

/// They have been made good, or are somebody else's business.
pub fn forget_ahead() {
    AHEAD.store(false, Relaxed);
    with_clock(|clock| {
        if let Some(clock) = clock {
            clock.ahead.clear();
        }
    });
}
