//! Shapes, interned by content and counted: workflows of equal shape share one.
//!
//! The primary chooses the id of a new blueprint and the effect carries it, so all copies of a
//! space agree on ids without agreeing on the order of a free list.

use super::draft::Draft;
use super::forms::{Form, Forms};
use super::limits::MAX_BLUEPRINT_ID;
use super::options::TaskOptions;
use super::shape::{Checked, Shape};
use super::split_table::SplitTable;
use super::types::Types;
use super::units::{BlueprintId, TaskIndex, TypeId};
use hashbrown::DefaultHashBuilder;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::LazyLock;

/// One interned shape.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// The DAG.
    pub shape: Shape,
    /// The types that `shape.type_of` counts.
    pub types: Box<[TypeId]>,
    /// The name of the first workflow that used it. Workflows of that name do not store it.
    pub name: Box<[u8]>,
    hash: u64,
    uses: u32,
}

impl Blueprint {
    /// The type of a task.
    pub fn type_id(&self, task: TaskIndex) -> TypeId {
        self.types[self.shape.type_of(task)]
    }

    /// How many workflows and definitions use it.
    pub fn uses(&self) -> u32 {
        self.uses
    }

    fn is_word_for_word(&self, draft: &Draft<'_>, names: &Types) -> bool {
        let shape = &self.shape;
        let mut tasks = shape.indexes().zip(shape.names()).zip(&draft.tasks);
        draft.tasks.len() == shape.len()
            && !shape.has_conditions()
            && shape.goes_on() == draft.goes_on
            && tasks.all(|((index, name), task)| {
                let mut parents = shape.parents(index).zip(&task.parents);
                *name == *task.name.as_bytes()
                    && *names.at(self.type_id(index)).name == *task.type_name.as_bytes()
                    && shape.options(index) == task.options
                    && task.children.is_empty()
                    && task.conditions.is_empty()
                    && task.parents.len() == shape.parents(index).len()
                    && parents.all(|(parent, name)| *shape.name(parent) == *name.as_bytes())
            })
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        size_of::<Blueprint>() + self.shape.heap_bytes() + self.types.len() * 2 + self.name.len()
    }
}

/// One for all spaces, so that what a shape hashes to is known before it is known where it goes. Random, so
/// that nobody can choose shapes that hash alike.
static HASHER: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);

/// What a shape with types of these names hashes to, in this process.
pub fn hash_of<'t>(shape: &Shape, type_name: impl Fn(usize) -> &'t [u8]) -> u64 {
    let mut hasher = HASHER.build_hasher();
    for (name, task) in shape.names().zip(shape.indexes()) {
        let parents = shape.parents(task).map(|parent| shape.name(parent));
        hash_task(&mut hasher, name, type_name(shape.type_of(task)), shape.options(task), parents);
    }
    hasher.finish()
}

/// Everything that is said of a task: shapes that differ in anything must hash differently, or
/// workflows with a priority each would all lie in one chain.
fn hash_task<'a>(
    hasher: &mut impl Hasher,
    name: &[u8],
    type_name: &[u8],
    options: TaskOptions,
    parents: impl ExactSizeIterator<Item = &'a [u8]>,
) {
    hasher.write_usize(name.len());
    hasher.write(name);
    hasher.write_usize(type_name.len());
    hasher.write(type_name);
    // Most tasks have none, and hashing seven of them would cost as much as the names.
    match options == TaskOptions::default() {
        true => hasher.write_u8(0),
        false => options.hash(hasher),
    }
    hasher.write_usize(parents.len());
    for parent in parents {
        hasher.write_usize(parent.len());
        hasher.write(parent);
    }
}

/// Blueprints of one page.
const PAGE: usize = 64;
type Page = [Option<Box<Blueprint>>; PAGE];

/// The table of all blueprints of a space. Ids are an index into pages, so that a file that names
/// one blueprint with the largest id makes nobody allocate room for all ids below.
#[derive(Clone, Debug, Default)]
pub struct Blueprints {
    pages: Vec<Option<Box<Page>>>,
    /// One more than the largest id ever used.
    next: u32,
    /// Ids below `next` that may be vacant.
    free: Vec<u32>,
    by_content: SplitTable<u32>,
    forms: Forms,
    heap_bytes: usize,
}

impl Blueprints {
    /// Number of blueprints.
    pub fn len(&self) -> usize {
        self.by_content.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.by_content.is_empty()
    }

    /// The blueprint with this content, whose types the space has under these ids.
    pub fn find(&self, checked: &Checked, types: &[TypeId]) -> Option<BlueprintId> {
        self.find_hashed(checked.hash, &checked.shape, types)
    }

