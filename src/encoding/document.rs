//! A workflow as JSON, written by people and programs, and by the ancestor's clients.
//!
//! The document is read in one pass into a [`Draft`] that borrows from it; no tree is built, and
//! payloads stay the text they are. What is wrong is said with the place and the field.

use crate::engine::draft::{Draft, DraftTask};
use crate::engine::limits::{MAX_JSON_DEPTH, MAX_LEASE_MS, MAX_PRIORITY};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

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
    /// A field that is understood and not supported yet.
    NotSupported(Place, String),
    /// A field that is there twice, perhaps once in the ancestor's spelling.
    Repeated(Place, &'static str),
    /// A value of the wrong kind: the field and what it must be.
    WrongKind(Place, &'static str, &'static str),
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
}

/// Reads a document.
pub fn read(text: &[u8]) -> Result<Draft<'_>, DocumentError> {
    let text = str::from_utf8(text).map_err(|_| DocumentError::NotUtf8)?;
    if depth(text.as_bytes()) > MAX_JSON_DEPTH {
        return Err(DocumentError::TooDeep);
    }
    let mut faults = Faults::default();
    let mut parser = serde_json::Deserializer::from_str(text);
    let draft = DocumentSeed { faults: &mut faults }.deserialize(&mut parser);
    let error = match draft.and_then(|draft| parser.end().map(|()| draft)) {
        Ok(draft) => return Ok(draft),
        Err(error) => error,
    };
    Err(match (faults.found, faults.suspected) {
        (Some(found), _) => found,
        (None, Some(suspected)) if error.is_data() => suspected,
        (None, None) if error.is_data() => DocumentError::NotAnObject,
        (None, _) => DocumentError::Syntax(error.to_string()),
    })
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

/// A string that borrows from the document where it can.
struct Text<'a>(Cow<'a, str>);

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
#[derive(Default)]
struct Faults {
    /// What is certainly wrong.
    found: Option<DocumentError>,
    /// What is wrong if the parser says that a value was of another kind than wanted.
    suspected: Option<DocumentError>,
}

impl Faults {
    fn fail<E: Error>(&mut self, error: DocumentError) -> E {
        self.found.get_or_insert(error);
        E::custom("")
    }
}

/// What one object of the document is being read into: which fields came, and what went wrong.
struct Fields<'f> {
    faults: &'f mut Faults,
    /// The task's place; `None` for the document itself.
    index: Option<usize>,
    seen: u32,
}

impl Fields<'_> {
    fn place(&self, name: &str) -> Place {
        let name = (self.seen & 1 != 0).then(|| name.to_owned());
        self.index.map_or(Place::Document, |index| Place::Task(index, name))
    }

    /// Notes that a field came, once. Bit 0 is the name's.
    fn once<E: Error>(&mut self, bit: u32, field: &'static str, name: &str) -> Result<(), E> {
        if self.seen & 1 << bit != 0 {
            let place = self.place(name);
            return Err(self.faults.fail(DocumentError::Repeated(place, field)));
        }
        self.seen |= 1 << bit;
        Ok(())
    }

    /// The value of a field. A value of another kind is a fault; broken JSON is the parser's.
    fn value<'de, T: serde::Deserialize<'de>, A: MapAccess<'de>>(
        &mut self,
        map: &mut A,
        field: &'static str,
        wanted: &'static str,
        name: &str,
    ) -> Result<T, A::Error> {
        map.next_value().map_err(|error| {
            let place = self.place(name);
            self.faults.suspected.get_or_insert(DocumentError::WrongKind(place, field, wanted));
            error
        })
    }

    /// A whole number, or its digits in a string when that is allowed.
    fn number<'de, A: MapAccess<'de>>(
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

struct DocumentSeed<'f> {
    faults: &'f mut Faults,
}

