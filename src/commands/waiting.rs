//! Who waits for which tasks, in order of arrival. Pure bookkeeping; the glue in `module/` holds
//! the only instance and does the blocking and waking.
//!
//! Waiters queue by place (database and key), there by task type, there by how urgent a task must
//! be for them (`MAXPRIORITY`). A waiter for several types stands in the queue of each, one for
//! any type in a queue of its own. The oldest waiter that can take a task of a given type and
//! priority is then the older of two queue heads: found in O(log n), whoever else waits.
//!
//! Rejected: asking every waiter of the key in turn, as the server does for its own blocked
//! clients. With 8,000 waiters that costs milliseconds for every task that becomes ready.

use std::collections::BTreeSet;

use hashbrown::{Equivalent, HashMap};

use crate::engine::limits::MAX_PRIORITY;

/// A key of a database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The database.
    pub db: i32,
    /// The name of the key.
    pub key: Box<[u8]>,
}

/// A [`Place`] to look up, without owning its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlaceRef<'a> {
    /// The database.
    pub db: i32,
    /// The name of the key.
    pub key: &'a [u8],
}

impl Place {
    /// The same, borrowed.
    pub fn view(&self) -> PlaceRef<'_> {
        PlaceRef { db: self.db, key: &self.key }
    }
}

impl PlaceRef<'_> {
    /// The same, owned.
    pub fn own(self) -> Place {
        Place { db: self.db, key: self.key.into() }
    }
}

impl Equivalent<Place> for PlaceRef<'_> {
    fn equivalent(&self, place: &Place) -> bool {
        self.db == place.db && *self.key == *place.key
    }
}

/// The number of an arrival: smaller came earlier. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// What a waiter can take.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    /// These types; empty: any type.
    pub types: &'a [Box<[u8]>],
    /// Tasks at least as urgent as this (lower is more urgent); `None`: all.
    pub max_priority: Option<u32>,
}

/// Everybody who waits. `W` is what the owner knows about a waiter.
#[derive(Debug)]
pub struct Waiting<W> {
    arrivals: u64,
    places: HashMap<Place, Queues>,
    waiters: HashMap<Ticket, Waiter<W>>,
}

#[derive(Debug)]
struct Waiter<W> {
    place: Place,
    types: Box<[Box<[u8]>]>,
    max_priority: u32,
    who: W,
}

/// The queues of one key.
#[derive(Debug, Default)]
struct Queues {
    any: Queue,
    by_type: HashMap<Box<[u8]>, Queue>,
}

impl<W> Default for Waiting<W> {
    fn default() -> Waiting<W> {
        Waiting { arrivals: 0, places: HashMap::new(), waiters: HashMap::new() }
    }
}

impl<W> Waiting<W> {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    /// True when nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// True when somebody waits at this key.
    pub fn any_at(&self, place: PlaceRef<'_>) -> bool {
        !self.places.is_empty() && self.places.contains_key(&place)
    }

    /// The keys at which somebody waits.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.keys()
    }

    /// Lets somebody wait.
    pub fn enrol(&mut self, place: PlaceRef<'_>, wish: Wish<'_>, who: W) -> Ticket {
        let ticket = Ticket(self.arrivals);
        self.arrivals += 1;
        let max_priority = wish.max_priority.unwrap_or(MAX_PRIORITY).min(MAX_PRIORITY);
        let mut types = wish.types.to_vec();
        types.sort();
        types.dedup();
        let queues = self.places.entry(place.own()).or_default();
        if types.is_empty() {
            queues.any.insert(max_priority, ticket);
        }
        for name in &types {
            queues.by_type.entry(name.clone()).or_default().insert(max_priority, ticket);
        }
        let types = types.into_boxed_slice();
        self.waiters.insert(ticket, Waiter { place: place.own(), types, max_priority, who });
        ticket
    }

    /// Forgets a waiter; `None` when it does not wait (any more).
    pub fn remove(&mut self, ticket: Ticket) -> Option<W> {
        let Waiter { place, types, max_priority, who } = self.waiters.remove(&ticket)?;
        if let Some(queues) = self.places.get_mut(&place) {
            if types.is_empty() {
                queues.any.remove(max_priority, ticket);
            }
            for name in &types {
                if let Some(queue) = queues.by_type.get_mut(name) {
                    queue.remove(max_priority, ticket);
                    if queue.is_empty() {
                        queues.by_type.remove(name);
                    }
                }
            }
            if queues.any.is_empty() && queues.by_type.is_empty() {
                self.places.remove(&place);
            }
        }
        Some(who)
    }

    /// A waiter.
    pub fn get(&self, ticket: Ticket) -> Option<&W> {
        self.waiters.get(&ticket).map(|waiter| &waiter.who)
    }

    /// The oldest waiter at this key that can take a task of this type and priority.
    pub fn oldest(&self, place: PlaceRef<'_>, task_type: &[u8], priority: u32) -> Option<Ticket> {
        let queues = self.places.get(&place)?;
        let of_any = queues.any.oldest(priority);
        let of_type = queues.by_type.get(task_type).and_then(|queue| queue.oldest(priority));
        of_any.into_iter().chain(of_type).min()
    }
}

