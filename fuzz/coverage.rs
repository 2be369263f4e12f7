//! Where the code was. A compiler that is told `-C instrument-coverage` gives every region of the
//! code a counter; `make fuzz` builds with it and with `--cfg fuzz_coverage`. Without, there is nothing
//! to read, and inputs are told apart by their outcomes alone.

/// Sets all counters to nothing.
pub fn begin() {
    counters().fill(0);
}

/// What was reached since, as numbers: the place, and roughly how often.
pub fn reached(mut each: impl FnMut(u32)) {
    for (place, &count) in counters().iter().enumerate() {
        if count > 0 {
            let often = match count {
                1..=3 => count as u32 - 1,
                4..=7 => 3,
                8..=15 => 4,
                16..=31 => 5,
                32..=127 => 6,
                _ => 7,
            };
            each(place as u32 * 8 + often);
        }
    }
}

/// How many counters there are.
pub fn places() -> usize {
    counters().len()
}

#[cfg(fuzz_coverage)]
fn counters() -> &'static mut [u64] {
    unsafe extern "C" {
        #[link_name = "__start___llvm_prf_cnts"]
        static mut FIRST: u64;
        #[link_name = "__stop___llvm_prf_cnts"]
        static mut END: u64;
    }
    let (first, end) = (&raw mut FIRST, &raw mut END);
    // SAFETY: the linker sets the two names around one section, which holds the counters and nothing
    // else. Instrumented code adds to them as this code reads; there is one thread, the sums are only
    // looked at, and no reference outlives the call that asked for it.
    unsafe { std::slice::from_raw_parts_mut(first, end.offset_from(first) as usize) }
}

#[cfg(not(fuzz_coverage))]
fn counters() -> &'static mut [u64] {
    &mut []
}