impl<'de> DeserializeSeed<'de> for DocumentSeed<'_> {
    type Value = Draft<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Draft<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DocumentSeed<'_> {
    type Value = Draft<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Draft<'de>, A::Error> {
        let mut draft = Draft::default();
        let mut fields = Fields { faults: self.faults, index: None, seen: 0 };
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
                "Workflow" | "WorkflowId" => drop(map.next_value::<IgnoredAny>()?),
                _ => {
                    let field = field.into_owned();
                    return Err(fields.faults.fail(DocumentError::UnknownField(Place::Document, field)));
                }
            }
        }
        Ok(draft)
    }
}

const PRIORITY: (u64, u64) = (0, MAX_PRIORITY as u64);
const TASKS_KIND: &str = "an array of tasks";

struct TasksSeed<'f> {
    faults: &'f mut Faults,
}

impl<'de> DeserializeSeed<'de> for TasksSeed<'_> {
    type Value = Vec<DraftTask<'de>>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TasksSeed<'_> {
    type Value = Vec<DraftTask<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TASKS_KIND)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut tasks = Vec::new();
        while let Some(task) = seq.next_element_seed(TaskSeed { faults: self.faults, index: tasks.len() })? {
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

fn not_tasks<E: Error>(faults: &mut Faults) -> E {
    faults.fail(DocumentError::WrongKind(Place::Document, "tasks", TASKS_KIND))
}

struct TaskSeed<'f> {
    faults: &'f mut Faults,
    index: usize,
}

impl<'de> DeserializeSeed<'de> for TaskSeed<'_> {
    type Value = DraftTask<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<DraftTask<'de>, D::Error> {
        let place = Place::Task(self.index, None);
        self.faults.suspected = Some(DocumentError::WrongKind(place, "tasks", "an array of objects"));
        let fields = Fields { faults: self.faults, index: Some(self.index), seen: 0 };
        deserializer.deserialize_map(TaskVisitor { fields })
    }
}

struct TaskVisitor<'f> {
    fields: Fields<'f>,
}

impl<'de> Visitor<'de> for TaskVisitor<'_> {
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
                    task.parents = names(fields.value(&mut map, "parents", NAMES_KIND, name)?);
                }
                "children" | "Children" => {
                    fields.once(4, "children", name)?;
                    task.children = names(fields.value(&mut map, "children", NAMES_KIND, name)?);
                }
                "priority" | "Priority" => {
                    fields.once(5, "priority", name)?;
                    let number = fields.number(&mut map, "priority", true, PRIORITY, name)?;
                    task.options.priority = number.map(|priority| priority as u32);
                }
                "lease_ms" => {
                    fields.once(6, "lease_ms", name)?;
                    let range = (1, MAX_LEASE_MS);
                    task.options.lease_ms = fields.number(&mut map, "lease_ms", false, range, name)?;
                }
                "Workflow" | "WorkflowId" => drop(map.next_value::<IgnoredAny>()?),
                "max_attempts" | "backoff" | "timeout_ms" | "delay_ms" => {
                    let place = fields.place(name);
                    return Err(fields.faults.fail(DocumentError::NotSupported(place, field.into_owned())));
                }
                _ => {
                    let place = fields.place(name);
                    return Err(fields.faults.fail(DocumentError::UnknownField(place, field.into_owned())));
                }
            }
        }
        Ok(task)
    }
}

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

const NAMES_KIND: &str = "an array of task names";

fn names(names: Option<Vec<Text<'_>>>) -> Vec<Cow<'_, str>> {
    names.unwrap_or_default().into_iter().map(|Text(name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            (r#"{"tasks":[{"delay_ms":1}]}"#.to_owned(), NotSupported(task(None), "delay_ms".into())),
            (r#"{"tasks":[{"name":"a","name":"b"}]}"#.to_owned(), Repeated(task(Some("a")), "name")),
            (r#"{"tasks":[{"name":5}]}"#.to_owned(), WrongKind(task(None), "name", "a string")),
            (
                r#"{"tasks":[{"name":"a","parents":"b"}]}"#.to_owned(),
                WrongKind(task(Some("a")), "parents", NAMES_KIND),
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
}