/// The waiters of one type, oldest first. Almost all take a task of any priority and stand in
/// `all`; the others stand in `limited`.
#[derive(Debug, Default)]
struct Queue {
    all: BTreeSet<Ticket>,
    limited: Limited,
}

impl Queue {
    fn insert(&mut self, max_priority: u32, ticket: Ticket) {
        if max_priority == MAX_PRIORITY {
            self.all.insert(ticket);
        } else {
            self.limited.insert(max_priority, ticket);
        }
    }

    fn remove(&mut self, max_priority: u32, ticket: Ticket) {
        if max_priority == MAX_PRIORITY {
            self.all.remove(&ticket);
        } else {
            self.limited.remove(max_priority, ticket);
        }
    }

    fn is_empty(&self) -> bool {
        self.all.is_empty() && self.limited.oldest_of.is_empty()
    }

    fn oldest(&self, priority: u32) -> Option<Ticket> {
        let all = self.all.first().copied();
        all.into_iter().chain(self.limited.oldest(priority)).min()
    }
}

/// Waiters with a MAXPRIORITY: a binary tree over the 24 bits of a priority. Each inner node
/// knows the oldest waiter below it, so "the oldest with a limit of at least p" looks at one node
/// a level. Only nodes with somebody below them exist.
#[derive(Debug, Default)]
struct Limited {
    leaves: HashMap<u32, BTreeSet<Ticket>>,
    oldest_of: HashMap<Node, Ticket>,
}

/// A node: `level` bits have been cut off the priorities below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Node {
    level: u32,
    prefix: u32,
}

const LEVELS: u32 = MAX_PRIORITY.count_ones();

impl Node {
    fn above(priority: u32, level: u32) -> Node {
        Node { level, prefix: priority >> level }
    }

    fn sibling(self) -> Node {
        Node { prefix: self.prefix ^ 1, ..self }
    }

    fn is_left(self) -> bool {
        self.prefix & 1 == 0
    }
}

impl Limited {
    fn insert(&mut self, limit: u32, ticket: Ticket) {
        self.leaves.entry(limit).or_default().insert(ticket);
        self.refresh(limit);
    }

    fn remove(&mut self, limit: u32, ticket: Ticket) {
        if let Some(leaf) = self.leaves.get_mut(&limit) {
            leaf.remove(&ticket);
            if leaf.is_empty() {
                self.leaves.remove(&limit);
            }
            self.refresh(limit);
        }
    }

    /// Makes the nodes from a leaf to the root right again, as far up as anything changes.
    fn refresh(&mut self, limit: u32) {
        let mut oldest = self.leaves.get(&limit).and_then(|leaf| leaf.first().copied());
        for level in 0..=LEVELS {
            let node = Node::above(limit, level);
            let before = match oldest {
                Some(ticket) => self.oldest_of.insert(node, ticket),
                None => self.oldest_of.remove(&node),
            };
            if before == oldest {
                return;
            }
            let beside = self.oldest_of.get(&node.sibling()).copied();
            oldest = oldest.into_iter().chain(beside).min();
        }
    }