    /// The same, of a shape that hashes so.
    pub fn find_hashed(&self, hash: u64, shape: &Shape, types: &[TypeId]) -> Option<BlueprintId> {
        let same = |&id: &u32| {
            let blueprint = self.get(BlueprintId(id));
            blueprint.hash == hash && *blueprint.types == *types && blueprint.shape == *shape
        };
        self.by_content.find(hash, same).map(|&id| BlueprintId(id))
    }

    /// The blueprint that a draft would get, if it can be seen at a glance: the draft says word for
    /// word what the blueprint holds, parents in the same order and no children. Such a draft needs
    /// no checking and no shape of its own, which halves the cost of a push.
    pub fn recognise(&self, draft: &Draft<'_>, names: &Types) -> Option<BlueprintId> {
        let mut hasher = HASHER.build_hasher();
        for task in &draft.tasks {
            let parents = task.parents.iter().map(|parent| parent.as_bytes());
            hash_task(&mut hasher, task.name.as_bytes(), task.type_name.as_bytes(), task.options, parents);
        }
        let hash = hasher.finish();
        let same = |&id: &u32| {
            let blueprint = self.get(BlueprintId(id));
            blueprint.hash == hash && blueprint.is_word_for_word(draft, names)
        };
        self.by_content.find(hash, same).map(|&id| BlueprintId(id))
    }

    /// An id that is not in use; `None` when there is none left.
    pub fn vacant(&self) -> Option<BlueprintId> {
        let reusable = self.free.iter().rev().find(|&&id| !self.contains(BlueprintId(id)));
        let id = reusable.copied().unwrap_or(self.next);
        (id <= MAX_BLUEPRINT_ID).then_some(BlueprintId(id))
    }

    fn entry(&self, id: u32) -> Option<&Blueprint> {
        self.pages.get(id as usize / PAGE)?.as_ref()?[id as usize % PAGE].as_deref()
    }

    fn entry_mut(&mut self, id: BlueprintId) -> &mut Blueprint {
        let page = self.pages[id.0 as usize / PAGE].as_mut().expect("a workflow's blueprint exists");
        page[id.0 as usize % PAGE].as_mut().expect("a workflow's blueprint exists")
    }

    /// True when `id` names a blueprint.
    pub fn contains(&self, id: BlueprintId) -> bool {
        self.entry(id.0).is_some()
    }

