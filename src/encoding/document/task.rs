//! One task of a document.

use super::fields::{Faults, Fields, Origin, Text};
use super::{DocumentError, PRIORITY, Place, options};
use crate::engine::draft::DraftTask;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

pub(super) struct TaskSeed<'f, 's> {
    pub(super) faults: &'f mut Faults<'s>,
    pub(super) index: usize,
}

impl<'de> DeserializeSeed<'de> for TaskSeed<'_, '_> {
    type Value = DraftTask<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<DraftTask<'de>, D::Error> {
        let place = Place::Task(self.index, None);
        self.faults.suspected = Some(DocumentError::WrongKind(place, "tasks", "an array of objects"));
        let fields = Fields { faults: self.faults, origin: Origin::Task(self.index), seen: 0 };
        deserializer.deserialize_map(TaskVisitor { fields })
    }
}

struct TaskVisitor<'f, 's> {
    fields: Fields<'f, 's>,
}

impl<'de> Visitor<'de> for TaskVisitor<'_, '_> {
    type Value = DraftTask<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a task")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<DraftTask<'de>, A::Error> {
        let mut task = DraftTask::default();
        let mut fields = self.fields;
        fields.faults.suspected = None;
        while let Some(Text(field)) = map.next_key()? {
            let name = &task.name;
            match &*field {
                "name" | "Name" => {
                    if fields.seen & 1 != 0 {
                        fields.once(0, "name", name)?;
                    }
                    let Text(name) = fields.value(&mut map, "name", "a string", "")?;
                    fields.once(0, "name", &name)?;
                    task.name = name;
                }
                "type" | "Type" => {
                    fields.once(1, "type", name)?;
                    let type_name: Option<Text<'de>> = fields.value(&mut map, "type", "a string", name)?;
                    task.type_name = type_name.map_or_else(Cow::default, |Text(name)| name);
                }
                "payload" | "Payload" => {
                    fields.once(2, "payload", name)?;
                    let raw: &'de RawValue = map.next_value()?;
                    task.payload = match payload(raw.get()) {
                        Some(payload) => payload,
                        None => {
                            let place = fields.place(name);
                            let error = DocumentError::WrongKind(place, "payload", "valid JSON");
                            return Err(fields.faults.fail(error));
                        }
                    };
                }
                "parents" | "Parents" => {
                    fields.once(3, "parents", name)?;
                    (task.parents, task.conditions) = fields.parents(&mut map, name)?;
                }
                "children" | "Children" => {
                    fields.once(4, "children", name)?;
                    task.children = fields.names(&mut map, "children", name)?;
                }
                "priority" | "Priority" => {
                    fields.once(5, "priority", name)?;
                    let number = fields.number(&mut map, "priority", true, PRIORITY, name)?;
                    task.options.priority = number.map(|priority| priority as u32);
                }
                "on_failure" => {
                    fields.once(6, "on_failure", name)?;
                    let word: Option<Text<'de>> = fields.value(&mut map, "on_failure", ON_FAILURE, name)?;
                    task.options.tolerated = match word.as_ref().map(|Text(word)| &**word) {
                        None | Some("fail") => false,
                        Some("continue") => true,
                        Some(_) => {
                            let place = fields.place(name);
                            let error = DocumentError::WrongKind(place, "on_failure", ON_FAILURE);
                            return Err(fields.faults.fail(error));
                        }
                    };
                }
                "signal" => {
                    fields.once(8, "signal", name)?;
                    let signal: Option<bool> = fields.value(&mut map, "signal", "true or false", name)?;
                    task.options.signal = signal == Some(true);
                }
                "Workflow" | "WorkflowId" => drop(map.next_value::<IgnoredAny>()?),
                _ if options::field(&mut fields, &mut map, &field, &mut task.options, name)? => {}
                _ => {
                    let place = fields.place(name);
                    return Err(fields.faults.fail(DocumentError::UnknownField(place, field.into_owned())));
                }
            }
        }
        match options::of_workers(&task.options) {
            Some(field) if task.options.signal => {
                let place = fields.place(&task.name);
                Err(fields.faults.fail(DocumentError::NotForSignal(place, field)))
            }
            _ => Ok(task),
        }
    }
}

const ON_FAILURE: &str = "\"fail\" or \"continue\"";

/// A payload as it is handed out: the text of a string, the source of anything else.
fn payload(source: &str) -> Option<Cow<'_, str>> {
    if source == "null" {
        return Some(Cow::Borrowed(""));
    }
    let Some(text) = source.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return Some(Cow::Borrowed(source));
    };
    if !text.contains('\\') {
        return Some(Cow::Borrowed(text));
    }
    serde_json::from_str::<Text<'_>>(source).ok().map(|Text(text)| text)
}
