//! One object of a document while it is read: its fields, each at most once, and what is wrong.

use super::{DocumentError, Place};
use crate::engine::limits::Settings;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A string that borrows from the document where it can.
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// What went wrong while reading. The parser's own error type has no room for it.
pub(super) struct Faults<'s> {
    /// What is certainly wrong.
    pub(super) found: Option<DocumentError>,
    /// What is wrong if the parser says that a value was of another kind than wanted.
    pub(super) suspected: Option<DocumentError>,
    /// The operator's limits: what is too much is not even read.
    pub(super) settings: &'s Settings,
    /// Names of parents and children that may still come.
    pub(super) names_left: u64,
}

impl<'s> Faults<'s> {
    /// Nothing wrong yet. Edges may be written from both ends and more than once, so names may be
    /// four times the edges.
    pub(super) fn new(settings: &'s Settings) -> Faults<'s> {
        let names_left = settings.max_edges.saturating_mul(4);
        Faults { found: None, suspected: None, settings, names_left }
    }

    /// What is wrong with a document of which the parser gave this error.
    pub(super) fn name(self, error: &serde_json::Error) -> DocumentError {
        match (self.found, self.suspected) {
            (Some(found), _) => found,
            (None, Some(suspected)) if error.is_data() => suspected,
            (None, None) if error.is_data() => DocumentError::NotAnObject,
            (None, _) => DocumentError::Syntax(error.to_string()),
        }
    }

    pub(super) fn fail<E: Error>(&mut self, error: DocumentError) -> E {
        self.found.get_or_insert(error);
        E::custom("")
    }
}

/// Which object of the document is being read.
pub(super) enum Origin {
    /// The document itself.
    Document,
    /// The task at that index.
    Task(usize),
    /// The value of a field of an object.
    Inside(Place, &'static str),
}

/// What one object of the document is being read into: which fields came, and what went wrong.
pub(super) struct Fields<'f, 's> {
    pub(super) faults: &'f mut Faults<'s>,
    /// Which object it is.
    pub(super) origin: Origin,
    /// A bit for each field that came; bit 0 is the name's.
    pub(super) seen: u32,
}

pub(super) fn place_of(origin: &Origin, seen: u32, name: &str) -> Place {
    match origin {
        Origin::Document => Place::Document,
        Origin::Task(index) => Place::Task(*index, (seen & 1 != 0).then(|| name.to_owned())),
        Origin::Inside(outer, field) => Place::Field(Box::new(outer.clone()), field),
    }
}

impl Fields<'_, '_> {
    pub(super) fn place(&self, name: &str) -> Place {
        place_of(&self.origin, self.seen, name)
    }

    /// Notes that a field came, once. Bit 0 is the name's.
    pub(super) fn once<E: Error>(&mut self, bit: u32, field: &'static str, name: &str) -> Result<(), E> {
        if self.seen & 1 << bit != 0 {
            let place = self.place(name);
            return Err(self.faults.fail(DocumentError::Repeated(place, field)));
        }
        self.seen |= 1 << bit;
        Ok(())
    }

    /// The value of a field. A value of another kind is a fault; broken JSON is the parser's.
    pub(super) fn value<'de, T: serde::Deserialize<'de>, A: MapAccess<'de>>(
        &mut self,
        map: &mut A,
        field: &'static str,
        wanted: &'static str,
        name: &str,
    ) -> Result<T, A::Error> {
        map.next_value().inspect_err(|_| self.suspect(field, wanted, name))
    }

    /// If the parser says that a value is of the wrong kind, this is the field.
    pub(super) fn suspect(&mut self, field: &'static str, wanted: &'static str, name: &str) {
        let place = self.place(name);
        self.faults.suspected.get_or_insert(DocumentError::WrongKind(place, field, wanted));
    }

    /// Names of tasks, no more than edges are allowed.
    pub(super) fn names<'de, A: MapAccess<'de>>(
        &mut self,
        map: &mut A,
        field: &'static str,
        name: &str,
    ) -> Result<Vec<Cow<'de, str>>, A::Error> {
        let names = map.next_value_seed(Names { faults: self.faults });
        names.inspect_err(|_| self.suspect(field, "an array of task names", name))
    }

    /// A whole number, or its digits in a string when that is allowed.
    pub(super) fn number<'de, A: MapAccess<'de>>(
        &mut self,
        map: &mut A,
        field: &'static str,
        digits_in_string: bool,
        range: (u64, u64),
        name: &str,
    ) -> Result<Option<u64>, A::Error> {
        let raw: &'de RawValue = map.next_value()?;
        let text = raw.get();
        if text == "null" {
            return Ok(None);
        }
        let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        let digits = if digits_in_string { inner.unwrap_or(text) } else { text };
        let whole = digits.strip_prefix('-').unwrap_or(digits);
        let place = self.place(name);
        if whole.is_empty() || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.faults.fail(DocumentError::WrongKind(place, field, "a whole number")));
        }
        match digits.parse::<u64>() {
            Ok(number) if (range.0..=range.1).contains(&number) => Ok(Some(number)),
            _ => Err(self.faults.fail(DocumentError::OutOfRange(place, field, range.0, range.1))),
        }
    }
}

struct Names<'f, 's> {
    faults: &'f mut Faults<'s>,
}

impl<'de> DeserializeSeed<'de> for Names<'_, '_> {
    type Value = Vec<Cow<'de, str>>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Names<'_, '_> {
    type Value = Vec<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of task names")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut names = Vec::new();
        while let Some(Text(name)) = seq.next_element()? {
            let Some(left) = self.faults.names_left.checked_sub(1) else {
                let max = self.faults.settings.max_edges;
                return Err(self.faults.fail(DocumentError::TooManyEdges(max)));
            };
            self.faults.names_left = left;
            names.push(name);
        }
        Ok(names)
    }
}
