//! WF.CONFIG: what a space says for itself, and what holds otherwise.

use super::arguments::{TEN_YEARS, Words};
use super::{Model, Moment, Refusal};
use crate::engine::limits::Settings;
use crate::sim::tree::Tree;

/// The names and their ranges.
pub const NAMES: [(&str, u64, u64); 8] = [
    ("default-lease-ms", 1, 30 * 24 * 60 * 60 * 1000),
    ("default-max-attempts", 1, 65_535),
    ("default-max-deliveries", 1, 65_535),
    ("retain-completed-ms", 0, TEN_YEARS),
    ("retain-failed-ms", 0, TEN_YEARS),
    ("retain-count", 0, 4_294_967_295),
    ("retain-bytes", 0, 1 << 40),
    ("events-maxlen", 0, 4_294_967_295),
];

impl Model {
    /// The value that holds: the space's own, else the operator's.
    pub fn in_force(&self, name: &str, settings: &Settings) -> u64 {
        let fallback = match name {
            "default-lease-ms" => settings.default_lease_ms,
            "default-max-attempts" => settings.default_max_attempts,
            "default-max-deliveries" => settings.default_max_deliveries,
            "retain-completed-ms" => settings.retain_completed_ms,
            "retain-failed-ms" => settings.retain_failed_ms,
            "retain-count" => settings.retain_count,
            "retain-bytes" => settings.retain_bytes,
            "events-maxlen" => settings.events_maxlen,
            other => panic!("no setting of a space is called {other}"),
        };
        self.config.get(name).copied().unwrap_or(fallback)
    }

    /// `WF.CONFIG key SET name value [name value ...] | GET pattern`
    pub fn configure(&mut self, args: &[Vec<u8>], moment: &mut Moment<'_>) -> Result<Tree, Refusal> {
        let mut words = Words(args);
        if words.keyword("GET") {
            let pattern = words.need()?;
            if !words.0.is_empty() {
                return Err("ERR");
            }
            let matching = NAMES.iter().filter(|(name, _, _)| glob(pattern, name.as_bytes()));
            let value = |name: &str| Tree::number(self.in_force(name, moment.settings));
            let mut shown: Vec<_> = matching.map(|(name, _, _)| (Tree::text(name), value(name))).collect();
            if glob(pattern, b"events") {
                let stream = self.stream.clone().unwrap_or_default();
                shown.push((Tree::text("events"), Tree::Bulk(stream)));
            }
            return Ok(Tree::Map(shown));
        }
        if !words.keyword("SET") || words.0.is_empty() {
            return Err("ERR");
        }
        let mut values = Vec::new();
        let mut stream = None;
        while let Some(name) = words.next() {
            if name.eq_ignore_ascii_case(b"events") {
                if stream.replace(words.need().and_then(stream_of)?).is_some() {
                    return Err("ERR");
                }
                continue;
            }
            let known = NAMES.iter().find(|(known, _, _)| name.eq_ignore_ascii_case(known.as_bytes()));
            let &(name, low, high) = known.ok_or("ERR")?;
            if values.iter().any(|(other, _)| *other == name) {
                return Err("ERR");
            }
            values.push((name, if words.keyword("default") { None } else { Some(words.number(low, high)?) }));
        }
        if stream.iter().flatten().any(|stream| tag(stream) != KEY || stream == KEY) {
            return Err("ERR");
        }
        self.exists = true;
        if let Some(stream) = stream {
            self.note_if(stream.is_none() && self.stream.is_some(), "events that nobody is told any more");
            self.stream = stream;
        }
        for (name, value) in values {
            match value {
                Some(value) => self.config.insert(name, value),
                None => {
                    self.note_if(self.config.contains_key(name), "a setting set back");
                    self.config.remove(name)
                }
            };
        }
        Ok(Tree::text("OK"))
    }
}

/// The key of the space in all runs.
const KEY: &[u8] = b"k";

/// The stream that a word names, or none.
fn stream_of(word: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
    match word {
        _ if word.len() > 512 => Err("LIMIT"),
        b"" => Ok(None),
        _ if word.eq_ignore_ascii_case(b"default") => Ok(None),
        _ => Ok(Some(word.to_vec())),
    }
}

/// What of a key decides where it lies: what is in its first braces, unless that is nothing.
fn tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|&byte| byte == b'{') else { return key };
    match key[open..].iter().position(|&byte| byte == b'}') {
        None | Some(1) => key,
        Some(close) => &key[open + 1..open + close],
    }
}

/// Whether a text has the form of a pattern of `*`, `?` and characters that stand for themselves.
pub fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|skipped| glob(rest, &text[skipped..])),
        ([b'?', rest @ ..], [_, text @ ..]) => glob(rest, text),
        ([byte, rest @ ..], [first, text @ ..]) => byte == first && glob(rest, text),
        _ => false,
    }
}
