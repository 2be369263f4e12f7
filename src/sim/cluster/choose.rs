//! What is done next: random, but so that servers come back and links are made again often enough.

use super::client::{OPERATOR, PUSHERS, WORKERS};
use super::link::Link;
use super::node::{Power, Role};
use super::step::{Act, Fate, Step};
use super::world::World;
use crate::sim::random::Random;

/// A source of steps: numbers, and of two hundred steps how many bring trouble.
pub struct Source(Random, u64);

impl Source {
    /// From a seed.
    pub fn new(seed: u64) -> Source {
        let mut random = Random::new(seed);
        let trouble = *random.pick(&[8, 20, 40]);
        Source(random, trouble)
    }

    /// The next step in this world.
    pub fn next(&mut self, world: &World) -> Step {
        let act = self.act(world);
        Step { act, bits: self.0.bits() }
    }

    fn act(&mut self, world: &World) -> Act {
        let random = &mut self.0;
        let node = random.below(world.nodes.len() as u64) as usize;
        match random.below(190 + self.1) {
            0..110 => Act::Client(self.somebody(), self.fate()),
            110..126 => Act::Pass(self.time()),
            126..132 => Act::Timer(if random.one_in(4) { node } else { world.official }),
            132..152 => Act::Deliver(node, 1 + random.below(6)),
            152..155 => Act::Leave(PUSHERS + random.below(WORKERS as u64) as usize, random.one_in(3)),
            155..157 => Act::Discover(self.somebody()),
            157..160 => Act::Sync(node),
            160..163 => Act::Rewrite(node),
            163..166 => Act::Rewritten(node),
            166..170 => {
                let most = *random.pick(&[800, 10_000, 4_000_000]);
                let by = 1 + random.below(most) as i64;
                Act::SetClock(node, if random.one_in(2) { by } else { -by })
            }
            170..174 => Act::Cut(node),
            174..184 => Act::Connect(node, !random.one_in(3)),
            184..187 => Act::Thaw(node),
            187..190 if world.handing.is_some() => Act::HandedOver,
            187..190 => Act::HandOver(node),
            _ => self.trouble(world, node),
        }
    }

    /// What is wrong is mended, or something else goes wrong.
    fn trouble(&mut self, world: &World, n: usize) -> Act {
        let random = &mut self.0;
        let node = &world.nodes[n];
        if world.handing.is_some() && random.one_in(2) {
            return Act::HandedOver;
        }
        match node.power {
            Power::Down if n == world.official && random.one_in(2) => return Act::Promote(self.best(world)),
            Power::Down => return Act::Start(n),
            Power::Frozen if n == world.official && random.one_in(2) => {
                return Act::Promote(self.best(world));
            }
            Power::Frozen => return Act::Thaw(n),
            Power::Up => {}
        }
        if n != world.official && node.role != Role::Replica(world.official) && random.one_in(3) {
            return Act::Follow(n);
        }
        match (node.role, &node.link) {
            (Role::Replica(_), Link::Cut) if !random.one_in(6) => Act::Connect(n, !random.one_in(3)),
            (Role::Replica(_), _) => match random.below(12) {
                0..4 => Act::Cut(n),
                4 => Act::Kill(n),
                5 => Act::Crash(n),
                6 => Act::Freeze(n),
                7..9 => Act::Promote(n),
                _ => Act::HandOver(n),
            },
            (Role::Primary, _) => match random.below(10) {
                0 => Act::Kill(n),
                1..3 => Act::Crash(n),
                3..5 => Act::Freeze(n),
                5 => Act::Promote(self.best(world)),
                _ => Act::Pass(self.time()),
            },
        }
    }

    /// The replica that has most, mostly.
    fn best(&mut self, world: &World) -> usize {
        let random = &mut self.0;
        let any = random.below(world.nodes.len() as u64) as usize;
        if random.one_in(3) {
            return any;
        }
        let replicas = (0..world.nodes.len()).filter(|&n| world.nodes[n].is_replica());
        replicas.max_by_key(|&n| world.nodes[n].at.offset).unwrap_or(any)
    }

    fn somebody(&mut self) -> usize {
        let random = &mut self.0;
        match random.below(16) {
            0..3 => random.below(PUSHERS as u64) as usize,
            3..13 => PUSHERS + random.below(WORKERS as u64) as usize,
            _ => OPERATOR,
        }
    }

    fn fate(&mut self) -> Fate {
        match self.0.below(40) {
            0 => Fate::Unsent,
            1..4 => Fate::Unheard,
            4 if self.0.one_in(2) => Fate::Dies,
            _ => Fate::Answered,
        }
    }

    fn time(&mut self) -> u64 {
        let random = &mut self.0;
        match random.below(20) {
            0 => random.below(20_000),
            1..5 => random.below(2_500),
            5..12 => random.below(400),
            _ => random.below(60),
        }
    }
}
