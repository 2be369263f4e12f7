//! The slab of workflows: pages of 256 records that come and go whole.
//!
//! A page is 14,336 bytes, exactly one of the allocator's size classes. The lowest free place is
//! taken first, so that a space that shrank becomes dense again, and a page nobody lives on is
//! given back. Growing never moves a record.

use super::units::Slot;
use super::workflow::Workflow;
use std::collections::BTreeSet;

const PAGE: usize = 256;

#[derive(Clone, Debug)]
struct Page {
    records: Box<[Option<Workflow>]>,
    used: [u64; PAGE / 64],
}

/// The slab; see the module's prose.
#[derive(Clone, Debug, Default)]
pub struct Workflows {
    pages: Vec<Option<Page>>,
    /// Pages with a free place, among them those given back.
    open: BTreeSet<u32>,
    len: usize,
    heap_bytes: usize,
}

impl Workflows {
    /// Number of workflows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The workflow in a slot; it must be there.
    pub fn at(&self, slot: Slot) -> &Workflow {
        self.get(slot).expect("a slot in use")
    }

    /// The workflow in a slot.
    pub fn get(&self, slot: Slot) -> Option<&Workflow> {
        let page = self.pages.get(slot.0 as usize / PAGE)?.as_ref()?;
        page.records[slot.0 as usize % PAGE].as_ref()
    }

    /// The workflow in a slot, to change; it must be there. What it costs on the heap must not
    /// change: see [`Workflows::change`].
    pub fn at_mut(&mut self, slot: Slot) -> &mut Workflow {
        let page = self.pages[slot.0 as usize / PAGE].as_mut().expect("a slot in use");
        page.records[slot.0 as usize % PAGE].as_mut().expect("a slot in use")
    }

    /// The workflow in a slot, and the count of bytes on the heap that has to follow its changes.
    pub fn at_mut_with_bytes(&mut self, slot: Slot) -> (&mut Workflow, &mut usize) {
        let page = self.pages[slot.0 as usize / PAGE].as_mut().expect("a slot in use");
        let workflow = page.records[slot.0 as usize % PAGE].as_mut().expect("a slot in use");
        (workflow, &mut self.heap_bytes)
    }

    /// Changes a workflow in a way that may change what it costs on the heap.
    pub fn change<T>(&mut self, slot: Slot, change: impl FnOnce(&mut Workflow) -> T) -> T {
        let workflow = self.at_mut(slot);
        let before = workflow.heap_bytes();
        let value = change(workflow);
        let after = workflow.heap_bytes();
        self.heap_bytes = self.heap_bytes - before + after;
        value
    }

    /// Adds a workflow.
    pub fn insert(&mut self, workflow: Workflow) -> Slot {
        self.heap_bytes += workflow.heap_bytes();
        self.len += 1;
        let number = self.open.first().copied().unwrap_or_else(|| {
            self.pages.push(None);
            self.open.insert(self.pages.len() as u32 - 1);
            self.pages.len() as u32 - 1
        });
        let page = self.pages[number as usize]
            .get_or_insert_with(|| Page { records: (0..PAGE).map(|_| None).collect(), used: [0; PAGE / 64] });
        let word = page.used.iter().position(|&bits| bits != u64::MAX).expect("an open page");
        let bit = page.used[word].trailing_ones() as usize;
        page.used[word] |= 1 << bit;
        page.records[word * 64 + bit] = Some(workflow);
        if page.used == [u64::MAX; PAGE / 64] {
            self.open.remove(&number);
        }
        Slot(number * PAGE as u32 + (word * 64 + bit) as u32)
    }

    /// Takes a workflow out; it must be there.
    pub fn remove(&mut self, slot: Slot) -> Workflow {
        let number = slot.0 as usize / PAGE;
        let page = self.pages[number].as_mut().expect("a slot in use");
        let place = slot.0 as usize % PAGE;
        let workflow = page.records[place].take().expect("a slot in use");
        page.used[place / 64] &= !(1 << (place % 64));
        self.open.insert(number as u32);
        self.heap_bytes -= workflow.heap_bytes();
        self.len -= 1;
        if page.used == [0; PAGE / 64] {
            self.pages[number] = None;
            while self.pages.last().is_some_and(Option::is_none) {
                self.pages.pop();
                self.open.remove(&(self.pages.len() as u32));
            }
            self.pages.shrink_to(self.pages.len() * 2);
        }
        workflow
    }

    /// All workflows, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &Workflow)> {
        self.pages.iter().enumerate().filter_map(|(number, page)| Some((number, page.as_ref()?))).flat_map(
            |(number, page)| {
                page.records.iter().enumerate().filter_map(move |(place, record)| {
                    Some((Slot((number * PAGE + place) as u32), record.as_ref()?))
                })
            },
        )
    }

    /// The workflows from a slot on, in the order of their slots.
    pub fn iter_from(&self, from: Slot) -> impl Iterator<Item = (Slot, &Workflow)> {
        let first = from.0 as usize / PAGE;
        let pages = self.pages.iter().enumerate().skip(first).filter(|(_, page)| page.is_some());
        let slots = pages.flat_map(|(number, _)| (number * PAGE) as u32..((number + 1) * PAGE) as u32);
        let slots = slots.skip_while(move |&slot| slot < from.0);
        slots.filter_map(|slot| Some((Slot(slot), self.get(Slot(slot))?)))
    }

    /// All workflows by age.
    pub fn by_age(&self) -> Vec<Slot> {
        let mut slots: Vec<_> = self.iter().map(|(slot, wf)| (wf.sequence(), slot)).collect();
        slots.sort_unstable();
        slots.into_iter().map(|(_, slot)| slot).collect()
    }

    /// Number of pages.
    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let pages = self.pages.iter().flatten().count();
        self.heap_bytes
            + pages * PAGE * size_of::<Option<Workflow>>()
            + self.pages.capacity() * size_of::<Option<Page>>()
    }
}
