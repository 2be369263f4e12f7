//! Why a command is refused, and the only place where that is put into words.
//!
//! An error line is printable ASCII: bytes that users sent are quoted escaped and shortened.

use super::hash_slot;
use crate::encoding::bytes::DecodeError;
use crate::encoding::document::{DocumentError, Place};
use crate::engine::draft::Invalid;
use crate::engine::limits::{
    MAX_DEFINITIONS, MAX_INTEGER_ID, MAX_JSON_DEPTH, MAX_NAME_BYTES, MAX_PAYLOADS_BYTES, MAX_SEQUENCE,
    MAX_WORKERS, SETTINGS,
};
use crate::engine::plan::Refusal;

/// The reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// The key holds something else.
    WrongType,
    /// The key holds a space that a file ended in the middle of, or that a change is missing from.
    Incomplete,
    /// Too few or too many arguments.
    WrongArity,
    /// An argument that is no option of the command.
    UnknownOption(Vec<u8>),
    /// An option twice.
    Repeated(&'static str),
    /// An option without its value.
    MissingValue(&'static str),
    /// An option that only means something after another.
    Needs(&'static str, &'static str),
    /// Two options of which only one may be given.
    Excludes(&'static str, &'static str),
    /// An option that can only be given with one token.
    NotAlone(&'static str),
    /// A task and a name that no child of it has.
    NoChild(Vec<u8>, Vec<u8>),
    /// A value that is none of those there are.
    NotOneOf(&'static str, Vec<u8>, &'static str),
    /// A setting that a space cannot have.
    UnknownSetting(Vec<u8>),
    /// The stream of events lies in another slot than the space: the two keys.
    OtherSlot(Vec<u8>, Vec<u8>),
    /// The stream of events is the space itself.
    OwnKey,
    /// The client may not write to the key that an argument names.
    MayNotWrite(&'static str, Vec<u8>),
    /// Not a cursor that the command gave.
    BadCursor(Vec<u8>),
    /// Not a whole number.
    NotInteger(&'static str, Vec<u8>),
    /// A number out of range.
    OutOfRange(&'static str, u64, u64),
    /// An argument that may not be empty.
    Empty(&'static str),
    /// An argument with more bytes than the module allows.
    TooLong(&'static str, usize),
    /// More of something than the module allows.
    TooMany(&'static str, usize),
    /// An argument with more bytes than the operator allows.
    OverLimit(&'static str, u64, &'static str),
    /// More tasks or edges, how many, than are drawn.
    NotDrawn(&'static str, u64, u64),
    /// Not of a token's form.
    BadToken(Vec<u8>),
    /// The document does not read.
    Document(DocumentError),
    /// The workflow is not taken in, and under which id.
    Refused(Refusal, Vec<u8>),
    /// The space has as many workers' names as it can.
    TooManyWorkers,
    /// A definition that is not there.
    Undefined(Vec<u8>),
    /// A signal to a task, of this name, that a worker runs.
    NoSignalTask(Vec<u8>),
    /// `WF.APPLY` from a client.
    Internal,
    /// `WF.APPLY` with something that does not fit.
    Effect(DecodeError),
}

impl CommandError {
    /// The error line without its dash.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.words().into_bytes()
    }

    fn words(&self) -> String {
        use CommandError::*;
        match self {
            WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value".into(),
            Incomplete => "INCOMPLETE this copy of the space lacks a part: see the log of the server".into(),
            WrongArity => "ERR wrong number of arguments".into(),
            UnknownOption(option) => format!("ERR unknown option '{}'", quote(option)),
            Repeated(option) => format!("ERR {option} is given twice"),
            MissingValue(option) => format!("ERR {option} needs a value"),
            Needs(option, other) => format!("ERR {option} needs {other} before it"),
            Excludes(option, other) => format!("ERR {option} and {other} exclude each other"),
            NotAlone(option) => {
                format!("ERR {option} can only be given with one token: it takes all arguments behind it")
            }
            NoChild(task, name) => {
                format!("ERR SKIP names '{}', which is no child of task '{}'", quote(name), quote(task))
            }
            NotOneOf(name, value, those) => {
                format!("ERR {name} must be one of {those}, not '{}'", quote(value))
            }
            UnknownSetting(name) => {
                let known = SETTINGS.iter().filter(|spec| spec.per_space).map(|spec| spec.name);
                let known: Vec<&str> = known.collect();
                format!("ERR unknown setting '{}', a space has: {}, events", quote(name), known.join(", "))
            }
            OtherSlot(key, stream) => format!(
                "ERR events: the stream '{}' is in slot {}, the space '{}' in slot {}: give both one hash tag",
                quote(stream),
                hash_slot::of(stream),
                quote(key),
                hash_slot::of(key)
            ),
            OwnKey => "ERR events: the stream must have another key than the space".into(),
            MayNotWrite(name, key) => {
                format!("NOPERM {name}: this user may not write to the key '{}'", quote(key))
            }
            BadCursor(cursor) => format!("ERR invalid cursor '{}'", quote(cursor)),
            NotInteger(name, value) => format!("ERR {name} must be a whole number, not '{}'", quote(value)),
            OutOfRange(name, min, max) => format!("ERR {name} is out of range, must be {min} to {max}"),
            Empty(name) => format!("ERR {name} must not be empty"),
            TooLong(name, max) => format!("LIMIT {name} is longer than {max} bytes"),
            TooMany(name, max) => format!("LIMIT more than {max} {name}"),
            OverLimit(name, max, setting) => {
                format!("LIMIT {name} is longer than the {max} bytes of workflow.{setting}")
            }
            NotDrawn(what, count, most) => {
                format!(
                    "LIMIT the workflow has {count} {what}, and no more than {most} are drawn (workflow.max-count)"
                )
            }
            BadToken(token) => format!(
                "ERR invalid token '{}': a token reads <workflow id>-<task index>-<8 hex digits>",
                quote(token)
            ),
            Document(error) => document(error),
            Refused(refusal, id) => refused(refusal, id),
            TooManyWorkers => format!("LIMIT the space remembers {MAX_WORKERS} workers, the most it can"),
            Undefined(name) => format!("UNDEFINED no workflow '{}' is defined", quote(name)),
            NoSignalTask(name) => {
                format!("ERR task '{}' does not wait for a signal: a worker runs it", quote(name))
            }
            Internal => {
                "ERR WF.APPLY is how changes reach replicas and the AOF; clients cannot send it".into()
            }
            Effect(error) => format!("ERR cannot apply an effect: {error}"),
        }
    }
}

/// User bytes for people: escaped, and no more than fit a line.
fn quote(bytes: &[u8]) -> String {
    const SHOWN: usize = 64;
    let shown = bytes[..bytes.len().min(SHOWN)].escape_ascii();
    if bytes.len() > SHOWN { format!("{shown}...") } else { shown.to_string() }
}

fn place(at: &Place) -> String {
    match at {
        Place::Document => "document".into(),
        Place::Task(_, Some(name)) => format!("task '{}'", quote(name.as_bytes())),
        Place::Task(index, None) => format!("task at index {index}"),
        Place::Field(outer, field) => format!("{}, '{field}'", place(outer)),
    }
}

fn document(error: &DocumentError) -> String {
    use DocumentError::*;
    match error {
        NotUtf8 => "INVALID document: not UTF-8".into(),
        TooDeep => format!("LIMIT document: nested deeper than {MAX_JSON_DEPTH}"),
        Syntax(words) => format!("INVALID document: not JSON: {}", quote(words.as_bytes())),
        NotAnObject => "INVALID document: must be a JSON object".into(),
        UnknownField(at, field) => {
            format!("INVALID {}: unknown field '{}'", place(at), quote(field.as_bytes()))
        }
        Repeated(at, field) => format!("INVALID {}: field '{field}' is given twice", place(at)),
        WrongKind(at, field, wanted) => format!("INVALID {}: '{field}' must be {wanted}", place(at)),
        NotForSignal(at, field) => {
            format!("INVALID {}: '{field}' means nothing where a signal ends the task", place(at))
        }
        TooManyTasks(max) => format!("LIMIT document: more tasks than the {max} of workflow.max-tasks"),
        TooManyEdges(max) => format!("LIMIT document: more edges than the {max} of workflow.max-edges"),
        OutOfRange(at, field, min, max) => {
            format!("INVALID {}: '{field}' is out of range, must be {min} to {max}", place(at))
        }
    }
}

fn refused(refusal: &Refusal, id: &[u8]) -> String {
    match refusal {
        Refusal::Exists => format!("EXISTS a workflow with id '{}'", quote(id)),
        Refusal::TooManyTypes { max } => {
            format!("LIMIT the space would have more types than the {max} of workflow.max-types")
        }
        Refusal::NoBlueprintLeft => "LIMIT the space holds as many different shapes as it can".into(),
        Refusal::NoDefinitionLeft => {
            format!("LIMIT the space has {MAX_DEFINITIONS} definitions, the most it can")
        }
        Refusal::NoIdLeft => format!("LIMIT id {MAX_INTEGER_ID} was used, there is no next one"),
        Refusal::NoSequenceLeft => {
            format!("LIMIT the space has taken in {MAX_SEQUENCE} workflows, the most it can")
        }
        Refusal::Invalid(invalid) => invalid_words(invalid),
    }
}

fn invalid_words(invalid: &Invalid) -> String {
    let quote = |name: &String| quote(name.as_bytes());
    match invalid {
        Invalid::NoTasks => "INVALID document: no tasks".into(),
        Invalid::TooManyTasks { tasks, max } => {
            format!("LIMIT document: {tasks} tasks are more than the {max} of workflow.max-tasks")
        }
        Invalid::TooManyEdges { max } => {
            format!("LIMIT document: more edges than the {max} of workflow.max-edges")
        }
        Invalid::WorkflowNameTooLong => {
            format!("LIMIT document: 'name' is longer than {MAX_NAME_BYTES} bytes")
        }
        Invalid::EmptyName { index } => format!("INVALID task at index {index}: no name"),
        Invalid::NameTooLong { index } => {
            format!("LIMIT task at index {index}: 'name' is longer than {MAX_NAME_BYTES} bytes")
        }
        Invalid::TypeTooLong { task } => {
            format!("LIMIT task '{}': 'type' is longer than {MAX_NAME_BYTES} bytes", quote(task))
        }
        Invalid::PayloadsTooLong => {
            format!("LIMIT document: all payloads are longer than {MAX_PAYLOADS_BYTES} bytes")
        }
        Invalid::PayloadTooLong { task, max } => format!(
            "LIMIT task '{}': 'payload' is longer than the {max} bytes of workflow.max-payload-bytes",
            quote(task)
        ),
        Invalid::DuplicateName { task } => {
            format!("INVALID task '{}': another task has this name", quote(task))
        }
        Invalid::NameTaken { task } => format!("EXISTS task '{}' is there already", quote(task)),
        Invalid::ChildStarted { task, child } => {
            format!("INVALID task '{}': child '{}' waits no more", quote(task), quote(child))
        }
        Invalid::UnknownParent { task, parent } => {
            format!("INVALID task '{}': unknown parent '{}'", quote(task), quote(parent))
        }
        Invalid::TwoConditions { task, parent } => {
            format!("INVALID task '{}': parent '{}' is given two conditions", quote(task), quote(parent))
        }
        Invalid::UnknownChild { task, child } => {
            format!("INVALID task '{}': unknown child '{}'", quote(task), quote(child))
        }
        Invalid::SelfEdge { task } => format!("INVALID task '{}': it is its own parent", quote(task)),
        Invalid::Cycle { tasks } => {
            const SHOWN: usize = 16;
            let mut names: Vec<String> = tasks.iter().take(SHOWN).map(quote).collect();
            names.push(if tasks.len() > SHOWN { "...".into() } else { quote(&tasks[0]) });
            format!("INVALID task '{}': cycle {}", quote(&tasks[0]), names.join(" -> "))
        }
    }
}
