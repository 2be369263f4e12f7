//! The words of each language that comes in: fields, keywords, and small values that belong to them.

use redisworkflow::commands::spec::{self, Arg, Kind};
use redisworkflow::engine::limits::SETTINGS;

fn texts(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// Words of documents.
pub fn json() -> Vec<Vec<u8>> {
    texts(&[
        "{\"task\":\"a\",\"on\":\"failure\"}",
        "\"on\":\"always\"",
        "\"on\":\"success\"",
        "\"on_failure\":\"continue\"",
        "\"fail_fast\":false",
        "\"signal\":true",
        "\"name\":\"a\"",
        "\"name\":\"b\"",
        "\"type\":\"etl\"",
        "\"payload\":",
        "\"parents\":[\"a\"]",
        "\"children\":[\"b\"]",
        "\"priority\":",
        "\"lease_ms\":",
        "\"max_attempts\":",
        "\"max_deliveries\":",
        "\"timeout_ms\":",
        "\"delay_ms\":",
        "\"backoff\":{\"kind\":\"fixed\",\"delay_ms\":1}",
        "\"kind\":\"linear\"",
        "\"kind\":\"exponential\"",
        "\"jitter\":0.5",
        "\"max_ms\":",
        "\"defaults\":{",
        "\"tasks\":[",
        "\"Tasks\":[",
        "\"Name\":",
        "\"Payload\":",
        "\"Priority\":\"5\"",
        "\"Parents\":[",
        "\"Children\":[",
        "\"Workflow\":\"w\"",
        "\"WorkflowId\":1",
        "{\"name\":\"c\"},",
        "{}",
        "[]",
        "null",
        "true",
        "1e5",
        "0.1",
        "1e-9",
        "1e400",
        "-1",
        "\\u0000",
        "\\ud800",
        "\\ud83d\\ude00",
        "\\n",
        "\\\"",
        "\\\\",
        "\"\"",
        ",",
        ":",
        "\u{e4}",
        "\u{feff}",
        "  ",
        "\r\n",
        "[[[[[[[[[[",
        "{\"a\":{\"a\":{\"a\":",
    ])
}

/// Words of sessions: all that commands say of themselves, and small names.
pub fn commands() -> Vec<Vec<u8>> {
    fn tokens(args: &[Arg], words: &mut Vec<Vec<u8>>) {
        for arg in args {
            words.extend(arg.token.map(|token| token.as_bytes().to_vec()));
            if let Kind::OneOf(args) | Kind::Group(args) = arg.kind {
                tokens(args, words);
            }
        }
    }
    let mut words = texts(&[
        "$0",
        "$1",
        "$2",
        "$7",
        "+1",
        "+100",
        "+60001",
        "-500",
        "+315360000001",
        "SWEEP",
        "AHEAD\t5000",
        "SERVE\t0",
        "RELOAD",
        "COPY",
        "TIGHT",
        "alice",
        "bob",
        "1",
        "2",
        "3",
        "a",
        "b",
        "etl",
        "mail",
        "default",
        "*",
        "0",
        "1-0-00000000",
        "ID\tx",
        "ID\t1",
        "COUNT\t10",
        "{\"tasks\":[{\"name\":\"a\"},{\"name\":\"b\",\"parents\":[\"a\"]}]}",
        "\"max_attempts\":2",
        "\"timeout_ms\":50",
        "\"delay_ms\":20",
        "TYPES\t1\tetl",
        "\u{0}",
        "completed",
        "failed",
        "running",
        "paused",
        "cancelled",
        "dead",
        "ready",
        "waiting",
        "delayed",
    ]);
    for spec in spec::all().into_iter().filter(|spec| !spec.internal) {
        words.push(spec.name.as_bytes().to_vec());
        tokens(spec.args, &mut words);
    }
    words.extend(SETTINGS.iter().map(|setting| setting.name.as_bytes().to_vec()));
    words.sort();
    words.dedup();
    words
}

/// Kinds of effects.
pub const EFFECTS: &[&str] = &[
    "push",
    "claim",
    "resume",
    "complete",
    "fail",
    "timeout",
    "poison",
    "poison-recovered",
    "retry",
    "start",
    "define",
    "undefine",
    "add",
    "choose",
    "signal",
    "signal-fail",
    "signal-timeout",
    "events",
    "retry-timeout",
    "due",
    "deadline",
    "cancel",
    "rerun",
    "shift",
    "config",
    "expire",
    "recover",
    "extend",
    "delete",
    "pause",
    "release",
];

/// Words of the stream.
pub fn effects() -> Vec<Vec<u8>> {
    let mut words = texts(EFFECTS);
    words.extend(texts(&[
        "workflow",
        "type",
        "all",
        "-",
        "n",
        "ni",
        "np",
        "nd1700000000500",
        "nt1700000000600:60",
        "nr5",
        "default",
        "1700000000000",
        "1700000030000",
        "1700000030000 1-0-00000001",
        "1-0",
        "1-1",
        "2-0",
        "1-0=2:no",
        "1",
        "2",
        "x",
        " ",
        "%20",
        "0:",
        "2:{}",
        "0:0:",
        "{\"tasks\":[{\"name\":\"a\",\"type\":\"\"}]}",
    ]));
    words.extend(
        SETTINGS.iter().filter(|setting| setting.per_space).map(|setting| setting.name.as_bytes().to_vec()),
    );
    words
}

/// Bytes have no words.
pub fn none() -> Vec<Vec<u8>> {
    Vec::new()
}
