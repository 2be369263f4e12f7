//! A workflow as JSON, written by people and programs, and by the ancestor's clients.
//!
//! The document is read in one pass into a [`Draft`] that borrows from it; no tree is built, and
//! payloads stay the text they are. What is wrong is said with the place and the field.

mod added;
mod fields;
mod form;
mod options;
mod parents;
mod task;

pub use added::read_added;
pub use form::{Filling, fill, form_of};

use crate::engine::draft::{Draft, DraftTask};
use crate::engine::limits::{MAX_DURATION_MS, MAX_JSON_DEPTH, MAX_PRIORITY, Settings};
use crate::engine::options::TaskOptions;
use fields::{Faults, Fields, Origin, Text};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use task::TaskSeed;

/// Why a text is not a workflow document. The words stand in `commands::error`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentError {
    /// Not UTF-8.
    NotUtf8,
    /// Nested deeper than [`MAX_JSON_DEPTH`].
    TooDeep,
    /// Not JSON; the parser's words.
    Syntax(String),
    /// The document is not an object.
    NotAnObject,
    /// A field nobody knows.
    UnknownField(Place, String),
    /// A field that is there twice, perhaps once in the ancestor's spelling.
    Repeated(Place, &'static str),
    /// A value of the wrong kind: the field and what it must be.
    WrongKind(Place, &'static str, &'static str),
    /// A field that only means something where a worker runs the task.
    NotForSignal(Place, &'static str),
    /// More tasks than so many.
    TooManyTasks(u64),
    /// Far more parents and children than so many edges.
    TooManyEdges(u64),
    /// A number out of range: the field and its range.
    OutOfRange(Place, &'static str, u64, u64),
}

/// Where in the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the top.
    Document,
    /// In a task: its name, as far as it was read.
    Task(usize, Option<String>),
    /// In the object that is the value of a field.
    Field(Box<Place>, &'static str),
}

/// Reads a document. What is more than the operator allows is not read to its end.
pub fn read<'a>(text: &'a [u8], settings: &Settings) -> Result<Draft<'a>, DocumentError> {
    let text = json(text)?;
    let mut faults = Faults::new(settings);
    let mut parser = serde_json::Deserializer::from_str(text);
    let draft = DocumentSeed { faults: &mut faults }.deserialize(&mut parser);
    draft.and_then(|draft| parser.end().map(|()| draft)).map_err(|error| faults.name(&error))
}

/// What may be JSON: text that nests no deeper than allowed.
fn json(text: &[u8]) -> Result<&str, DocumentError> {
    let text = str::from_utf8(text).map_err(|_| DocumentError::NotUtf8)?;
    if depth(text.as_bytes()) > MAX_JSON_DEPTH { Err(DocumentError::TooDeep) } else { Ok(text) }
}

/// How deep brackets nest, strings left out.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => drop(bytes.next()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}

struct DocumentSeed<'f, 's> {
    faults: &'f mut Faults<'s>,
}

impl<'de> DeserializeSeed<'de> for DocumentSeed<'_, '_> {
    type Value = Draft<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Draft<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DocumentSeed<'_, '_> {
    type Value = Draft<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Draft<'de>, A::Error> {
        let mut draft = Draft::default();
        let mut fields = Fields { faults: self.faults, origin: Origin::Document, seen: 0 };
        let mut defaults = TaskOptions::default();
        while let Some(Text(field)) = map.next_key()? {
            match &*field {
                "name" | "Name" => {
                    fields.once(0, "name", "")?;
                    let name: Option<Text<'de>> = fields.value(&mut map, "name", "a string", "")?;
                    draft.name = name.map(|Text(name)| name);
                }
                "priority" | "Priority" => {
                    fields.once(1, "priority", "")?;
                    let number = fields.number(&mut map, "priority", true, PRIORITY, "")?;
                    draft.priority = number.map(|priority| priority as u32);
                }
                "tasks" | "Tasks" => {
                    fields.once(2, "tasks", "")?;
                    draft.tasks = map.next_value_seed(TasksSeed { faults: fields.faults })?;
                }
                "timeout_ms" => {
                    fields.once(3, "timeout_ms", "")?;
                    let range = (1, MAX_DURATION_MS);
                    draft.timeout_ms = fields.number(&mut map, "timeout_ms", false, range, "")?;
                }
                "fail_fast" => {
                    fields.once(5, "fail_fast", "")?;
                    let fail_fast: Option<bool> = fields.value(&mut map, "fail_fast", "true or false", "")?;
                    draft.goes_on = fail_fast == Some(false);
                }
                "defaults" => {
                    fields.once(4, "defaults", "")?;
                    defaults = options::defaults(&mut fields, &mut map)?;
                }
                "Workflow" | "WorkflowId" => drop(map.next_value::<IgnoredAny>()?),
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

const PRIORITY: (u64, u64) = (0, MAX_PRIORITY as u64);
const TASKS_KIND: &str = "an array of tasks";

struct TasksSeed<'f, 's> {
    faults: &'f mut Faults<'s>,
}

impl<'de> DeserializeSeed<'de> for TasksSeed<'_, '_> {
    type Value = Vec<DraftTask<'de>>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TasksSeed<'_, '_> {
    type Value = Vec<DraftTask<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TASKS_KIND)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut tasks = Vec::new();
        while let Some(task) = seq.next_element_seed(TaskSeed { faults: self.faults, index: tasks.len() })? {
            if tasks.len() as u64 >= self.faults.settings.max_tasks {
                let max = self.faults.settings.max_tasks;
                return Err(self.faults.fail(DocumentError::TooManyTasks(max)));
            }
            tasks.push(task);
        }
        Ok(tasks)
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(not_tasks(self.faults))
    }
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Err(not_tasks(self.faults))
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Err(not_tasks(self.faults))
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Err(not_tasks(self.faults))
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Err(not_tasks(self.faults))
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Err(not_tasks(self.faults))
    }
}

fn not_tasks<E: Error>(faults: &mut Faults<'_>) -> E {
    faults.fail(DocumentError::WrongKind(Place::Document, "tasks", TASKS_KIND))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::limits::MAX_LEASE_MS;
    use crate::engine::options::{Backoff, BackoffKind};

    fn read(text: &[u8]) -> Result<Draft<'_>, DocumentError> {
        super::read(text, &Settings::default())
    }

