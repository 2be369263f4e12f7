//! Documents that are spelled like an earlier one: see [`crate::engine::forms`].
//!
//! A form is the text of a document that was read and found good, without its payloads and its
//! name. A text that agrees with it everywhere else and has one JSON value in each gap is a good
//! document too, and says the same but for those values: what stands around the gaps ends and
//! begins outside of them, so no value can change how the rest is read.

use super::depth;
use crate::engine::draft::Draft;
use crate::engine::forms::{Form, Gap, MAX_FORM_BYTES};
use crate::engine::limits::{MAX_JSON_DEPTH, MAX_NAME_BYTES, MAX_PAYLOADS_BYTES, Settings};
use crate::engine::units::BlueprintId;
use serde_json::value::RawValue;

/// Brackets around a payload: of the document, its list of tasks, the task.
const DEPTH_OF_PAYLOADS: usize = 3;

/// What a document comes to.
pub struct Filling<'a> {
    /// Its shape.
    pub blueprint: BlueprintId,
    /// The name of the workflow; empty: none.
    pub name: &'a [u8],
    /// The document's priority.
    pub priority: Option<u32>,
    /// The document's timeout, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// The payload of each task.
    pub payloads: Vec<&'a [u8]>,
}

/// The form of a document that came to `blueprint`; `None` when one cannot be made of it.
pub fn form_of(text: &[u8], draft: &Draft<'_>, blueprint: BlueprintId) -> Option<Form> {
    if text.len() > MAX_FORM_BYTES {
        return None;
    }
    let payloads = draft.tasks.iter().map(|task| &*task.payload);
    let payloads = payloads.zip(0..).map(|(payload, index)| (payload, Gap::Payload(index)));
    let name = draft.name.as_deref().unwrap_or_default();
    let mut values = Vec::with_capacity(draft.tasks.len() + 1);
    for (value, gap) in payloads.chain([(name, Gap::Name)]) {
        match place_of(text, value) {
            Some(place) => values.push((place, gap)),
            // What is missing has no gap; what has escapes does not stand in the text.
            None if value.is_empty() => {}
            None => return None,
        }
    }
    values.sort_unstable_by_key(|&((from, _), _)| from);
    let mut form = Vec::with_capacity(text.len());
    let mut gaps = Vec::with_capacity(values.len());
    let mut at = 0;
    for ((from, to), gap) in values {
        form.extend_from_slice(text.get(at..from)?);
        gaps.push((form.len() as u32, gap));
        at = to;
    }
    form.extend_from_slice(&text[at..]);
    Some(Form {
        blueprint,
        priority: draft.priority,
        timeout_ms: draft.timeout_ms,
        text: form.into(),
        gaps: gaps.into(),
    })
}

/// Where in `text` a value stands that was read from it, its quotes included.
fn place_of(text: &[u8], value: &str) -> Option<(usize, usize)> {
    let from = value.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let to = from + value.len();
    let before = *text.get(from.checked_sub(1)?)?;
    let quoted = before == b'"' && text.get(to) == Some(&b'"');
    match quoted {
        true => Some((from - 1, to + 1)),
        false => (to < text.len() && !value.is_empty()).then_some((from, to)),
    }
}

/// The values that a text puts into the gaps of a form of `tasks` tasks; `None` when it is spelled
/// otherwise, or when the long way has to be gone to say what is wrong with it.
pub fn fill<'a>(form: &Form, text: &'a [u8], tasks: usize, settings: &Settings) -> Option<Filling<'a>> {
    let first = form.gaps.first().map_or(form.text.len(), |gap| gap.0 as usize);
    if !text.starts_with(&form.text[..first]) {
        return None;
    }
    let payloads = vec![&[][..]; tasks];
    let mut filling = Filling {
        blueprint: form.blueprint,
        name: &[],
        priority: form.priority,
        timeout_ms: form.timeout_ms,
        payloads,
    };
    let (mut rest, mut at) = (text, 0);
    let mut bytes = 0;
    for &(to, gap) in &form.gaps {
        rest = rest.strip_prefix(&form.text[at..to as usize])?;
        at = to as usize;
        match gap {
            Gap::Name => {
                filling.name = take_string(&mut rest)?;
                if filling.name.len() > MAX_NAME_BYTES {
                    return None;
                }
            }
            Gap::Payload(task) => {
                let payload = take_value(&mut rest)?;
                bytes += payload.len();
                if payload.len() as u64 > settings.max_payload_bytes || bytes > MAX_PAYLOADS_BYTES {
                    return None;
                }
                filling.payloads[task as usize] = payload;
            }
        }
    }
    (*rest == form.text[at..]).then_some(filling)
}

