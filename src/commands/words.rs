//! What replies say in words, for people: names and errors of any bytes, and spans of time.

/// The bytes in which nothing moves a cursor, ends a line or hides: printable text stays as it is,
/// all else is written as an escape.
pub fn printable(bytes: &[u8]) -> String {
    let quotes = ['"', '\''];
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        // `escape_debug` escapes quotes too, which is the business of whoever puts the text in some.
        for part in chunk.valid().split_inclusive(quotes) {
            let text = part.strip_suffix(quotes).unwrap_or(part);
            out.extend(text.escape_debug());
            out.push_str(&part[text.len()..]);
        }
        out.push_str(&chunk.invalid().escape_ascii().to_string());
    }
    out
}

/// The beginning of a text, printable, and no more than fits a sentence.
pub fn brief(bytes: &[u8]) -> String {
    const SHOWN: usize = 64;
    if bytes.len() <= SHOWN {
        return printable(bytes);
    }
    let end = (0..=SHOWN).rev().find(|&end| bytes[end] & 0xc0 != 0x80).unwrap_or(SHOWN);
    format!("{}...", printable(&bytes[..end]))
}

/// A name in quotes.
pub fn quoted(bytes: &[u8]) -> String {
    format!("'{}'", brief(bytes))
}

/// A span of time in its largest fitting unit.
pub fn span(ms: u64) -> String {
    const SECOND: u64 = 1_000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match ms {
        0..SECOND => format!("{ms} ms"),
        SECOND..120_000 => format!("{} s", ms / SECOND),
        120_000..7_200_000 => format!("{} min", ms / MINUTE),
        7_200_000..172_800_000 => format!("{} h", ms / HOUR),
        _ => format!("{} days", ms / DAY),
    }
}

/// A number and what it counts.
pub fn many(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// Several as one, as in a sentence.
pub fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printable_stays_and_the_rest_is_escaped() {
        let kept = "wörker 'a' \"b\" <c> & 漢字 é";
        assert_eq!(printable(kept.as_bytes()), kept);
        assert_eq!(printable(b"a\n\0\xff\xc3b\x1b\\"), r"a\n\0\xff\xc3b\u{1b}\\");
        assert_eq!(printable("\u{85}\u{2028}\u{202e}".as_bytes()), r"\u{85}\u{2028}\u{202e}");
    }

    #[test]
    fn long_texts_are_cut_between_letters() {
        assert_eq!(brief(&[b'a'; 64]), "a".repeat(64));
        assert_eq!(brief(&[b'a'; 65]), "a".repeat(64) + "...");
        assert_eq!(brief("ä".repeat(40).as_bytes()), "ä".repeat(32) + "...");
        assert_eq!(
            brief(("a".to_owned() + &"ä".repeat(40)).as_bytes()),
            "a".to_owned() + &"ä".repeat(31) + "..."
        );
        assert_eq!(brief(&[0x80; 65]).len(), 64 * 4 + 3);
    }

    #[test]
    fn spans_and_lists() {
        let spans = [999, 1_000, 119_999, 120_000, 7_199_999, 7_200_000, 172_800_000].map(span);
        assert_eq!(spans, ["999 ms", "1 s", "119 s", "2 min", "119 min", "2 h", "2 days"]);
        let items = ["a", "b", "c"].map(str::to_owned);
        assert_eq!([list(&items[..1]), list(&items[..2]), list(&items)], ["a", "a and b", "a, b and c"]);
        assert_eq!([many(1, "parent"), many(2, "parent")], ["1 parent", "2 parents"]);
    }
}
