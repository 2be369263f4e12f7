//! The options of a task: a varint of bits that say which are there, then these.

use crate::encoding::bytes::{DecodeError, Source};
use crate::engine::limits::{MAX_DURATION_MS, MAX_LEASE_MS, MAX_PRIORITY, MAX_TRIES};
use crate::engine::options::{Backoff, BackoffKind, TaskOptions};
use crate::engine::packed::put_varint;

const NUMBERS: usize = 6;
const BACKOFF: u64 = 1 << NUMBERS;
const TOLERATED: u64 = BACKOFF << 1;
const KEEP_RESULT: u64 = BACKOFF << 2;
const SIGNAL: u64 = BACKOFF << 3;

/// Appends the options.
pub fn write(options: &TaskOptions, bytes: &mut Vec<u8>) {
    let TaskOptions {
        priority,
        lease_ms,
        max_attempts,
        max_deliveries,
        backoff,
        timeout_ms,
        delay_ms,
        tolerated,
        keep_result,
        signal,
    } = *options;
    let numbers: [Option<u64>; NUMBERS] = [
        priority.map(u64::from),
        lease_ms,
        max_attempts.map(u64::from),
        max_deliveries.map(u64::from),
        timeout_ms,
        delay_ms,
    ];
    let bits = numbers.iter().enumerate().map(|(place, number)| u64::from(number.is_some()) << place);
    put_varint(
        bytes,
        bits.sum::<u64>()
            | if backoff.is_some() { BACKOFF } else { 0 }
            | if tolerated { TOLERATED } else { 0 }
            | if keep_result.is_some() { KEEP_RESULT } else { 0 }
            | if signal { SIGNAL } else { 0 },
    );
    numbers.into_iter().flatten().for_each(|number| put_varint(bytes, number));
    if let Some(Backoff { kind, delay_ms, max_ms, jitter }) = backoff {
        bytes.push(kind as u8);
        [delay_ms, max_ms, u64::from(jitter)].into_iter().for_each(|number| put_varint(bytes, number));
    }
}

/// Reads them back, each in its range.
pub fn read(source: &mut Source<'_>) -> Result<TaskOptions, DecodeError> {
    const RANGES: [(u64, u64); NUMBERS] = [
        (0, MAX_PRIORITY as u64),
        (1, MAX_LEASE_MS),
        (1, MAX_TRIES),
        (1, MAX_TRIES),
        (1, MAX_DURATION_MS),
        (1, MAX_DURATION_MS),
    ];
    let bits = source.int()?;
    if bits >= SIGNAL << 1 {
        return Err(DecodeError::Impossible("an option that is not known"));
    }
    let mut numbers = [None; NUMBERS];
    for (place, (min, max)) in RANGES.into_iter().enumerate() {
        if bits & 1 << place != 0 {
            numbers[place] = Some(in_range(source.int()?, min, max)?);
        }
    }
    let backoff = match bits & BACKOFF {
        0 => None,
        _ => {
            let kind = BackoffKind::ALL.get(source.byte()? as usize);
            let kind = *kind.ok_or(DecodeError::Impossible("a backoff that is not known"))?;
            let delay_ms = in_range(source.int()?, 0, MAX_DURATION_MS)?;
            let max_ms = in_range(source.int()?, delay_ms, MAX_DURATION_MS)?;
            let jitter = in_range(source.int()?, 0, 1_000)? as u16;
            Some(Backoff { kind, delay_ms, max_ms, jitter })
        }
    };
    let of_workers = numbers[1..4].iter().any(Option::is_some) || backoff.is_some();
    if bits & SIGNAL != 0 && of_workers {
        return Err(DecodeError::Impossible("an attempt or a lease where a signal ends the task"));
    }
    let [priority, lease_ms, max_attempts, max_deliveries, timeout_ms, delay_ms] = numbers;
    Ok(TaskOptions {
        priority: priority.map(|priority| priority as u32),
        lease_ms,
        max_attempts: max_attempts.map(|tries| tries as u16),
        max_deliveries: max_deliveries.map(|tries| tries as u16),
        backoff,
        timeout_ms,
        delay_ms,
        tolerated: bits & TOLERATED != 0,
        keep_result: (bits & KEEP_RESULT != 0).then_some(true),
        signal: bits & SIGNAL != 0,
    })
}

fn in_range(number: u64, min: u64, max: u64) -> Result<u64, DecodeError> {
    match (min..=max).contains(&number) {
        true => Ok(number),
        false => Err(DecodeError::Impossible("an option out of range")),
    }
}
