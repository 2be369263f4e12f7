//! The disk of a server: a snapshot and the effects after it, as bytes, of which some are only in the
//! memory of the system.
//!
//! What a crash leaves is read back as the server does it: a frame that is not whole ends the file.

use super::history::{NOTHING, Position};
use crate::encoding::snapshot;
use crate::engine::space::Space;
use crate::sim::serving::{Key, load, save};

/// What one command did, as it reaches replicas and the file: a command and its arguments.
pub type Frame = Vec<Vec<u8>>;

/// A space in bytes, and where it stood. Chunks are frames, so that a file is read in one way.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Where it stood.
    pub at: Position,
    /// It; empty where there was no key.
    pub chunks: Vec<Vec<u8>>,
}

impl Snapshot {
    /// Of a key.
    pub fn of(key: &Key, at: Position) -> Snapshot {
        Snapshot { at, chunks: key.as_deref().map_or_else(Vec::new, save) }
    }

    /// The key, read as from an RDB file or, every other time, as from a file of commands.
    pub fn key(&self) -> Result<Key, String> {
        match self.chunks.is_empty() {
            true => Ok(None),
            false if self.at.offset.is_multiple_of(2) => load(&self.chunks).map(Some),
            false => {
                let mut space: Box<Space> = Box::default();
                let mut taken = self.chunks.iter().map(|chunk| snapshot::take_chunk(&mut space, chunk));
                taken.try_for_each(|taken| taken).map_err(|error| format!("{error:?}"))?;
                Ok(Some(space))
            }
        }
    }
}

/// A file that is being rewritten.
#[derive(Clone, Debug)]
struct Rewriting {
    snapshot: Snapshot,
    /// Where its effects begin.
    from: usize,
}

/// The disk.
#[derive(Clone, Debug)]
pub struct Disk {
    base: Snapshot,
    tail: Vec<u8>,
    /// So much of the tail survives the machine.
    synced: usize,
    rewriting: Option<Rewriting>,
}

impl Default for Disk {
    fn default() -> Disk {
        Disk {
            base: Snapshot { at: NOTHING, chunks: Vec::new() },
            tail: Vec::new(),
            synced: 0,
            rewriting: None,
        }
    }
}

impl Disk {
    /// Effects are written, after which the server stands there.
    pub fn append(&mut self, frame: &Frame, after: Position) {
        encode(frame, after, &mut self.tail);
    }

    /// What was written survives the machine.
    pub fn sync(&mut self) {
        self.synced = self.tail.len();
    }

    /// How many bytes could be lost with the machine.
    pub fn unsynced(&self) -> usize {
        self.tail.len() - self.synced
    }

    /// All is of another history now: a snapshot that was received, synced.
    pub fn start_over(&mut self, snapshot: Snapshot) {
        *self = Disk { base: snapshot, ..Disk::default() };
    }

    /// A rewrite begins.
    pub fn rewrite(&mut self, snapshot: Snapshot) {
        self.rewriting = Some(Rewriting { snapshot, from: self.tail.len() });
    }

    /// Whether a rewrite is under way.
    pub fn is_rewriting(&self) -> bool {
        self.rewriting.is_some()
    }

    /// The rewrite is done: the new files are synced and take the place of the old ones.
    pub fn rewritten(&mut self) {
        if let Some(Rewriting { snapshot, from }) = self.rewriting.take() {
            self.base = snapshot;
            self.tail.drain(..from);
            self.sync();
        }
    }

    /// The machine stops, and this many of the bytes that were not synced are left.
    pub fn lose(&mut self, left: usize) {
        self.tail.truncate(self.synced + left);
        self.rewriting = None;
    }

    /// The process stops in the middle of its last write, of which this many bytes are left; `None`:
    /// after it.
    pub fn stop(&mut self, before: usize, left: Option<usize>) {
        if let Some(left) = left {
            self.tail.truncate(before + left);
        }
        self.rewriting = None;
    }

    /// How long the tail is, in bytes.
    pub fn len(&self) -> usize {
        self.tail.len()
    }

    /// Reads it all: the snapshot, and each whole frame after it. What is left of a torn one goes, and its
    /// length is the last of the reply.
    pub fn read(&mut self) -> (Snapshot, Vec<(Frame, Position)>, usize) {
        let mut frames = Vec::new();
        let mut rest = &self.tail[..];
        while let Some((frame, after, left)) = decode(rest) {
            frames.push((frame, after));
            rest = left;
        }
        let torn = rest.len();
        self.tail.truncate(self.tail.len() - torn);
        self.sync();
        (self.base.clone(), frames, torn)
    }

    /// Forgets the last whole effect: a fault that only a planted one makes.
    pub fn forget_last(&mut self) {
        let (_, frames, _) = self.read();
        self.tail.clear();
        for (frame, after) in &frames[..frames.len().saturating_sub(1)] {
            encode(frame, *after, &mut self.tail);
        }
        self.sync();
    }
}

/// A length, the position, and each argument with its length.
fn encode(frame: &Frame, after: Position, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend([0; 4]);
    out.extend((after.branch as u32).to_le_bytes());
    out.extend(after.offset.to_le_bytes());
    for word in frame {
        out.extend((word.len() as u32).to_le_bytes());
        out.extend(word);
    }
    let len = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*number) as usize, rest))
}

/// One frame and the rest; `None` where there is no whole one.
fn decode(bytes: &[u8]) -> Option<(Frame, Position, &[u8])> {
    let (len, rest) = number(bytes)?;
    let (body, rest) = rest.split_at_checked(len)?;
    let (branch, body) = number(body)?;
    let (offset, mut body) = body.split_first_chunk::<8>()?;
    let mut frame = Frame::new();
    while !body.is_empty() {
        let (len, after) = number(body)?;
        let (word, after) = after.split_at_checked(len)?;
        frame.push(word.to_vec());
        body = after;
    }
    Some((frame, Position { branch, offset: u64::from_le_bytes(*offset) }, rest))
}

#[test]
fn a_torn_tail_ends_at_its_last_whole_frame() {
    let frame = |text: &str| vec![b"WF.APPLY".to_vec(), text.as_bytes().to_vec(), Vec::new()];
    let at = |offset| Position { branch: 3, offset };
    let mut disk = Disk::default();
    disk.append(&frame("one"), at(1));
    disk.sync();
    let synced = disk.len();
    disk.append(&frame("two"), at(2));
    let whole = disk.unsynced();
    for left in 0..=whole {
        let mut torn = disk.clone();
        torn.lose(left);
        let (_, frames, rest) = torn.read();
        let expected = if left == whole { 2 } else { 1 };
        assert_eq!((frames.len(), rest), (expected, if left == whole { 0 } else { left }));
        assert_eq!(frames[0], (frame("one"), at(1)));
        assert_eq!(torn.len(), if left == whole { synced + whole } else { synced });
    }
    disk.rewrite(Snapshot { at: at(2), chunks: Vec::new() });
    disk.append(&frame("three"), at(3));
    let mut stopped = disk.clone();
    stopped.stop(0, None);
    assert_eq!(stopped.read().1.len(), 3, "the old files are whole until the new ones are");
    disk.rewritten();
    let (base, frames, _) = disk.read();
    assert_eq!((base.at, frames), (at(2), vec![(frame("three"), at(3))]));
}
