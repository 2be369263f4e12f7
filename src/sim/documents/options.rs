//! Options of tasks in documents: short times, so that they pass, and the longest that there are.

use super::Random;

/// Fields and good values. A delay with a jitter never comes down to nothing: whether the task is then
/// ready at once would depend on the draw, which the model does not know.
const GOOD: [(&str, &[&str]); 7] = [
    ("keep_result", &["true", "true", "false", "null"]),
    ("lease_ms", &["1", "40", "5000", "2592000000", "null"]),
    ("max_attempts", &["1", "2", "2", "3", "65535", "null"]),
    ("max_deliveries", &["1", "2", "3", "65535", "null"]),
    ("timeout_ms", &["1", "30", "400", "60000", "315360000000", "null"]),
    ("delay_ms", &["0", "1", "30", "2000", "315360000000", "null"]),
    (
        "backoff",
        &[
            "{}",
            "null",
            r#"{"delay_ms":0}"#,
            r#"{"kind":"fixed","delay_ms":50}"#,
            r#"{"kind":"linear","delay_ms":20,"max_ms":50}"#,
            r#"{"kind": "exponential", "delay_ms": 10, "max_ms": 1000}"#,
            r#"{"kind":"fixed","delay_ms":100,"jitter":0.5}"#,
            r#"{"jitter":0.999,"delay_ms":40,"kind":"linear"}"#,
            r#"{"jitter":0.2,"delay_ms":30}"#,
            r#"{"kind":null,"delay_ms":null,"max_ms":null,"jitter":null}"#,
            r#"{"delay_ms":315360000000,"jitter":1}"#,
            r#"{"kind":"linear","delay_ms":315360000000,"max_ms":315360000000,"jitter":0.0}"#,
        ],
    ),
];

/// One option that is wrong.
const BAD: [&str; 28] = [
    r#""keep_result":1"#,
    r#""keep_result":"true""#,
    r#""signal":1"#,
    r#""signal":"true""#,
    r#""signal":true,"lease_ms":5"#,
    r#""signal":true,"backoff":{}"#,
    r#""max_attempts":0"#,
    r#""max_attempts":65536"#,
    r#""max_attempts":"3""#,
    r#""max_deliveries":0"#,
    r#""max_deliveries":65536"#,
    r#""lease_ms":1.5"#,
    r#""timeout_ms":0"#,
    r#""timeout_ms":315360000001"#,
    r#""delay_ms":-1"#,
    r#""delay_ms":315360000001"#,
    r#""delay_ms":true"#,
    r#""backoff":"fixed""#,
    r#""backoff":[]"#,
    r#""backoff":{"kind":"random"}"#,
    r#""backoff":{"kind":1}"#,
    r#""backoff":{"delay_ms":-1}"#,
    r#""backoff":{"delay_ms":315360000001}"#,
    r#""backoff":{"delay_ms":1001,"max_ms":1000}"#,
    r#""backoff":{"max_ms":999}"#,
    r#""backoff":{"jitter":1.001}"#,
    r#""backoff":{"jitter":-0.1}"#,
    r#""backoff":{"retries":3}"#,
];

/// Each field once in so many times.
pub fn some(random: &mut Random, odds: u64) -> Vec<String> {
    let mut fields = Vec::new();
    for (name, values) in GOOD {
        if random.one_in(odds) {
            let value: &&str = random.pick(values);
            fields.push(format!("\"{name}\":{value}"));
        }
    }
    fields
}

/// The fields of a task that waits for a signal: those about workers are not for it.
pub fn of_signal(random: &mut Random) -> Vec<String> {
    let mut fields = vec!["\"signal\":true".to_owned()];
    if random.one_in(2) {
        let timeout: &&str = random.pick(&["1", "30", "400", "400", "60000", "315360000000"]);
        fields.push(format!("\"timeout_ms\":{timeout}"));
    }
    if random.one_in(5) {
        fields.push(format!("\"delay_ms\":{}", random.pick(&["0", "30", "2000", "null"])));
    }
    if random.one_in(5) {
        fields.push("\"max_attempts\":null, \"backoff\": null".to_owned());
    }
    fields
}

/// A bad option.
pub fn bad(random: &mut Random) -> String {
    let bad: &&str = random.pick(&BAD);
    (*bad).to_owned()
}

/// A bad field of the document, `defaults` mostly.
pub fn bad_of_document(random: &mut Random) -> String {
    let bad: [&str; 6] = [
        r#""timeout_ms":0"#,
        r#""timeout_ms":"60""#,
        r#""defaults":[]"#,
        r#""defaults":{"priority":5}"#,
        r#""defaults":{"name":"a"}"#,
        r#""max_attempts":3"#,
    ];
    if random.one_in(2) {
        return format!("\"defaults\":{{{}}}", self::bad(random));
    }
    let bad: &&str = random.pick(&bad);
    (*bad).to_owned()
}