    #[test]
    fn a_document_reads_into_a_draft() {
        let draft = read(
            br#" {"name": "night\u006cy", "priority": 7, "tasks": [
                {"name": "a", "type": "etl", "payload": {"x": [1, 2 ]}},
                {"name": "b", "payload": "te\nxt", "parents": ["a"], "priority": 3, "lease_ms": 50},
                {"name": "c", "payload": null, "children": [], "parents": null}]} "#,
        )
        .unwrap();
        assert_eq!(draft.name.as_deref(), Some("nightly"));
        assert_eq!(draft.priority, Some(7));
        let [a, b, c] = &draft.tasks[..] else { panic!() };
        assert_eq!((&*a.name, &*a.type_name, &*a.payload), ("a", "etl", r#"{"x": [1, 2 ]}"#));
        assert_eq!((&*b.payload, b.parents.len()), ("te\nxt", 1));
        assert_eq!((b.options.priority, b.options.lease_ms), (Some(3), Some(50)));
        assert_eq!(&*c.payload, "");
    }

    #[test]
    fn the_ancestors_documents_read_unchanged() {
        let draft = read(
            br#"{"Name":"W","WorkflowId":3,"Tasks":[{"Name":"N1","Type":"","Payload":"Node1","Priority":"50",
                "Parents":[],"Children":["N2"],"Workflow":"W"},{"Name":"N2","Parents":["N1"],"Priority":4}]}"#,
        )
        .unwrap();
        assert_eq!(draft.tasks[0].options.priority, Some(50));
        assert_eq!(draft.tasks[1].options.priority, Some(4));
        assert_eq!(draft.tasks[0].children, ["N2"]);
    }

    #[test]
    fn defaults_hold_for_tasks_that_do_not_say_wherever_they_stand() {
        let draft = read(
            br#"{"tasks":[{"name":"a","max_attempts":2,"backoff":{"kind":"fixed","delay_ms":5,"jitter":0.25}},
                          {"name":"b","timeout_ms":null},{"name":"c","delay_ms":0}],
                "timeout_ms":9,
                "defaults":{"max_attempts":7,"max_deliveries":3,"timeout_ms":10,"delay_ms":20,"lease_ms":30,
                            "backoff":{"delay_ms":7200000}}}"#,
        )
        .unwrap();
        let [a, b] = [&draft.tasks[0].options, &draft.tasks[1].options];
        assert_eq!(draft.timeout_ms, Some(9));
        assert_eq!(draft.tasks[2].options.delay_ms, None);
        assert_eq!((a.max_attempts, a.max_deliveries, a.lease_ms), (Some(2), Some(3), Some(30)));
        assert_eq!((b.max_attempts, b.timeout_ms, b.delay_ms), (Some(7), Some(10), Some(20)));
        let fixed = Backoff { kind: BackoffKind::Fixed, delay_ms: 5, jitter: 250, ..Backoff::default() };
        assert_eq!(a.backoff, Some(fixed));
        let long = Backoff { delay_ms: 7_200_000, max_ms: 7_200_000, ..Backoff::default() };
        assert_eq!(b.backoff, Some(long));
    }

    #[test]
    fn each_fault_names_place_and_field() {
        use DocumentError::*;
        let task = |name: Option<&str>| Place::Task(0, name.map(str::to_owned));
        let deep = "[".repeat(101) + &"]".repeat(101);
        let text = |payload: &str| format!(r#"{{"tasks":[{{"name":"a","payload":{payload}}}]}}"#);
        for (document, error) in [
            (r#"[]"#.to_owned(), NotAnObject),
            (r#""x""#.to_owned(), NotAnObject),
            (r#"{"tusks":[]}"#.to_owned(), UnknownField(Place::Document, "tusks".into())),
            (r#"{"tasks":{}}"#.to_owned(), WrongKind(Place::Document, "tasks", TASKS_KIND)),
            (r#"{"tasks":7}"#.to_owned(), WrongKind(Place::Document, "tasks", TASKS_KIND)),
            (r#"{"tasks":["a"]}"#.to_owned(), WrongKind(task(None), "tasks", "an array of objects")),
            (r#"{"tasks":[],"Tasks":[]}"#.to_owned(), Repeated(Place::Document, "tasks")),
            (r#"{"tasks":[{"name":"a","oops":1}]}"#.to_owned(), UnknownField(task(Some("a")), "oops".into())),
            (
                r#"{"tasks":[{"delay_ms":-1}]}"#.to_owned(),
                OutOfRange(task(None), "delay_ms", 0, MAX_DURATION_MS),
            ),
            (r#"{"tasks":[{"backoff":7}]}"#.to_owned(), WrongKind(task(None), "backoff", "an object")),
            (
                r#"{"tasks":[{"name":"a","backoff":{"kind":"slow"}}]}"#.to_owned(),
                WrongKind(
                    Place::Field(Box::new(task(Some("a"))), "backoff"),
                    "kind",
                    "\"fixed\", \"linear\" or \"exponential\"",
                ),
            ),
            (
                r#"{"tasks":[{"backoff":{"jitter":1.5}}]}"#.to_owned(),
                WrongKind(Place::Field(Box::new(task(None)), "backoff"), "jitter", "a number from 0 to 1"),
            ),
            (
                r#"{"tasks":[{"backoff":{"delay_ms":20,"max_ms":10}}]}"#.to_owned(),
                OutOfRange(Place::Field(Box::new(task(None)), "backoff"), "max_ms", 20, MAX_DURATION_MS),
            ),
            (
                r#"{"defaults":{"priority":1},"tasks":[]}"#.to_owned(),
                UnknownField(Place::Field(Box::new(Place::Document), "defaults"), "priority".into()),
            ),
            (r#"{"defaults":[]}"#.to_owned(), WrongKind(Place::Document, "defaults", "an object")),
            (r#"{"tasks":[{"name":"a","name":"b"}]}"#.to_owned(), Repeated(task(Some("a")), "name")),
            (r#"{"tasks":[{"name":5}]}"#.to_owned(), WrongKind(task(None), "name", "a string")),
            (
                r#"{"tasks":[{"name":"a","parents":"b"}]}"#.to_owned(),
                WrongKind(task(Some("a")), "parents", parents::PARENTS),
            ),
            (
                r#"{"tasks":[{"priority":1.5}]}"#.to_owned(),
                WrongKind(task(None), "priority", "a whole number"),
            ),
            (
                r#"{"priority":-1,"tasks":[]}"#.to_owned(),
                OutOfRange(Place::Document, "priority", 0, 16_777_215),
            ),
            (r#"{"tasks":[{"lease_ms":0}]}"#.to_owned(), OutOfRange(task(None), "lease_ms", 1, MAX_LEASE_MS)),
            (
                r#"{"tasks":[{"lease_ms":"5"}]}"#.to_owned(),
                WrongKind(task(None), "lease_ms", "a whole number"),
            ),
            (text(&deep), TooDeep),
        ] {
            assert_eq!(read(document.as_bytes()).unwrap_err(), error, "{document}");
        }
        for broken in [
            "",
            "{",
            r#"{"tasks":[}"#,
            r#"{"tasks":[{]}"#,
            r#"{"tasks":[]} x"#,
            r#"{"tasks":[{"name":"a",}]}"#,
            r#"{"tasks":[{"payload":nul}]}"#,
        ] {
            assert!(
                matches!(read(broken.as_bytes()), Err(Syntax(_))),
                "{broken}: {:?}",
                read(broken.as_bytes())
            );
        }
        assert_eq!(read(b"{\"name\":\"\xff\"}").unwrap_err(), NotUtf8);
        assert!(read(text(r#""[[[[[[""#).as_bytes()).is_ok());
    }

    #[test]
    fn what_is_too_much_is_not_read_to_its_end() {
        let few = Settings { max_tasks: 2, max_edges: 1, ..Settings::default() };
        let error = |text: &str| super::read(text.as_bytes(), &few).unwrap_err();
        assert_eq!(error(r#"{"tasks":[{},{},{},and then no JSON"#), DocumentError::TooManyTasks(2));
        let parents = r#"{"tasks":[{"parents":["a","a","a","a","a",and then no JSON"#;
        assert_eq!(error(parents), DocumentError::TooManyEdges(1));
    }
}
