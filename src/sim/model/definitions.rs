//! WF.DEFINE, WF.START, WF.UNDEFINE, WF.DEFINITIONS: a document is kept, and pushed by its name.

use super::arguments::Words;
use super::document::{self, Document};
use super::push::Terms;
use super::{Model, Moment, Refusal};
use crate::sim::tree::Tree;

/// The longest name.
const LONGEST: usize = 512;

/// What is kept under a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    pub version: u64,
    pub document: Document,
    pub defined: u64,
    pub started: u64,
    pub last_started: Option<u64>,
}

impl Model {
    /// `WF.DEFINE key name workflow`
    pub fn define(&mut self, args: &[Vec<u8>], moment: &mut Moment<'_>) -> Result<Tree, Refusal> {
        let [name, source] = args else { return Err("ERR") };
        if name.is_empty() {
            return Err("ERR");
        }
        if name.len() > LONGEST || document::is_oversized(source, moment) {
            return Err("LIMIT");
        }
        let document = document::read(source, moment)?;
        self.check_room(document.tasks.iter().map(|task| &task.kind), moment.settings)?;
        self.exists = true;
        for task in &document.tasks {
            self.kinds.entry(task.kind.clone()).or_default();
        }
        let version = 1 + self.definitions.get(name).map_or(0, |before| before.version);
        let definition =
            Definition { version, document, defined: moment.now, started: 0, last_started: None };
        self.definitions.insert(name.clone(), definition);
        Ok(Tree::number(version))
    }

    /// `WF.START key name` and the options of [`Terms::read`]
    pub fn start(&mut self, args: &[Vec<u8>], moment: &mut Moment<'_>) -> Result<Tree, Refusal> {
        let mut words = Words(args);
        let name = words.need()?;
        let terms = Terms::read(words, moment)?;
        let Some(definition) = self.definitions.get(name) else { return Err("UNDEFINED") };
        if self.is_taken(&terms) {
            return self.taken(&terms);
        }
        self.need_id(&terms)?;
        let definition = definition.clone();
        self.note_if(definition.version > 1, "a start of a later version");
        let delayed =
            |task: &document::DocumentTask| task.parents.is_empty() && task.options.delay_ms.is_some();
        self.note_if(definition.document.tasks.iter().any(delayed), "a start of a root with a delay");
        let answer = self.take_in(definition.document, terms, moment);
        let definition = self.definitions.get_mut(name).expect("it was there");
        definition.started += 1;
        definition.last_started = definition.last_started.max(Some(moment.now));
        Ok(answer)
    }

    /// `WF.UNDEFINE key name [name ...]`
    pub fn undefine(&mut self, args: &[Vec<u8>]) -> Result<Tree, Refusal> {
        if args.is_empty() {
            return Err("ERR");
        }
        let removed = args.iter().filter(|name| self.definitions.remove(*name).is_some()).count();
        Ok(Tree::number(removed as u64))
    }

    /// `WF.DEFINITIONS key [PATTERN pattern]`
    pub fn list_definitions(&self, args: &[Vec<u8>]) -> Result<Tree, Refusal> {
        let mut words = Words(args);
        let pattern = if words.keyword("PATTERN") { words.need()? } else { b"*" };
        if !words.0.is_empty() {
            return Err("ERR");
        }
        let matching = self.definitions.iter().filter(|(name, _)| super::config::glob(pattern, name));
        let one = |(name, definition): (&Vec<u8>, &Definition)| {
            let workflow = Some(&definition.document.name).filter(|name| !name.is_empty());
            Tree::map([
                ("name", Tree::text(name)),
                ("version", Tree::number(definition.version)),
                ("workflow", Tree::maybe(workflow, Tree::text)),
                ("tasks", Tree::number(definition.document.tasks.len() as u64)),
                // How the module keeps it is its own business.
                ("bytes", Tree::Between(1, i64::MAX)),
                ("defined", Tree::number(definition.defined)),
                ("started", Tree::number(definition.started)),
                ("last_started", Tree::maybe(definition.last_started, Tree::number)),
            ])
        };
        Ok(Tree::Array(matching.map(one).collect()))
    }
}
