//! Clients that wait for workflows to end: who is answered after each step, and what.
//!
//! The module's own bookkeeping hears only which workflows ended, and looks only at those who stand at
//! one of them. The model asks of everybody, after every step, whether all its workflows have ended.
//! The two must answer the same clients.

use super::model::Model;
use super::step::Step;
use super::tally::Tally;
use super::tree;
use super::world::World;
use crate::commands::awaiting::{Arrival, Awaiting};
use crate::commands::wait::{self, Standing, Wait};
use crate::commands::waiting::PlaceRef;
use crate::engine::space::Space;

const HERE: PlaceRef<'static> = PlaceRef { db: 0, key: b"k" };

/// Those who wait.
#[derive(Default)]
pub struct Awaited {
    all: Awaiting<()>,
    waits: Vec<(Arrival, Wait)>,
}

impl Awaited {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.waits.len()
    }

    /// Lets a client wait.
    pub fn enrol(&mut self, wait: Wait) {
        let arrival = self.all.enrol(HERE, &wait.ids[wait.open], ());
        self.waits.push((arrival, wait));
    }

    /// Wakes those at workflows that ended.
    pub fn wake(&mut self, ended: &[Box<[u8]>]) {
        ended.iter().for_each(|id| self.all.wake(HERE, id));
    }

    /// Wakes everybody: another value, or none, is at the key.
    pub fn wake_all(&mut self) {
        self.all.wake_all_at(HERE);
    }

    /// A client stops waiting.
    pub fn leave(&mut self, nth: usize) -> Wait {
        let (arrival, wait) = self.waits.remove(nth);
        self.all.remove(arrival);
        wait
    }

    /// Looks at all who are woken; gives those who are answered.
    fn look(&mut self, space: Option<&Space>, tally: &mut Tally) -> Vec<(Arrival, Wait)> {
        let mut answered = Vec::new();
        while let Some((arrival, ())) = self.all.next_woken() {
            let nth = self.waits.iter().position(|(other, _)| *other == arrival).expect("it waits");
            let wait = &mut self.waits[nth].1;
            match wait::standing(space, &wait.ids, wait.open) {
                Standing::Open(at) => {
                    let what = if at == wait.open { "goes on: the same one" } else { "goes on" };
                    tally.waited(what);
                    wait.open = at;
                    self.all.stand_at(arrival, &wait.ids[at]);
                }
                Standing::Ended { .. } => {
                    self.all.remove(arrival);
                    answered.push(self.waits.remove(nth));
                }
            }
        }
        answered
    }
}

/// Answers all whose workflows have ended, and nobody else.
pub fn answer(world: &mut World, step: &Step) -> Result<(), String> {
    let expected = |model: &Model, wait: &Wait| model.have_ended(&ids(wait));
    let due = world.awaited.waits.iter().filter(|(_, wait)| expected(&world.model, wait));
    let mut due: Vec<Arrival> = due.map(|(arrival, _)| *arrival).collect();
    let answered = world.awaited.look(world.primary.as_deref(), &mut world.tally);
    let mut found: Vec<Arrival> = answered.iter().map(|(arrival, _)| *arrival).collect();
    due.sort_unstable();
    found.sort_unstable();
    if due != found {
        return Err(format!("of those who wait for workflows {due:?} are to be answered, not {found:?}"));
    }
    for (_, wait) in answered {
        let removed = wait.ids.iter().any(|id| world.model.find(id).is_none());
        world.tally.waited(match (wait.ids.len(), removed) {
            (_, true) => "answered: removed",
            (1, false) => "answered",
            _ => "answered: several",
        });
        tell(world, &wait, step)?;
    }
    Ok(())
}

/// A client is told how its workflows stand.
pub fn tell(world: &mut World, wait: &Wait, step: &Step) -> Result<(), String> {
    let told = world.ask(step, |call| wait::answer(&wait.ids, call))?;
    match tree::difference(&world.model.became(&ids(wait)), &tree::read(&told)?) {
        None => Ok(()),
        Some(difference) => Err(format!("who waited is told{difference}")),
    }
}

fn ids(wait: &Wait) -> Vec<Vec<u8>> {
    wait.ids.iter().map(|id| id.to_vec()).collect()
}
