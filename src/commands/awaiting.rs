//! Who waits for which workflows to end. Pure bookkeeping; the glue in `module/` holds the only
//! instance and does the blocking and answering.
//!
//! A waiter stands at one workflow at a time: one of its workflows that has not ended. When that ends
//! or is removed, the waiter is woken, which only says that somebody should look whether it is to be
//! answered or to stand at another one. So a waiter for a thousand workflows has one entry, the end of
//! a workflow finds those at it in O(1), and nobody else is looked at.
//!
//! Waking moves the whole crowd at a workflow at once; its members are then taken one by one, oldest
//! first, in as many turns as it takes.
//!
//! Rejected: counting for each waiter how many of its workflows are left. A workflow that is retried
//! would have to be counted again, and a key that is renamed, swapped or flushed takes and brings any
//! number of them.

use std::collections::{BTreeSet, VecDeque};

use hashbrown::HashMap;

use super::waiting::{Place, PlaceRef};

/// The number of an arrival: smaller came earlier. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arrival(u64);

/// Those at one workflow.
type Crowd = BTreeSet<Arrival>;

/// Everybody who waits. `W` is what the owner knows about a waiter.
#[derive(Debug)]
pub struct Awaiting<W> {
    arrivals: u64,
    places: HashMap<Place, HashMap<Box<[u8]>, Crowd>>,
    waiters: HashMap<Arrival, Waiter<W>>,
    woken: VecDeque<Crowd>,
}

#[derive(Debug)]
struct Waiter<W> {
    place: Place,
    /// The workflow it stands at; none when it is woken.
    at: Option<Box<[u8]>>,
    who: W,
}

impl<W> Default for Awaiting<W> {
    fn default() -> Awaiting<W> {
        Awaiting { arrivals: 0, places: HashMap::new(), waiters: HashMap::new(), woken: VecDeque::new() }
    }
}

impl<W> Awaiting<W> {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    /// True when nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// True when somebody stands at a workflow of this key.
    pub fn any_at(&self, place: PlaceRef<'_>) -> bool {
        !self.places.is_empty() && self.places.contains_key(&place)
    }

    /// True when somebody may be woken.
    pub fn any_woken(&self) -> bool {
        !self.woken.is_empty()
    }

    /// Lets somebody wait at a workflow.
    pub fn enrol(&mut self, place: PlaceRef<'_>, workflow: &[u8], who: W) -> Arrival {
        let arrival = Arrival(self.arrivals);
        self.arrivals += 1;
        self.waiters.insert(arrival, Waiter { place: place.own(), at: None, who });
        self.stand_at(arrival, workflow);
        arrival
    }

    /// Somebody who is woken stands at a workflow again.
    pub fn stand_at(&mut self, arrival: Arrival, workflow: &[u8]) {
        let Some(waiter) = self.waiters.get_mut(&arrival) else { return };
        debug_assert_eq!(waiter.at, None);
        waiter.at = Some(workflow.into());
        let crowds = match self.places.get_mut(&waiter.place) {
            Some(crowds) => crowds,
            None => self.places.entry(waiter.place.clone()).or_default(),
        };
        match crowds.get_mut(workflow) {
            Some(crowd) => crowd.insert(arrival),
            None => crowds.entry(workflow.into()).or_default().insert(arrival),
        };
    }

    /// Forgets a waiter; `None` when it does not wait (any more).
    pub fn remove(&mut self, arrival: Arrival) -> Option<W> {
        let Waiter { place, at, who } = self.waiters.remove(&arrival)?;
        if let (Some(workflow), Some(crowds)) = (at, self.places.get_mut(&place)) {
            if let Some(crowd) = crowds.get_mut(&workflow) {
                crowd.remove(&arrival);
                if crowd.is_empty() {
                    crowds.remove(&workflow);
                }
            }
            if crowds.is_empty() {
                self.places.remove(&place);
            }
        }
        Some(who)
    }

    /// A workflow ended or was removed: wakes those at it.
    pub fn wake(&mut self, place: PlaceRef<'_>, workflow: &[u8]) {
        let Some(crowds) = self.places.get_mut(&place) else { return };
        self.woken.extend(crowds.remove(workflow));
        if crowds.is_empty() {
            self.places.remove(&place);
        }
    }