    fn oldest(&self, priority: u32) -> Option<Ticket> {
        if self.oldest_of.is_empty() {
            return None;
        }
        let mut oldest = self.oldest_of.get(&Node::above(priority, 0)).copied();
        for level in 0..LEVELS {
            let node = Node::above(priority, level);
            if node.is_left() {
                let right = self.oldest_of.get(&node.sibling()).copied();
                oldest = oldest.into_iter().chain(right).min();
            }
        }
        oldest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: PlaceRef<'static> = PlaceRef { db: 0, key: b"jobs" };

    fn wish<'a>(types: &'a [Box<[u8]>], max_priority: Option<u32>) -> Wish<'a> {
        Wish { types, max_priority }
    }

    fn names(list: &[&str]) -> Vec<Box<[u8]>> {
        list.iter().map(|name| name.as_bytes().into()).collect()
    }

    #[test]
    fn the_oldest_that_can_take_it_is_found() {
        let mut waiting = Waiting::default();
        let urgent_only = waiting.enrol(HERE, wish(&names(&["a"]), Some(10)), "urgent only");
        let b_or_a = waiting.enrol(HERE, wish(&names(&["b", "a", "b"]), None), "b or a");
        let any = waiting.enrol(HERE, wish(&[], None), "any");
        assert_eq!(waiting.oldest(HERE, b"a", 10), Some(urgent_only));
        assert_eq!(waiting.oldest(HERE, b"a", 11), Some(b_or_a));
        assert_eq!(waiting.oldest(HERE, b"c", 11), Some(any));
        assert_eq!(waiting.oldest(PlaceRef { db: 1, ..HERE }, b"c", 11), None);
        assert_eq!(waiting.remove(b_or_a), Some("b or a"));
        assert_eq!(waiting.remove(b_or_a), None);
        assert_eq!(waiting.oldest(HERE, b"a", 11), Some(any));
    }

    #[test]
    fn nothing_is_left_when_all_have_gone() {
        let mut waiting = Waiting::default();
        let tickets = [
            waiting.enrol(HERE, wish(&names(&["a", "b"]), Some(3)), ()),
            waiting.enrol(HERE, wish(&names(&["a"]), Some(MAX_PRIORITY + 7)), ()),
            waiting.enrol(HERE, wish(&[], Some(0)), ()),
        ];
        assert!(waiting.any_at(HERE));
        for ticket in tickets {
            waiting.remove(ticket);
        }
        assert!(waiting.is_empty() && waiting.places.is_empty());
        assert!(!waiting.any_at(HERE));
    }

    /// A long random life, compared after each step with a list that is searched from the front.
    #[test]
    fn it_agrees_with_a_naive_list() {
        type Naive = Vec<(Ticket, i32, Vec<Box<[u8]>>, Option<u32>)>;
        let limits = [None, Some(0), Some(5), Some(6), Some(100), Some(MAX_PRIORITY - 1)];
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut draw = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        let mut waiting = Waiting::default();
        let mut naive: Naive = Vec::new();
        for step in 0..20_000 {
            if draw(2) == 0 || naive.is_empty() {
                let db = draw(2) as i32;
                let types: Vec<_> = (0..draw(4)).map(|_| names(&["a", "b", "c"])[draw(3)].clone()).collect();
                let max_priority = match draw(8) {
                    0 => Some(draw(1 << 24) as u32),
                    n => limits[n % limits.len()],
                };
                let place = PlaceRef { db, ..HERE };
                let ticket = waiting.enrol(place, wish(&types, max_priority), step);
                naive.push((ticket, db, types, max_priority));
            } else {
                let (ticket, ..) = naive.remove(draw(naive.len().min(40)));
                assert!(waiting.remove(ticket).is_some());
            }
            assert_eq!(waiting.len(), naive.len());
            let (db, name) = (draw(2) as i32, [b"a", b"b", b"d"][draw(3)]);
            let priority = [0, 5, 6, 7, 99, MAX_PRIORITY, draw(1 << 24) as u32][draw(7)];
            let expected = naive.iter().find(|(_, at, types, max_priority)| {
                *at == db
                    && (types.is_empty() || types.iter().any(|one| **one == *name))
                    && max_priority.is_none_or(|limit| priority <= limit)
            });
            let found = waiting.oldest(PlaceRef { db, ..HERE }, name, priority);
            assert_eq!(found, expected.map(|(ticket, ..)| *ticket), "step {step}");
        }
    }
}