    /// The blueprint; it must exist.
    pub fn get(&self, id: BlueprintId) -> &Blueprint {
        self.entry(id.0).expect("a workflow's blueprint exists")
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = (BlueprintId, &Blueprint)> {
        let pages = self.pages.iter().enumerate().filter_map(|(number, page)| Some((number, page.as_ref()?)));
        pages.flat_map(|(number, page)| {
            page.iter().enumerate().filter_map(move |(place, entry)| {
                Some((BlueprintId((number * PAGE + place) as u32), entry.as_deref()?))
            })
        })
    }

    /// Adds a blueprint nobody uses yet under an id that is vacant and at most
    /// [`MAX_BLUEPRINT_ID`]. `hash` is what [`hash_of`] says of it.
    pub fn insert(&mut self, id: BlueprintId, shape: Shape, types: Box<[TypeId]>, name: &[u8], hash: u64) {
        debug_assert!(!self.contains(id) && id.0 <= MAX_BLUEPRINT_ID);
        let (number, place) = (id.0 as usize / PAGE, id.0 as usize % PAGE);
        if self.pages.len() <= number {
            self.pages.resize_with(number + 1, || None);
        }
        self.next = self.next.max(id.0 + 1);
        let blueprint = Box::new(Blueprint { shape, types, name: name.into(), hash, uses: 0 });
        self.heap_bytes += blueprint.heap_bytes();
        let page = self.pages[number].get_or_insert_with(|| Box::new([const { None }; PAGE]));
        page[place] = Some(blueprint);
        while self.free.last().is_some_and(|&id| self.contains(BlueprintId(id))) {
            self.free.pop();
        }
        let Blueprints { pages, by_content, .. } = self;
        by_content.insert(hash, id.0, |&other| {
            let page = pages[other as usize / PAGE].as_ref().expect("interned blueprints exist");
            page[other as usize % PAGE].as_ref().expect("interned blueprints exist").hash
        });
    }

    /// Remembers the ids that are vacant among those in use, after all were inserted.
    pub fn find_vacant(&mut self) {
        let pages = self.pages.iter().enumerate().filter_map(|(number, page)| Some((number, page.as_ref()?)));
        let vacant = pages.flat_map(|(number, page)| {
            let places = page.iter().enumerate().filter(|(_, entry)| entry.is_none());
            places.map(move |(place, _)| (number * PAGE + place) as u32)
        });
        self.free = vacant.filter(|&id| id < self.next).collect();
    }

    /// What measuring costs, in steps.
    pub fn parts(&self) -> usize {
        self.pages.len() + self.by_content.parts()
    }

    /// How documents of some blueprints were spelled.
    pub fn forms(&self) -> impl Iterator<Item = &Form> {
        self.forms.iter()
    }

    /// Keeps a form of a blueprint that exists. This changes nothing that anybody can see.
    pub fn keep_form(&mut self, form: Form) {
        debug_assert!(self.contains(form.blueprint));
        self.forms.keep(form);
    }

    /// One more workflow or definition uses it.
    pub fn retain(&mut self, id: BlueprintId) {
        self.entry_mut(id).uses += 1;
    }

    /// One less uses it; the last takes it along.
    pub fn release(&mut self, id: BlueprintId) {
        let blueprint = self.entry_mut(id);
        blueprint.uses -= 1;
        if blueprint.uses > 0 {
            return;
        }
        let (hash, bytes) = (blueprint.hash, blueprint.heap_bytes());
        self.heap_bytes -= bytes;
        self.forms.forget(id);
        self.by_content.remove(hash, |&other| other == id.0);
        let page = &mut self.pages[id.0 as usize / PAGE];
        let entries = page.as_mut().expect("a workflow's blueprint exists");
        entries[id.0 as usize % PAGE] = None;
        if entries.iter().all(Option::is_none) {
            *page = None;
        }
        self.free.push(id.0);
        if self.by_content.is_empty() {
            *self = Blueprints::default();
        }
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.heap_bytes
            + self.pages.capacity() * 8
            + self.pages.iter().flatten().count() * size_of::<Page>()
            + self.by_content.heap_bytes()
            + self.free.capacity() * 4
            + self.forms.heap_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::draft::DraftTask;
    use crate::engine::limits::Settings;

    fn draft(priority: Option<u32>, parents: [&'static [&'static str]; 3]) -> Draft<'static> {
        let task = |(name, parents): (&'static str, &[&'static str])| DraftTask {
            name: name.into(),
            parents: parents.iter().map(|&parent| parent.into()).collect(),
            options: TaskOptions { priority, ..TaskOptions::default() },
            ..DraftTask::default()
        };
        let tasks = ["a", "b", "c"].into_iter().zip(parents).map(task).collect();
        Draft { tasks, ..Draft::default() }
    }

    /// Blueprints were hashed by names and types alone: workflows with a priority each lay in one
    /// chain, and a push took as long as there were shapes.
    #[test]
    fn shapes_that_differ_in_anything_hash_differently_and_are_recognised() {
        let drafts = [
            draft(None, [&[], &[], &[]]),
            draft(Some(1), [&[], &[], &[]]),
            draft(Some(2), [&[], &[], &[]]),
            draft(None, [&[], &["a"], &[]]),
            draft(None, [&[], &[], &["a"]]),
            draft(None, [&[], &["c"], &[]]),
            draft(None, [&[], &["a"], &["a", "b"]]),
        ];
        let mut types = Types::default();
        let type_id = types.intern(b"");
        let mut blueprints = Blueprints::default();
        for (id, draft) in drafts.iter().enumerate() {
            assert_eq!(blueprints.recognise(draft, &types), None);
            let Checked { shape, hash, .. } = Shape::check(draft, &Settings::default()).unwrap();
            blueprints.insert(BlueprintId(id as u32), shape, [type_id].into(), b"", hash);
        }
        let mut hashes: Vec<u64> = blueprints.iter().map(|(_, blueprint)| blueprint.hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), drafts.len());
        for (id, draft) in drafts.iter().enumerate() {
            assert_eq!(blueprints.recognise(draft, &types), Some(BlueprintId(id as u32)));
        }
    }

    #[test]
    fn ids_below_the_largest_are_found_vacant_after_loading() {
        let mut types = Types::default();
        let type_id = types.intern(b"");
        let mut blueprints = Blueprints::default();
        for (id, priority) in [(0, 1), (2, 2), (5, 3)] {
            let draft = draft(Some(priority), [&[], &[], &[]]);
            let Checked { shape, hash, .. } = Shape::check(&draft, &Settings::default()).unwrap();
            blueprints.insert(BlueprintId(id), shape, [type_id].into(), b"", hash);
        }
        blueprints.find_vacant();
        assert_eq!(blueprints.vacant(), Some(BlueprintId(4)));
    }
}
