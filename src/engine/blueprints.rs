//! Shapes, interned by content and counted: workflows of equal shape share one.
//!
//! The primary chooses the id of a new blueprint and the effect carries it, so all copies of a
//! space agree on ids without agreeing on the order of a free list.

use super::draft::Draft;
use super::limits::MAX_BLUEPRINT_ID;
use super::shape::Shape;
use super::types::Types;
use super::units::{BlueprintId, TaskIndex, TypeId};
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::{BuildHasher, Hasher};

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

    /// How many workflows use it.
    pub fn uses(&self) -> u32 {
        self.uses
    }

    fn is_word_for_word(&self, draft: &Draft<'_>, names: &Types) -> bool {
        let shape = &self.shape;
        let mut tasks = shape.indexes().zip(shape.names()).zip(&draft.tasks);
        draft.tasks.len() == shape.len()
            && tasks.all(|((index, name), task)| {
                let mut parents = shape.parents(index).zip(&task.parents);
                *name == *task.name.as_bytes()
                    && *names.at(self.type_id(index)).name == *task.type_name.as_bytes()
                    && shape.options(index) == task.options
                    && task.children.is_empty()
                    && task.parents.len() == shape.parents(index).len()
                    && parents.all(|(parent, name)| *shape.name(parent) == *name.as_bytes())
            })
    }

    fn heap_bytes(&self) -> usize {
        size_of::<Blueprint>() + self.shape.heap_bytes() + self.types.len() * 2 + self.name.len()
    }
}

/// Name and type of each task, which is what blueprints are hashed by.
fn of_shape<'a>(
    shape: &'a Shape,
    types: &'a [TypeId],
    names: &'a Types,
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let type_of = |task| &*names.at(types[shape.type_of(task)]).name;
    shape.names().zip(shape.indexes()).map(move |(name, task)| (name, type_of(task)))
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
    by_content: HashTable<u32>,
    hasher: DefaultHashBuilder,
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

    /// The blueprint with this content.
    pub fn find(&self, shape: &Shape, types: &[TypeId], names: &Types) -> Option<BlueprintId> {
        let hash = self.hash(of_shape(shape, types, names));
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
        let of_draft = draft.tasks.iter().map(|task| (task.name.as_bytes(), task.type_name.as_bytes()));
        let hash = self.hash(of_draft);
        let same = |&id: &u32| {
            let blueprint = self.get(BlueprintId(id));
            blueprint.hash == hash && blueprint.is_word_for_word(draft, names)
        };
        self.by_content.find(hash, same).map(|&id| BlueprintId(id))
    }

    fn hash<'a>(&self, tasks: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for (name, type_name) in tasks {
            hasher.write(name);
            hasher.write(type_name);
        }
        hasher.finish()
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
    /// [`MAX_BLUEPRINT_ID`].
    pub fn insert(
        &mut self,
        id: BlueprintId,
        shape: Shape,
        types: Box<[TypeId]>,
        name: &[u8],
        names: &Types,
    ) {
        debug_assert!(!self.contains(id) && id.0 <= MAX_BLUEPRINT_ID);
        let (number, place) = (id.0 as usize / PAGE, id.0 as usize % PAGE);
        if self.pages.len() <= number {
            self.pages.resize_with(number + 1, || None);
        }
        self.next = self.next.max(id.0 + 1);
        let hash = self.hash(of_shape(&shape, &types, names));
        let blueprint = Box::new(Blueprint { shape, types, name: name.into(), hash, uses: 0 });
        self.heap_bytes += blueprint.heap_bytes();
        let page = self.pages[number].get_or_insert_with(|| Box::new([const { None }; PAGE]));
        page[place] = Some(blueprint);
        while self.free.last().is_some_and(|&id| self.contains(BlueprintId(id))) {
            self.free.pop();
        }
        let Blueprints { pages, by_content, .. } = self;
        by_content.insert_unique(hash, id.0, |&other| {
            let page = pages[other as usize / PAGE].as_ref().expect("interned blueprints exist");
            page[other as usize % PAGE].as_ref().expect("interned blueprints exist").hash
        });
    }

    /// One more workflow uses it.
    pub fn retain(&mut self, id: BlueprintId) {
        self.entry_mut(id).uses += 1;
    }

    /// One workflow less uses it; the last takes it along.
    pub fn release(&mut self, id: BlueprintId) {
        let blueprint = self.entry_mut(id);
        blueprint.uses -= 1;
        if blueprint.uses > 0 {
            return;
        }
        let (hash, bytes) = (blueprint.hash, blueprint.heap_bytes());
        self.heap_bytes -= bytes;
        if let Ok(found) = self.by_content.find_entry(hash, |&other| other == id.0) {
            found.remove();
        }
        let page = &mut self.pages[id.0 as usize / PAGE];
        let entries = page.as_mut().expect("a workflow's blueprint exists");
        entries[id.0 as usize % PAGE] = None;
        if entries.iter().all(Option::is_none) {
            *page = None;
        }
        self.free.push(id.0);
        if self.by_content.is_empty() {
            *self = Blueprints { hasher: self.hasher.clone(), ..Blueprints::default() };
        }
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.heap_bytes
            + self.pages.capacity() * 8
            + self.pages.iter().flatten().count() * size_of::<Page>()
            + self.by_content.allocation_size()
            + self.free.capacity() * 4
    }
}
