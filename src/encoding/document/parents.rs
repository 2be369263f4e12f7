//! The parents of a task: names, or objects that say when the task runs.

use super::fields::{Faults, Fields, Origin, Text, place_of};
use super::{DocumentError, Place};
use crate::engine::edge::On;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Names, and the condition of each unless all ask for success.
pub(super) type List<'a> = (Vec<Cow<'a, str>>, Vec<On>);

impl Fields<'_, '_> {
    /// Names of parents, and the condition of each unless all ask for success.
    pub(super) fn parents<'de, A: MapAccess<'de>>(
        &mut self,
        map: &mut A,
        name: &str,
    ) -> Result<List<'de>, A::Error> {
        let (origin, seen) = (&self.origin, self.seen);
        let place = || place_of(origin, seen, name);
        let parents = map.next_value_seed(Parents { faults: self.faults, place: &place });
        parents.inspect_err(|_| self.suspect("parents", PARENTS, name))
    }
}

pub(super) const PARENTS: &str = "an array of task names or of objects with `task` and `on`";
const ONS: &str = "\"success\", \"failure\" or \"always\"";

struct Parents<'f, 's> {
    faults: &'f mut Faults<'s>,
    /// Asked only when something is wrong, or a parent is an object.
    place: &'f dyn Fn() -> Place,
}

impl<'de> DeserializeSeed<'de> for Parents<'_, '_> {
    type Value = List<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Parents<'_, '_> {
    type Value = List<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PARENTS)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Default::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let (mut names, mut conditions) = (Vec::new(), Vec::new());
        loop {
            let seed = ParentSeed { faults: &mut *self.faults, place: self.place };
            let Some((name, on)) = seq.next_element_seed(seed)? else { break };
            if on != On::Success && conditions.is_empty() {
                conditions.resize(names.len(), On::Success);
            }
            if on != On::Success || !conditions.is_empty() {
                conditions.push(on);
            }
            let Some(left) = self.faults.names_left.checked_sub(1) else {
                let max = self.faults.settings.max_edges;
                return Err(self.faults.fail(DocumentError::TooManyEdges(max)));
            };
            self.faults.names_left = left;
            names.push(name);
        }
        Ok((names, conditions))
    }
}

/// One parent: its name, or an object that says more.
struct ParentSeed<'f, 's> {
    faults: &'f mut Faults<'s>,
    place: &'f dyn Fn() -> Place,
}

impl<'de> DeserializeSeed<'de> for ParentSeed<'_, '_> {
    type Value = (Cow<'de, str>, On);
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ParentSeed<'_, '_> {
    type Value = (Cow<'de, str>, On);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a parent")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok((Cow::Borrowed(name), On::Success))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok((Cow::Owned(name.to_owned()), On::Success))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let origin = Origin::Inside((self.place)(), "parents");
        let mut fields = Fields { faults: self.faults, origin, seen: 0 };
        let (mut name, mut on) = (None, On::Success);
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "task" => {
                    fields.once(1, "task", "")?;
                    let Text(task) = fields.value(&mut map, "task", "a string", "")?;
                    name = Some(task);
                }
                "on" => {
                    fields.once(2, "on", "")?;
                    let word: Option<Text<'de>> = fields.value(&mut map, "on", ONS, "")?;
                    if let Some(Text(word)) = word {
                        let known = On::ALL.into_iter().find(|on| on.name() == word);
                        let wrong = DocumentError::WrongKind(fields.place(""), "on", ONS);
                        on = known.ok_or_else(|| fields.faults.fail(wrong))?;
                    }
                }
                _ => {
                    let place = fields.place("");
                    return Err(fields.faults.fail(DocumentError::UnknownField(place, key.into_owned())));
                }
            }
        }
        let wrong = DocumentError::WrongKind(fields.place(""), "task", "the name of a task");
        name.map(|name| (name, on)).ok_or_else(|| fields.faults.fail(wrong))
    }
}
