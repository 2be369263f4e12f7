//! Where a server stands in the tree of all that ever happened.
//!
//! Effects are counted from 1, the count is the offset. Whoever begins to write on its own, a replica
//! that is promoted or a primary that starts from its disk, begins a branch: from the offset at which
//! it stands it shares nothing with others any more. A branch is what Redis calls a replication id.

/// A branch; 0 is the trunk on which nothing happened.
pub type Branch = usize;

/// So many effects, the last of them on this branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The branch.
    pub branch: Branch,
    /// The offset.
    pub offset: u64,
}

/// Before anything happened.
pub const NOTHING: Position = Position { branch: 0, offset: 0 };

impl Position {
    /// So many effects later.
    pub fn plus(self, effects: u64) -> Position {
        Position { offset: self.offset + effects, ..self }
    }
}

/// All branches: where each begins.
#[derive(Clone, Debug)]
pub struct Histories(Vec<Position>);

impl Default for Histories {
    fn default() -> Histories {
        Histories(vec![NOTHING])
    }
}

impl Histories {
    /// Begins a branch.
    pub fn fork(&mut self, from: Position) -> Position {
        self.0.push(self.canonical(from));
        Position { branch: self.0.len() - 1, offset: from.offset }
    }

    /// The branch that the last effect was written on: the one name of what has many.
    pub fn canonical(&self, mut at: Position) -> Position {
        while at.branch != NOTHING.branch && at.offset <= self.0[at.branch].offset {
            at = Position { offset: at.offset, branch: self.0[at.branch].branch };
        }
        at
    }

    /// Whether one who stands at `at` has been at `other`.
    pub fn has_been(&self, at: Position, other: Position) -> bool {
        let other = self.canonical(other);
        other.offset <= at.offset && self.canonical(Position { offset: other.offset, ..at }) == other
    }

    /// How many effects two have in common.
    pub fn common(&self, one: Position, other: Position) -> u64 {
        let at = |position: Position, offset| self.canonical(Position { offset, ..position });
        let most = one.offset.min(other.offset);
        (0..=most).rev().find(|&offset| at(one, offset) == at(other, offset)).unwrap_or(0)
    }

    /// All branches.
    pub fn branches(&self) -> std::ops::Range<Branch> {
        0..self.0.len()
    }
}

#[test]
fn branches_share_what_came_before_them_and_nothing_else() {
    let at = |branch, offset| Position { branch, offset };
    let mut all = Histories::default();
    let one = all.fork(NOTHING);
    let two = all.fork(one.plus(5));
    let three = all.fork(two.plus(2));
    let other = all.fork(at(1, 3));
    assert_eq!((one, two, three, other), (at(1, 0), at(2, 5), at(3, 7), at(4, 3)));
    assert_eq!(all.canonical(at(3, 4)), at(1, 4));
    assert_eq!(all.canonical(at(3, 6)), at(2, 6));
    assert_eq!(all.canonical(at(3, 8)), at(3, 8));
    assert_eq!(all.canonical(at(3, 0)), NOTHING);
    assert!(all.has_been(at(3, 9), at(1, 5)) && all.has_been(at(3, 9), at(2, 7)));
    assert!(!all.has_been(at(3, 9), at(1, 6)) && !all.has_been(at(3, 9), at(2, 8)));
    assert!(all.has_been(at(4, 9), at(1, 3)) && !all.has_been(at(4, 9), at(1, 4)));
    assert_eq!((all.common(at(3, 9), at(4, 9)), all.common(at(2, 9), at(3, 9))), (3, 7));
    assert!(!all.has_been(at(1, 3), at(1, 4)) && all.has_been(at(4, 3), at(4, 3)));
}
