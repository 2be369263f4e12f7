//! From workflow ids to slots. An integer id lies in the workflow's record; a text id lies once in
//! a side table here. The index itself holds slots only: 5 bytes each before the load factor.

use super::split_table::SplitTable;
use super::units::Slot;
use super::workflow::StoredId;
use super::workflows::Workflows;
use hashbrown::DefaultHashBuilder;
use std::hash::{BuildHasher, Hash, Hasher};

/// A workflow id as clients write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id<'a> {
    /// A canonical decimal integer up to [`super::limits::MAX_INTEGER_ID`].
    Integer(u64),
    /// Anything else.
    Text(&'a [u8]),
}

impl Hash for Id<'_> {
    /// Without the discriminant: one word to hash for an integer.
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Id::Integer(id) => state.write_u64(*id),
            Id::Text(text) => state.write(text),
        }
    }
}

impl<'a> Id<'a> {
    /// Reads an id: `17` is an integer, `017`, `-1` and `order-7` are texts.
    pub fn of(bytes: &'a [u8]) -> Id<'a> {
        match read_integer(bytes) {
            Some(value) if value <= super::limits::MAX_INTEGER_ID => Id::Integer(value),
            _ => Id::Text(bytes),
        }
    }

    /// Appends the id as clients write it.
    pub fn write(self, out: &mut Vec<u8>) {
        match self {
            Id::Integer(id) => write_integer(id, out),
            Id::Text(text) => out.extend_from_slice(text),
        }
    }
}

/// Reads the one decimal form of an integer of at most 19 digits.
pub fn read_integer(digits: &[u8]) -> Option<u64> {
    let canonical = !matches!(digits, [] | [b'0', _, ..]) && digits.len() <= 19;
    let step = |value, &digit: &u8| digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0'));
    if canonical { digits.iter().try_fold(0, step) } else { None }
}

/// The numbers below 100 with two digits each.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut value = 0;
    while value < 100 {
        pairs[value] = [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8];
        value += 1;
    }
    pairs
};

/// Appends `value` in decimal, two digits in one step: seven of these are in a claim and its
/// completion.
pub fn write_integer(mut value: u64, out: &mut Vec<u8>) {
    if value < 10 {
        out.push(b'0' + value as u8);
        return;
    }
    let mut digits = [0; 20];
    let mut at = digits.len();
    while value >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[(value % 100) as usize]);
        value /= 100;
    }
    if value > 0 {
        at -= 1;
        digits[at] = b'0' + value as u8;
    }
    out.extend_from_slice(&digits[at..]);
}

/// The index; see the module's prose.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    slots: SplitTable<Slot>,
    texts: Vec<Box<[u8]>>,
    free: Vec<u32>,
    text_bytes: usize,
    /// By how much the integer id added last is ahead of its slot.
    ahead: u64,
    hasher: DefaultHashBuilder,
}

impl Ids {
    /// The id of a stored id.
    pub fn id(&self, stored: StoredId) -> Id<'_> {
        match stored {
            StoredId::Integer(id) => Id::Integer(id),
            StoredId::Text(place) => Id::Text(&self.texts[place as usize]),
        }
    }

    /// The slot of the workflow with this id. Generated ids and slots mostly grow together, so that
    /// the place where an integer would be next to the youngest is looked at first: the index of
    /// 100,000 workflows, read at random, was a twelfth of the cost of a task.
    pub fn find(&self, id: Id<'_>, workflows: &Workflows) -> Option<Slot> {
        if let Id::Integer(number) = id
            && let Ok(slot) = u32::try_from(number.wrapping_sub(self.ahead))
            && workflows.get(Slot(slot)).is_some_and(|workflow| workflow.id() == StoredId::Integer(number))
        {
            return Some(Slot(slot));
        }
        self.look_up(id, workflows)
    }

    /// Whether the index has a workflow under its id.
    pub fn is_indexed(&self, slot: Slot, workflows: &Workflows) -> bool {
        self.look_up(self.id(workflows.at(slot).id()), workflows) == Some(slot)
    }

    fn look_up(&self, id: Id<'_>, workflows: &Workflows) -> Option<Slot> {
        let same = |&slot: &Slot| self.id(workflows.at(slot).id()) == id;
        self.slots.find(self.hasher.hash_one(id), same).copied()
    }

    /// The form in which a new workflow stores its id.
    pub fn store(&mut self, id: Id<'_>) -> StoredId {
        match id {
            Id::Integer(id) => StoredId::Integer(id),
            Id::Text(text) => {
                self.text_bytes += text.len();
                StoredId::Text(match self.free.pop() {
                    Some(place) => {
                        self.texts[place as usize] = text.into();
                        place
                    }
                    None => {
                        self.texts.push(text.into());
                        self.texts.len() as u32 - 1
                    }
                })
            }
        }
    }

    /// Adds a workflow that lies in `slot` already.
    pub fn insert(&mut self, slot: Slot, workflows: &Workflows) {
        let Ids { slots, texts, hasher, .. } = self;
        let hash_of = |slot: Slot| {
            hasher.hash_one(match workflows.at(slot).id() {
                StoredId::Integer(id) => Id::Integer(id),
                StoredId::Text(place) => Id::Text(&texts[place as usize]),
            })
        };
        slots.insert(hash_of(slot), slot, |&other| hash_of(other));
        if let StoredId::Integer(id) = workflows.at(slot).id() {
            self.ahead = id.wrapping_sub(u64::from(slot.0));
        }
    }

    /// Adds all workflows to an index that has none yet, which is made large enough at once: growing
    /// with them it would read each of their ids seven times over.
    pub fn insert_all(&mut self, workflows: &Workflows) {
        self.slots = SplitTable::with_room(workflows.len());
        workflows.iter().for_each(|(slot, _)| self.insert(slot, workflows));
    }

    /// Removes a workflow that still lies in `slot`.
    pub fn remove(&mut self, slot: Slot, workflows: &Workflows) {
        let stored = workflows.at(slot).id();
        let hash = self.hasher.hash_one(self.id(stored));
        self.slots.remove(hash, |&other| other == slot);
        if let StoredId::Text(place) = stored {
            self.text_bytes -= self.texts[place as usize].len();
            self.texts[place as usize] = Box::default();
            self.free.push(place);
        }
        if self.slots.is_empty() {
            *self = Ids { hasher: self.hasher.clone(), ..Ids::default() };
        }
    }

    /// Number of ids.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.slots.heap_bytes() + self.texts.capacity() * 16 + self.text_bytes + self.free.capacity() * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_written_as_they_are() {
        for value in
            (0..20).flat_map(|power| [10u64.pow(power) - 1, 10u64.pow(power)]).chain([12_345, u64::MAX])
        {
            let mut out = b"x".to_vec();
            write_integer(value, &mut out);
            assert_eq!(out, format!("x{value}").as_bytes());
        }
    }

    #[test]
    fn only_canonical_integers_are_integers() {
        let max = super::super::limits::MAX_INTEGER_ID.to_string();
        for (text, integer) in [("0", Some(0)), ("17", Some(17)), (max.as_str(), Some(i64::MAX as u64 - 1))] {
            assert_eq!(Id::of(text.as_bytes()), Id::Integer(integer.unwrap()), "{text}");
            let mut out = Vec::new();
            Id::of(text.as_bytes()).write(&mut out);
            assert_eq!(out, text.as_bytes());
        }
        for text in ["", "017", "-1", "+1", "1 ", "9223372036854775807", "99999999999999999999", "x"] {
            assert_eq!(Id::of(text.as_bytes()), Id::Text(text.as_bytes()), "{text}");
        }
    }
}
