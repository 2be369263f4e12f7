//! Effects of WF.ADD that no primary sends: each is refused and changes nothing.

use super::serving::{Conditions, Key, run, save};
use super::step::{Act, START, Step};
use super::world;
use crate::commands::call::Outcome;
use crate::engine::invariant;

fn step() -> Step {
    Step { act: Act::Sweep, now: START, expire_from: None, may_block: false, nonces: 7 }
}

fn call(key: &mut Key, words: &[&str], replayed: bool) -> bool {
    let args: Vec<Vec<u8>> = words[1..].iter().map(|word| word.as_bytes().to_vec()).collect();
    let mut out = Outcome::default();
    let settings = world::settings(false);
    let conditions = Conditions { replayed, ..step().conditions(&settings) };
    run(words[0], &args, key, &conditions, &mut out).is_ok()
}

fn saved(key: &Key) -> Vec<Vec<u8>> {
    save(key.as_deref().expect("it is there"))
}

#[test]
fn a_forged_addition_is_refused() {
    // a runs, b waits for it, c is ready; the second workflow has the blueprint 1.
    let mut key = None;
    let document =
        r#"{"tasks":[{"name":"a","type":"x"},{"name":"b","parents":["a"]},{"name":"c","type":"y"}]}"#;
    let other = r#"{"tasks":[{"name":"a","type":"z"},{"name":"b","parents":["a"]},{"name":"c","type":"y"},{"name":"d"}]}"#;
    for words in [&["WF.PUSH", document][..], &["WF.PUSH", other], &["WF.CLAIM", "w", "TYPES", "1", "x"]] {
        assert!(call(&mut key, words, false));
    }
    let before = saved(&key);
    let now = &START.to_string();
    let one = r#"{"tasks":[{"name":"d"}]}"#;
    for (what, forged) in [
        ("a task that nobody has", [now, "1-2", "2", one, "0:"]),
        ("a task that waits", [now, "1-1", "2", one, "0:"]),
        ("a task that is not there", [now, "1-3", "2", one, "0:"]),
        ("no such workflow", [now, "3-0", "2", one, "0:"]),
        ("a blueprint that is taken", [now, "1-0", "1", one, "0:"]),
        ("its own blueprint", [now, "1-0", "0", "", ""]),
        ("a blueprint that is not there", [now, "1-0", "2", "", "0:"]),
        ("a blueprint of other types", [now, "1-0", "1", "", "0:"]),
        ("a blueprint out of range", [now, "1-0", "16777216", one, "0:"]),
        ("a name that is taken", [now, "1-0", "2", r#"{"tasks":[{"name":"c"}]}"#, "0:"]),
        ("nothing", [now, "1-0", "2", r#"{"tasks":[]}"#, ""]),
        ("a payload too few", [now, "1-0", "2", one, ""]),
        ("a payload too many", [now, "1-0", "2", one, "0:0:"]),
        ("a payload cut off", [now, "1-0", "2", one, "5:x"]),
        ("a child that runs", [now, "1-0", "2", r#"{"tasks":[{"name":"d","children":["a"]}]}"#, "0:"]),
        ("a child that is ready", [now, "1-0", "2", r#"{"tasks":[{"name":"d","children":["c"]}]}"#, "0:"]),
        ("a cycle", [now, "1-0", "2", r#"{"tasks":[{"name":"d","parents":["b"],"children":["b"]}]}"#, "0:"]),
        ("a time out of range", ["17592186044416", "1-0", "2", one, "0:"]),
        ("no shape", [now, "1-0", "2", "d", "0:"]),
    ] {
        let words = [&["WF.APPLY", "add"][..], &forged].concat();
        assert!(!call(&mut key, &words, true), "{what}");
        assert!(saved(&key) == before, "{what} changed something");
    }
    let good = r#"{"tasks":[{"name":"d","children":["b"]}]}"#;
    assert!(call(&mut key, &["WF.APPLY", "add", now, "1-0", "2", good, "0:"], true));
    assert_eq!(invariant::check(key.as_deref().expect("it is there")), Ok(()));
    assert!(saved(&key) != before);
}
