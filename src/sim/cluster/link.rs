//! The link from a primary to a replica: what is in flight, and the copy of everything with which a
//! replica begins that has nothing to go on from.

use super::disk::{Frame, Snapshot};
use super::history::Position;
use std::collections::VecDeque;

/// A replica's link. Effects on it carry no offset: as with Redis, the replica counts what it gets.
#[derive(Clone, Debug, Default)]
pub enum Link {
    /// There is none.
    #[default]
    Cut,
    /// A snapshot is on its way, and behind it what has happened since.
    Copying {
        /// From which server.
        from: usize,
        /// What is on its way.
        snapshot: Snapshot,
        /// Pieces of it that have not arrived.
        left: u64,
        /// Its second history.
        second: Option<Position>,
        /// What comes behind it.
        behind: VecDeque<Frame>,
    },
    /// Effects are on their way.
    Streaming {
        /// From which server.
        from: usize,
        /// What is on its way.
        queue: VecDeque<Frame>,
    },
}

impl Link {
    /// The server at its other end.
    pub fn from(&self) -> Option<usize> {
        match self {
            Link::Cut => None,
            Link::Copying { from, .. } | Link::Streaming { from, .. } => Some(*from),
        }
    }

    /// The primary sends something.
    pub fn send(&mut self, frame: &Frame) {
        match self {
            Link::Cut => {}
            Link::Copying { behind: queue, .. } | Link::Streaming { queue, .. } => {
                queue.push_back(frame.clone());
            }
        }
    }

    /// The primary ended before it had sent the last.
    pub fn unsend(&mut self) {
        match self {
            Link::Cut => {}
            Link::Copying { behind: queue, .. } | Link::Streaming { queue, .. } => drop(queue.pop_back()),
        }
    }
}
