//! What is known of a task that was handed out: token, worker, attempts, times.
//!
//! While a workflow is active its tasks' runs lie in one array of 24 bytes a task, allocated when
//! the first task is claimed: a workflow that waits has none. When the workflow completed they
//! are sealed into a packed list of 8 to 12 bytes a task.

use super::limits::MAX_ATTEMPT;
use super::packed::{put_varint, take_varint};
use super::units::{Millis, Nonce, WorkerId};

/// The run of a task, as plain values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The random part of its newest token.
    pub nonce: Nonce,
    /// How often it was handed out; 0: never, and nonce and worker mean nothing.
    pub attempt: u32,
    /// Who has it or had it last.
    pub worker: WorkerId,
    /// When it became ready the last time.
    pub ready: Option<Millis>,
    /// When it was claimed the last time.
    pub started: Option<Millis>,
    /// When it ended; the deadline of its lease while it is running.
    pub finished: Option<Millis>,
}

impl Run {
    /// Nothing is known yet.
    pub const NONE: Run =
        Run { nonce: Nonce(0), attempt: 0, worker: WorkerId(0), ready: None, started: None, finished: None };
}

/// A run in 24 bytes. Times are 40-bit milliseconds since the workflow was pushed plus one, 0 for
/// none: 34 years.
#[derive(Clone, Copy, Debug)]
pub struct PackedRun {
    nonce: u32,
    attempt: u16,
    worker: [u8; 3],
    ready: [u8; 5],
    started: [u8; 5],
    finished: [u8; 5],
}

const _: () = assert!(size_of::<PackedRun>() == 24);

/// The latest time of a task that a workflow pushed at `created` can hold.
pub fn latest(created: Millis) -> Millis {
    created.plus((1 << 40) - 2)
}

fn offset(time: Option<Millis>, created: Millis) -> [u8; 5] {
    let offset = time.map_or(0, |time| time.min(latest(created)).since(created) + 1);
    offset.to_le_bytes()[..5].try_into().expect("five bytes")
}

impl PackedRun {
    /// Packs a run of a workflow pushed at `created`. Times outside of what fits are moved to its
    /// ends; `apply` has done so already.
    pub fn pack(run: Run, created: Millis) -> PackedRun {
        PackedRun {
            nonce: run.nonce.0,
            attempt: run.attempt.min(MAX_ATTEMPT) as u16,
            worker: run.worker.0.to_le_bytes()[..3].try_into().expect("three bytes"),
            ready: offset(run.ready, created),
            started: offset(run.started, created),
            finished: offset(run.finished, created),
        }
    }

    /// Changes when the task became ready and when it ended.
    pub fn set_times(&mut self, ready: Option<Millis>, finished: Option<Millis>, created: Millis) {
        self.ready = offset(ready, created);
        self.finished = offset(finished, created);
    }

    /// The random part of the newest token, if there ever was one.
    pub fn nonce(&self) -> Option<Nonce> {
        (self.attempt > 0).then_some(Nonce(self.nonce))
    }

    /// How often the task was handed out.
    pub fn attempts(&self) -> u32 {
        u32::from(self.attempt)
    }

    /// The run again.
    pub fn unpack(&self, created: Millis) -> Run {
        let time = |bytes: [u8; 5]| {
            let [a, b, c, d, e] = bytes;
            let offset = u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]);
            offset.checked_sub(1).map(|offset| created.plus(offset))
        };
        let [a, b, c] = self.worker;
        Run {
            nonce: Nonce(self.nonce),
            attempt: u32::from(self.attempt),
            worker: WorkerId(u32::from_le_bytes([a, b, c, 0])),
            ready: time(self.ready),
            started: time(self.started),
            finished: time(self.finished),
        }
    }
}

/// Appends the sealed form of a completed task's run.
pub fn seal(run: Run, created: Millis, out: &mut Vec<u8>) {
    let ready = run.ready.unwrap_or(created);
    let started = run.started.unwrap_or(ready);
    let finished = run.finished.unwrap_or(started);
    out.extend_from_slice(&run.nonce.0.to_le_bytes());
    put_varint(out, u64::from(run.attempt));
    put_varint(out, u64::from(run.worker.0));
    put_varint(out, ready.since(created));
    put_varint(out, started.since(ready));
    put_varint(out, finished.since(started));
}

/// The run again, as far as a completed task has one.
pub fn unseal(mut bytes: &[u8], created: Millis) -> Run {
    let (nonce, rest) = bytes.split_at(4);
    bytes = rest;
    let nonce = Nonce(u32::from_le_bytes(nonce.try_into().expect("four bytes")));
    let mut next = || take_varint(&mut bytes).expect("sealed by us");
    let attempt = next() as u32;
    let worker = WorkerId(next() as u32);
    let ready = created.plus(next());
    let started = ready.plus(next());
    let finished = started.plus(next());
    Run { nonce, attempt, worker, ready: Some(ready), started: Some(started), finished: Some(finished) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_and_sealing_lose_nothing() {
        let created = Millis(1_700_000_000_000);
        let run = Run {
            nonce: Nonce(0xfedc_ba98),
            attempt: 65_535,
            worker: WorkerId(0xff_fffe),
            ready: Some(created),
            started: Some(created.plus(5)),
            finished: Some(latest(created)),
        };
        assert_eq!(PackedRun::pack(run, created).unpack(created), run);
        assert_eq!(PackedRun::pack(Run::NONE, created).unpack(created), Run::NONE);
        let mut sealed = Vec::new();
        seal(run, created, &mut sealed);
        assert_eq!(unseal(&sealed, created), run);
    }
}
