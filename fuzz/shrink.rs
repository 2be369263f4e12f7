//! The smallest input that still fails, as far as leaving things out goes: pieces first, then bytes in
//! ever smaller runs, until nothing can be left out or patience ends.

use super::input::Input;
use std::time::{Duration, Instant};

/// Makes an input small that `fails`.
pub fn shrink(mut input: Input, fails: impl Fn(&Input) -> bool, patience: Duration) -> Input {
    let start = Instant::now();
    let in_time = || start.elapsed() < patience;
    loop {
        let before = input.len();
        input.pieces = shorten(input.pieces, &in_time, |pieces| fails(&Input { pieces: pieces.to_vec() }));
        for place in 0..input.pieces.len() {
            let piece = std::mem::take(&mut input.pieces[place]);
            let shorter = shorten(piece, &in_time, |piece| {
                let mut tried = input.clone();
                tried.pieces[place] = piece.to_vec();
                fails(&tried)
            });
            input.pieces[place] = shorter;
        }
        if input.len() == before || !in_time() {
            return input;
        }
    }
}

fn shorten<T: Clone>(mut list: Vec<T>, in_time: &impl Fn() -> bool, fails: impl Fn(&[T]) -> bool) -> Vec<T> {
    let mut run = list.len().div_ceil(2).max(1);
    loop {
        let mut shortened = false;
        let mut end = list.len();
        while end > 0 && in_time() {
            let begin = end.saturating_sub(run);
            let without = [&list[..begin], &list[end..]].concat();
            if fails(&without) {
                list = without;
                shortened = true;
            }
            end = begin;
        }
        if !in_time() || (run == 1 && !shortened) {
            return list;
        }
        run = if shortened { run.min(list.len().max(1)) } else { run.div_ceil(2) };
    }
}

/// What is not needed to fail is left out.
pub fn self_test() {
    let text = |text: &str| text.as_bytes().to_vec();
    let input = Input { pieces: vec![text("nothing"), text("a needle, hidden"), text("more"), Vec::new()] };
    let fails =
        |input: &Input| input.pieces.iter().any(|piece| piece.windows(6).any(|part| part == b"needle"));
    assert_eq!(shrink(input, fails, Duration::from_secs(5)).pieces, [b"needle"]);
}
