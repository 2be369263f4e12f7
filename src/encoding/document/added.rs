//! Tasks that are added to a workflow: an array of them, or an object with `tasks` and `defaults`.

use super::fields::{Faults, Fields, Origin, Text};
use super::{DocumentError, Place, TasksSeed, json, options};
use crate::engine::draft::Draft;
use crate::engine::limits::Settings;
use crate::engine::options::TaskOptions;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Reads tasks that are added. What is more than the operator allows is not read to its end.
pub fn read_added<'a>(text: &'a [u8], settings: &Settings) -> Result<Draft<'a>, DocumentError> {
    let text = json(text)?;
    let mut faults = Faults::new(settings);
    faults.suspected = Some(DocumentError::WrongKind(Place::Document, "tasks", KIND));
    let mut parser = serde_json::Deserializer::from_str(text);
    let draft = AddedSeed { faults: &mut faults }.deserialize(&mut parser);
    draft.and_then(|draft| parser.end().map(|()| draft)).map_err(|error| faults.name(&error))
}

const KIND: &str = "an array of tasks, or an object with `tasks` and `defaults`";

struct AddedSeed<'f, 's> {
    faults: &'f mut Faults<'s>,
}

impl<'de> DeserializeSeed<'de> for AddedSeed<'_, '_> {
    type Value = Draft<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Draft<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AddedSeed<'_, '_> {
    type Value = Draft<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(KIND)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Draft<'de>, A::Error> {
        let mut tasks = TasksSeed { faults: self.faults }.visit_seq(seq)?;
        let none = TaskOptions::default();
        tasks.iter_mut().for_each(|task| options::inherit(&mut task.options, &none));
        Ok(Draft { tasks, ..Draft::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Draft<'de>, A::Error> {
        let mut draft = Draft::default();
        let mut defaults = TaskOptions::default();
        self.faults.suspected = None;
        let mut fields = Fields { faults: self.faults, origin: Origin::Document, seen: 0 };
        while let Some(Text(field)) = map.next_key()? {
            match &*field {
                "tasks" | "Tasks" => {
                    fields.once(2, "tasks", "")?;
                    draft.tasks = map.next_value_seed(TasksSeed { faults: fields.faults })?;
                }
                "defaults" => {
                    fields.once(4, "defaults", "")?;
                    defaults = options::defaults(&mut fields, &mut map)?;
                }
                _ => {
                    let field = field.into_owned();
                    return Err(fields.faults.fail(DocumentError::UnknownField(Place::Document, field)));
                }
            }
        }
        draft.tasks.iter_mut().for_each(|task| options::inherit(&mut task.options, &defaults));
        Ok(draft)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Draft<'_>, DocumentError> {
        read_added(text.as_bytes(), &Settings::default())
    }

    #[test]
    fn tasks_come_alone_or_with_defaults() {
        let alone = read(r#"[{"name":"a","delay_ms":0},{"name":"b","parents":["a"]}]"#).unwrap();
        assert_eq!((alone.tasks.len(), alone.tasks[0].options.delay_ms), (2, None));
        let both = read(r#"{"defaults":{"max_attempts":3},"tasks":[{"name":"a"}]}"#).unwrap();
        assert_eq!(both.tasks[0].options.max_attempts, Some(3));
        assert!(read("[]").unwrap().tasks.is_empty());
    }

    #[test]
    fn what_is_of_a_whole_workflow_is_refused() {
        use DocumentError::*;
        let kind = || WrongKind(Place::Document, "tasks", KIND);
        for (text, error) in [
            ("null", kind()),
            ("7", kind()),
            (r#""x""#, kind()),
            ("true", kind()),
            ("[7]", WrongKind(Place::Task(0, None), "tasks", "an array of objects")),
            (r#"{"name":"n","tasks":[]}"#, UnknownField(Place::Document, "name".into())),
            (r#"{"fail_fast":true}"#, UnknownField(Place::Document, "fail_fast".into())),
            (r#"{"tasks":[],"Tasks":[]}"#, Repeated(Place::Document, "tasks")),
        ] {
            assert_eq!(read(text).unwrap_err(), error, "{text}");
        }
        for broken in ["", "[", "[{]", "[] []", r#"{"tasks":[]"#] {
            assert!(matches!(read(broken), Err(Syntax(_))), "{broken}: {:?}", read(broken));
        }
        assert_eq!(read_added(b"[\"\xff\"]", &Settings::default()).unwrap_err(), NotUtf8);
    }
}
