//! The shortest history that still fails, found by leaving steps out: first large pieces, then small
//! ones, until no single step can be left out or the time is up.

use std::time::{Duration, Instant};

/// Shortens a list that `fails`; `patience` bounds the time.
pub fn shrink<T: Clone>(mut list: Vec<T>, fails: impl Fn(&[T]) -> bool, patience: Duration) -> Vec<T> {
    let start = Instant::now();
    let mut piece = list.len().div_ceil(2).max(1);
    loop {
        let mut shortened = false;
        let mut end = list.len();
        while end > 0 && start.elapsed() < patience {
            let begin = end.saturating_sub(piece);
            let without = [&list[..begin], &list[end..]].concat();
            if fails(&without) {
                list = without;
                shortened = true;
            }
            end = begin;
        }
        if start.elapsed() >= patience || (piece == 1 && !shortened) {
            return list;
        }
        piece = if shortened { piece } else { piece.div_ceil(2).max(1) };
    }
}

#[test]
fn only_what_is_needed_to_fail_is_left() {
    let list: Vec<u32> = (0..1_000).collect();
    let fails = |list: &[u32]| [7, 400, 999].iter().all(|wanted| list.contains(wanted));
    assert_eq!(shrink(list, fails, Duration::from_secs(10)), [7, 400, 999]);
    assert_eq!(shrink(vec![1, 2, 3], |_| true, Duration::from_secs(10)), [0; 0]);
    assert_eq!(shrink(vec![1, 2, 3], |_| false, Duration::from_secs(10)), [1, 2, 3]);
}