/// Takes a payload off the front, as it is handed out.
fn take_value<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    if rest.first() == Some(&b'"') {
        return take_string(rest);
    }
    let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<&'a RawValue>();
    let value = values.next()?.ok()?.get();
    *rest = &rest[values.byte_offset()..];
    if depth(value.as_bytes()) + DEPTH_OF_PAYLOADS > MAX_JSON_DEPTH {
        return None;
    }
    Some(if value == "null" { &[] } else { value.as_bytes() })
}

/// Takes a string without escapes off the front.
fn take_string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let text = rest.strip_prefix(b"\"")?;
    let (text, tail) = text.split_at(plain(text));
    *rest = tail.strip_prefix(b"\"")?;
    // Twice as fast as to validate what is nearly always ASCII.
    (text.is_ascii() || str::from_utf8(text).is_ok()).then_some(text)
}

/// How many bytes of a string stand for themselves, eight looked at in one step.
fn plain(text: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let (words, tail) = text.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The lowest bit that is set marks the first byte below `limit`.
        let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGH;
        let (quote, slash) = (word ^ (ONES * u64::from(b'"')), word ^ (ONES * u64::from(b'\\')));
        let found = below(quote, 1) | below(slash, 1) | below(word, 0x20);
        if found != 0 {
            return place * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let special = |&byte: &u8| byte == b'"' || byte == b'\\' || byte < 0x20;
    words.len() * 8 + tail.iter().position(special).unwrap_or(tail.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::document::read;

    const FIRST: &str = r#" {"name":"n", "tasks":[{"name":"a","payload":"p"},{"payload":{"x": 1} ,"name":"b"},{"name":"c"}]}"#;

    fn form(text: &str) -> Option<Form> {
        form_of(text.as_bytes(), &read(text.as_bytes(), &Settings::default()).unwrap(), BlueprintId(0))
    }

    /// What a text puts into the gaps of the form of `FIRST`, checked against the long way.
    fn filled(text: &[u8]) -> bool {
        let form = form(FIRST).unwrap();
        let Some(filling) = fill(&form, text, 3, &Settings::default()) else { return false };
        let draft = read(text, &Settings::default()).expect("what fills a form is a document");
        assert_eq!(filling.name, draft.name.as_deref().unwrap_or_default().as_bytes());
        let payloads: Vec<_> = draft.tasks.iter().map(|task| task.payload.as_bytes()).collect();
        assert_eq!(filling.payloads, payloads);
        true
    }

    #[test]
    fn what_fills_a_form_reads_the_same_the_long_way() {
        let text = |name: &str, first: &str, second: &str| {
            let around = FIRST.replace("\"n\"", name).replace("\"p\"", first).replace("{\"x\": 1}", second);
            filled(around.as_bytes())
        };
        assert!(text("\"n\"", "\"p\"", "{\"x\": 1}"));
        for value in
            ["\"\"", "null", "-1.5e3", "true", "[]", "[{\"y\":\"\\\"\"}]", "\"\u{e9} and more of it\""]
        {
            assert!(text("\"another\"", value, value), "{value}");
        }
        let deep = "[".repeat(98) + &"]".repeat(98);
        for value in ["", "\"a\\n\"", "nul", "{", "\"", "1 2", "\"a\nb\"", "\"x\",\"name\":\"z\"", &deep] {
            assert!(!text("\"n\"", value, "1"), "{value}");
            assert!(!text("\"n\"", "\"p\"", value), "{value}");
        }
        assert!(!text("null", "\"p\"", "1") && !text("\"a\\u0062\"", "\"p\"", "1"));
        assert!(!filled(b"") && !filled(&FIRST.as_bytes()[..FIRST.len() - 1]));
        assert!(!filled(format!("{FIRST} ").as_bytes()));
        let broken = [&FIRST.as_bytes()[..49], b"\xff", &FIRST.as_bytes()[50..]].concat();
        assert!(str::from_utf8(&broken).is_err() && !filled(&broken));
    }

    #[test]
    fn every_byte_that_does_not_stand_for_itself_is_found_at_every_place() {
        for length in 0..40 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b'x'; length];
                    text[at] = byte;
                    let special = matches!(byte, b'"' | b'\\' | 0..0x20);
                    assert_eq!(plain(&text), if special { at } else { length });
                }
            }
        }
    }

    #[test]
    fn payloads_with_escapes_make_no_form() {
        assert!(form(r#"{"tasks":[{"name":"a","payload":"x\ty"}]}"#).is_none());
        assert!(form(r#"{"name":"\u0041","tasks":[{"name":"a"}]}"#).is_none());
    }
}
