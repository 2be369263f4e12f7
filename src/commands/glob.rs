//! Patterns as `KEYS` and `CONFIG GET` have them: `*` any bytes, `?` one byte, `[a-c]` or `[^a-c]` one
//! of some, `\` the next as it is.

/// Whether a name matches, in any case of ASCII letters.
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    matches_by(pattern, name, |byte| byte.to_ascii_lowercase())
}

/// Whether a name matches byte by byte.
pub fn matches_exactly(pattern: &[u8], name: &[u8]) -> bool {
    matches_by(pattern, name, |byte| byte)
}

/// Whether a name matches when bytes are compared as `fold` makes them.
fn matches_by(pattern: &[u8], name: &[u8], fold: fn(u8) -> u8) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    // The last star and the name behind which it may go on: trying again from there is enough.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', rest @ ..] = pattern {
            pattern = rest;
            star = Some((rest, name));
            continue;
        }
        if let ([], []) = (pattern, name) {
            return true;
        }
        let step = name.split_first().and_then(|(byte, rest)| Some((one(pattern, *byte, fold)?, rest)));
        match (step, star) {
            (Some((after, rest)), _) => (pattern, name) = (after, rest),
            (None, Some((after, [_, rest @ ..]))) => {
                (pattern, name) = (after, rest);
                star = Some((after, rest));
            }
            (None, _) => return false,
        }
    }
}

/// The pattern behind its first element, if that matches the byte.
fn one(pattern: &[u8], byte: u8, fold: fn(u8) -> u8) -> Option<&[u8]> {
    let same = |&other: &u8| fold(other) == fold(byte);
    match pattern {
        [] => None,
        [b'?', rest @ ..] => Some(rest),
        [b'\\', literal, rest @ ..] => same(literal).then_some(rest),
        [b'[', class @ ..] => {
            let end = class.iter().skip(1).position(|&end| end == b']').map(|end| end + 1)?;
            let (inside, rest) = (&class[..end], &class[end + 1..]);
            let (negated, inside) = match inside {
                [b'^', inside @ ..] => (true, inside),
                inside => (false, inside),
            };
            (is_in(inside, byte, fold) != negated).then_some(rest)
        }
        [literal, rest @ ..] => same(literal).then_some(rest),
    }
}

fn is_in(mut class: &[u8], byte: u8, fold: fn(u8) -> u8) -> bool {
    let byte = fold(byte);
    loop {
        match class {
            [] => return false,
            [from, b'-', to, rest @ ..] => {
                if (fold(*from)..=fold(*to)).contains(&byte) {
                    return true;
                }
                class = rest;
            }
            [one, rest @ ..] => {
                if fold(*one) == byte {
                    return true;
                }
                class = rest;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{matches, matches_exactly};

    #[test]
    fn patterns_match_as_those_of_the_server() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("retain-*", "retain-count", true),
            ("retain-*", "default-lease-ms", false),
            ("*-ms", "retain-failed-ms", true),
            ("*a*ms", "retain-failed-ms", true),
            ("RETAIN-COUNT", "retain-count", true),
            ("retain-coun?", "retain-count", true),
            ("retain-coun?", "retain-coun", false),
            ("[a-r]etain*", "retain-count", true),
            ("[^a-r]etain*", "retain-count", false),
            ("\\*", "a", false),
            ("\\*", "*", true),
            ("[", "[", false),
            ("a*b*c*d*e", "axxbxxcxxdxx", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn what_matches_exactly_is_of_the_same_case() {
        for (pattern, name, expected) in [
            ("night*", "nightly", true),
            ("Night*", "nightly", false),
            ("[a-o]ight?y", "nightly", true),
            ("[A-O]ight?y", "nightly", false),
            ("[^A-O]*", "nightly", true),
            ("\\N*", "nightly", false),
            ("*\u{e9}", "caf\u{e9}", true),
        ] {
            assert_eq!(matches_exactly(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }
}
