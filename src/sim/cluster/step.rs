//! One step of a run: who does what, and numbers from which all else follows where it is done. So a
//! step means something in any world, and any part of a run is a run.

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is answered.
    Answered,
    /// The connection is cut before the server has it.
    Unsent,
    /// The connection is cut before the answer.
    Unheard,
    /// The server's process dies after it did it and before it answered.
    Dies,
}

/// What is done. Servers and clients are numbers.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// So many milliseconds pass.
    Pass(u64),
    /// A client goes on with what it does.
    Client(usize, Fate),
    /// A client that waits goes away; the server notices or does not.
    Leave(usize, bool),
    /// A client looks who the primary is.
    Discover(usize),
    /// A server's timer fires.
    Timer(usize),
    /// So many effects, or pieces of a copy, reach a replica.
    Deliver(usize, u64),
    /// A replica's link is cut.
    Cut(usize),
    /// A replica connects to its primary; with a copy of everything it keeps what it has or drops it.
    Connect(usize, bool),
    /// A server's process dies.
    Kill(usize),
    /// A server's machine dies.
    Crash(usize),
    /// A server starts.
    Start(usize),
    /// A server stands still.
    Freeze(usize),
    /// It goes on.
    Thaw(usize),
    /// A replica is made the primary.
    Promote(usize),
    /// A server is told who the primary is.
    Follow(usize),
    /// The primary begins to hand over to a replica.
    HandOver(usize),
    /// The replica has all of it and takes over, or it is called off.
    HandedOver,
    /// A server's clock is set.
    SetClock(usize, i64),
    /// A server's file is synced.
    Sync(usize),
    /// A server begins to rewrite its file.
    Rewrite(usize),
    /// The rewrite is done.
    Rewritten(usize),
}

/// One step.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// What is done.
    pub act: Act,
    /// From which all else follows.
    pub bits: u64,
}
