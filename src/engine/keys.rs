//! Keys of the ordered indexes: everything they sort by, packed into 128 bits.
//!
//! ```text
//! ready:  priority 32 | sequence 44 | task 20 | slot 32     the claim order
//! held:         0 32 | sequence 44 | task 20 | slot 32     what a worker holds, oldest workflow first
//! lease:        0 32 | time 44 | slot 32 | task 20         what runs out, is due, failed, finished first
//! ```

use super::units::{Millis, Sequence, Slot, TaskIndex, TaskRef};

/// The key of a ready task: lowest first is the order in which tasks are claimed.
pub fn ready(priority: u32, sequence: Sequence, task: TaskRef) -> u128 {
    u128::from(priority) << 96 | held(sequence, task)
}

/// The key of a task that a worker holds.
pub fn held(sequence: Sequence, task: TaskRef) -> u128 {
    u128::from(sequence.0) << 52 | u128::from(task.index.0) << 32 | u128::from(task.slot.0)
}

/// The key of a lease.
pub fn lease(deadline: Millis, task: TaskRef) -> u128 {
    u128::from(deadline.0) << 52 | u128::from(task.slot.0) << 20 | u128::from(task.index.0)
}

/// The task of a ready or held key.
pub fn task_of_ready(key: u128) -> TaskRef {
    TaskRef { slot: Slot(key as u32), index: TaskIndex((key >> 32) as u32 & 0xf_ffff) }
}

/// The priority of a ready key.
pub fn priority_of(key: u128) -> u32 {
    (key >> 96) as u32
}

/// The task of a lease key.
pub fn task_of_lease(key: u128) -> TaskRef {
    TaskRef { slot: Slot((key >> 20) as u32), index: TaskIndex(key as u32 & 0xf_ffff) }
}

/// The deadline of a lease key.
pub fn deadline_of(key: u128) -> Millis {
    Millis((key >> 52) as u64)
}

/// The last key of [`lease`] with this time.
pub fn last_of(time: Millis) -> u128 {
    u128::from(time.0) << 52 | ((1 << 52) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_give_back_what_they_were_made_of() {
        let task = TaskRef { slot: Slot(u32::MAX), index: TaskIndex((1 << 20) - 1) };
        let key = ready(100, Sequence((1 << 44) - 1), task);
        assert_eq!((task_of_ready(key), priority_of(key)), (task, 100));
        let key = lease(Millis::MAX, task);
        assert_eq!((task_of_lease(key), deadline_of(key)), (task, Millis::MAX));
    }

    #[test]
    fn ready_keys_sort_by_priority_then_age_then_place() {
        let task = |index| TaskRef { slot: Slot(9 - index), index: TaskIndex(index) };
        let keys = [
            ready(0, Sequence(9), task(9)),
            ready(1, Sequence(1), task(5)),
            ready(1, Sequence(2), task(0)),
            ready(1, Sequence(2), task(1)),
        ];
        assert!(keys.is_sorted());
    }
}