    /// Anything may have happened at a key: wakes all who stand there.
    pub fn wake_all_at(&mut self, place: PlaceRef<'_>) {
        self.woken.extend(self.places.remove(&place).into_iter().flat_map(HashMap::into_values));
    }

    /// Anything may have happened at some keys: wakes all who stand there.
    pub fn wake_where(&mut self, mut wanted: impl FnMut(&Place) -> bool) {
        let woken = &mut self.woken;
        self.places.retain(|place, crowds| {
            let gone = wanted(place);
            if gone {
                woken.extend(crowds.drain().map(|(_, crowd)| crowd));
            }
            !gone
        });
    }

    /// Takes the next who is woken. It stands nowhere until [`Awaiting::stand_at`] or
    /// [`Awaiting::remove`].
    pub fn next_woken(&mut self) -> Option<(Arrival, &W)> {
        let arrival = loop {
            let crowd = self.woken.front_mut()?;
            match crowd.pop_first() {
                None => drop(self.woken.pop_front()),
                Some(arrival) if self.waiters.contains_key(&arrival) => break arrival,
                // It went away meanwhile.
                Some(_) => {}
            }
        };
        if self.woken.front().is_some_and(Crowd::is_empty) {
            self.woken.pop_front();
        }
        let waiter = self.waiters.get_mut(&arrival)?;
        waiter.at = None;
        Some((arrival, &waiter.who))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: PlaceRef<'static> = PlaceRef { db: 0, key: b"jobs" };
    const THERE: PlaceRef<'static> = PlaceRef { db: 1, key: b"jobs" };

    fn woken(awaiting: &mut Awaiting<&'static str>) -> Vec<&'static str> {
        let mut names = Vec::new();
        while let Some((arrival, _)) = awaiting.next_woken() {
            names.extend(awaiting.remove(arrival));
        }
        names
    }

    #[test]
    fn the_end_of_a_workflow_wakes_those_at_it_in_order_of_arrival() {
        let mut awaiting = Awaiting::default();
        awaiting.enrol(HERE, b"1", "first");
        awaiting.enrol(HERE, b"2", "other");
        awaiting.enrol(THERE, b"1", "elsewhere");
        awaiting.enrol(HERE, b"1", "second");
        assert!(!awaiting.any_woken());
        awaiting.wake(HERE, b"3");
        awaiting.wake(HERE, b"1");
        awaiting.wake(HERE, b"1");
        assert_eq!(woken(&mut awaiting), ["first", "second"]);
        assert!(!awaiting.any_woken());
        assert_eq!(awaiting.len(), 2);
        awaiting.wake_where(|place| place.db == 1);
        assert_eq!(woken(&mut awaiting), ["elsewhere"]);
        assert!(awaiting.any_at(HERE) && !awaiting.any_at(THERE));
    }

    #[test]
    fn who_is_woken_can_stand_somewhere_again_and_keeps_its_turn() {
        let mut awaiting = Awaiting::default();
        let old = awaiting.enrol(HERE, b"1", "old");
        awaiting.enrol(HERE, b"2", "young");
        awaiting.wake(HERE, b"1");
        assert_eq!(awaiting.next_woken().map(|(arrival, who)| (arrival, *who)), Some((old, "old")));
        awaiting.stand_at(old, b"2");
        awaiting.wake(HERE, b"2");
        assert_eq!(woken(&mut awaiting), ["old", "young"]);
        assert!(awaiting.is_empty() && awaiting.places.is_empty());
    }

    #[test]
    fn who_goes_away_leaves_nothing_wherever_it_stood() {
        let mut awaiting = Awaiting::default();
        let [at, woken_up, taken] = [b"1", b"2", b"3"].map(|id| awaiting.enrol(HERE, id, "who"));
        awaiting.wake(HERE, b"3");
        assert!(awaiting.next_woken().is_some());
        awaiting.wake(HERE, b"2");
        for arrival in [at, woken_up, taken] {
            assert_eq!(awaiting.remove(arrival), Some("who"));
            assert_eq!(awaiting.remove(arrival), None);
        }
        assert!(awaiting.is_empty() && awaiting.places.is_empty());
        assert!(awaiting.next_woken().is_none() && !awaiting.any_woken());
    }
}
