//! Clients whose large document is read in the background.
//!
//! Such a client is blocked like one that waits for a task (see `blocked`), and its document goes to the
//! [`reader`]. When that is done, the command runs again, with the document read: so everything that a
//! command asks of the space and of the server is asked at that moment, and either all of it happens
//! then or nothing. The client is unblocked when it has happened, and told.
//!
//! A client that goes away, or that the server unblocks, as when this server becomes a replica, takes its
//! command along: what was read for it is thrown away. While clients are paused or a failover waits, what
//! was read waits, too.
//!
//! Replicating takes a context that ends, so this happens in a timer.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use redis_module::raw;
use smallvec::SmallVec;

use super::answer;
use super::api::api;
use super::blocked::{self, Caller, Handle, Waits};
use super::grace;
use super::key::{Holds, KeyName, Mode, OpenKey, OwnedString, Target};
use super::outcomes::{self, Borrowed};
use super::perform::{Conditions, on_space};
use super::reader::{self, Order};
use super::refusal;
use super::replicate::Unit;
use super::server::{Ctx, live_time};
use super::settings;
use super::slots;
use super::wake;
use crate::commands::call::{Block, Reading};
use crate::commands::spec::Spec;
use crate::encoding::prepared::Prepared;

/// How often tasks that are added are read in vain, because their workflow changed meanwhile, before they
/// are read while everybody waits.
const TRIES: usize = 3;

const UNBLOCKED: &[u8] =
    b"UNBLOCKED nothing was changed: the client was unblocked while its document was read";
const REVOKED: &[u8] = b"NOPERM the permission to run the command was revoked while its document was read";
const FAILED: &[u8] = b"ERR nothing was changed: reading the document failed, see the server's log";

/// One client.
struct Parked {
    caller: Caller,
    spec: &'static Spec,
    /// The arguments after the key.
    args: Vec<OwnedString>,
    tries: AtomicUsize,
    /// Set when the client does not wait any more.
    unwanted: Arc<AtomicBool>,
    answer: Mutex<Option<Answer>>,
}

/// What a client is told.
enum Answer {
    /// A reply.
    Told(Borrowed),
    /// An error, as its whole line.
    Error(Vec<u8>),
}

/// A command that waits for its document. It holds the text that the thread reads, whatever becomes of the
/// client.
struct Job {
    number: u64,
    handle: Handle,
    parked: Arc<Parked>,
}

/// What running the command again came to.
enum Carried {
    Out(Answer),
    /// The document is to be read once more.
    Again(Reading),
}

/// Those whose document is with the thread, by number.
static READ: Mutex<BTreeMap<u64, Job>> = Mutex::new(BTreeMap::new());
/// Those whose document was read, in the order in which it was.
static READY: Mutex<VecDeque<(Job, Option<Prepared>)>> = Mutex::new(VecDeque::new());
static NUMBERS: AtomicU64 = AtomicU64::new(0);
/// Documents of clients that wait, and their bytes.
static COUNT: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
/// A timer has been started and has not fired.
static TIMER: AtomicBool = AtomicBool::new(false);
/// For starting timers where no context is at hand.
static DETACHED: OnceLock<Detached> = OnceLock::new();

struct Detached(*mut raw::RedisModuleCtx);

// SAFETY: used under the server's global lock only.
unsafe impl Send for Detached {}
// SAFETY: the same.
unsafe impl Sync for Detached {}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many documents are being read, or wait for that.
pub fn count() -> u64 {
    COUNT.load(Relaxed)
}

/// The bytes of all arguments of their commands.
pub fn bytes() -> u64 {
    BYTES.load(Relaxed)
}

/// Blocks the client of a command until its document has been read and the command has been carried out.
/// There is a thread to read.
pub fn block(
    ctx: &Ctx<'_>,
    target: &Target<'_>,
    spec: &'static Spec,
    argv: &[KeyName<'_>],
    reading: Reading,
) {
    // SAFETY: the context is valid; the new one is never freed.
    DETACHED.get_or_init(|| Detached(unsafe { api!(RedisModule_GetDetachedThreadSafeContext(ctx.raw())) }));
    let parked = Arc::new(Parked::new(Caller::of(ctx, target, spec, &argv[0]), spec, &argv[2..]));
    // SAFETY: this is the command of a client that may be blocked.
    let handle = unsafe { blocked::block(ctx, &target.name, 0, &parked) };
    Job { number: NUMBERS.fetch_add(1, Relaxed), handle, parked }.send(reading);
}

/// The thread has read something.
pub fn done() {
    let Some(Detached(ctx)) = DETACHED.get() else { return };
    // SAFETY: the context lives for ever.
    arm(&unsafe { Ctx::new(*ctx) });
}

/// The server's heartbeat: goes on with what had to wait, and does what a stalled timer should have done.
pub fn cron(ctx: &Ctx<'_>) {
    turn(ctx);
}

fn arm(ctx: &Ctx<'_>) {
    if !TIMER.swap(true, Relaxed) {
        ctx.start_timer(0, on_timer);
    }
}

unsafe extern "C" fn on_timer(ctx: *mut raw::RedisModuleCtx, _: *mut c_void) {
    TIMER.store(false, Relaxed);
    // SAFETY: the server's context.
    turn(&unsafe { Ctx::new(ctx) });
}

/// Carries one command out; another turn of the event loop goes on.
fn turn(ctx: &Ctx<'_>) {
    while let Some((number, prepared)) = reader::take_done() {
        let job = lock(&READ).remove(&number).expect("a job is there until its document was read");
        lock(&READY).push_back((job, prepared));
    }
    lock(&READY).retain(|(job, _)| job.is_wanted());
    if !ctx.may_work() {
        return;
    }
    let count = lock(&READY).len();
    for _ in 0..count {
        let Some((job, prepared)) = lock(&READY).pop_front() else { return };
        // The server redirects the client when the slot has moved; until then it may come back.
        if job.is_moving(ctx) {
            lock(&READY).push_back((job, prepared));
            continue;
        }
        job.finish(ctx, prepared);
        let more = !lock(&READY).is_empty();
        if more {
            arm(ctx);
        }
        return;
    }
}

impl Job {
    fn is_wanted(&self) -> bool {
        !self.parked.unwanted.load(Relaxed)
    }

    /// Lets the document be read.
    fn send(self, Reading { argument, unread }: Reading) {
        let Job { number, parked, .. } = &self;
        parked.tries.fetch_add(1, Relaxed);
        // SAFETY: the arguments live as long as the job, which stands in the table until the document
        // was read.
        let order = unsafe {
            let text = &parked.args[argument];
            Order::new(*number, text, unread, settings::current(), parked.unwanted.clone())
        };
        lock(&READ).insert(*number, self);
        reader::read(order);
    }

    /// Whether commands on the key would be sent elsewhere.
    fn is_moving(&self, ctx: &Ctx<'_>) -> bool {
        let target = self.parked.caller.target();
        ctx.select(target.db);
        let nothing = || matches!(OpenKey::open(ctx, &target.name, Mode::Look).holds(), Holds::Nothing);
        !slots::is_in_use(ctx, target.name.bytes()) || nothing() && ctx.is_moving(&target.name)
    }

    /// Carries the command out and tells the client, which waits. The database is selected.
    fn finish(self, ctx: &Ctx<'_>, prepared: Option<Prepared>) {
        let carried = match prepared {
            Some(prepared) => self.parked.carry_out(ctx, prepared),
            None => Carried::Out(Answer::Error(FAILED.to_vec())),
        };
        match carried {
            Carried::Again(reading) => self.send(reading),
            Carried::Out(answer) => {
                *lock(&self.parked.answer) = Some(answer);
                // SAFETY: the client waited until now, so the handle is valid.
                unsafe { self.handle.unblock() };
            }
        }
    }
}

impl Parked {
    fn new(caller: Caller, spec: &'static Spec, args: &[KeyName<'_>]) -> Parked {
        let parked = Parked {
            caller,
            spec,
            args: args.iter().map(OwnedString::hold).collect(),
            tries: AtomicUsize::new(0),
            unwanted: Arc::default(),
            answer: Mutex::new(None),
        };
        COUNT.fetch_add(1, Relaxed);
        BYTES.fetch_add(parked.bytes(), Relaxed);
        parked
    }

    fn bytes(&self) -> u64 {
        self.args.iter().map(|arg| arg.name().bytes().len() as u64).sum()
    }

    /// Runs the command with its document read.
    fn carry_out(&self, ctx: &Ctx<'_>, prepared: Prepared) -> Carried {
        let target = self.caller.target();
        if !self.caller.is_permitted(ctx) {
            return Carried::Out(Answer::Error(REVOKED.to_vec()));
        }
        if let Some(line) = refusal::of_more_work(ctx, &target.name) {
            return Carried::Out(Answer::Error(line));
        }
        let args: SmallVec<[&[u8]; 16]> = self.args.iter().map(|arg| arg.name().bytes()).collect();
        let conditions = Conditions {
            args: &args,
            mode: Mode::Change,
            now: live_time(),
            expire_from: Some(grace::expire_from()),
            replayed: false,
            may_block: self.tries.load(Relaxed) < TRIES,
        };
        let _unit = Unit::begin(ctx);
        let mut out = outcomes::borrow();
        let result = on_space(ctx, &target, &conditions, &mut out, |call| {
            call.prepared = Some(Box::new(prepared));
            (self.spec.run)(call)
        });
        if let Some(Block::Read(reading)) = out.block.take() {
            return Carried::Again(reading);
        }
        wake::after(ctx, &target, &out.report);
        Carried::Out(match result {
            Ok(()) => Answer::Told(out),
            Err(error) => Answer::Error(error.to_bytes()),
        })
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Relaxed);
        BYTES.fetch_sub(self.bytes(), Relaxed);
    }
}

impl Waits for Parked {
    /// The command was carried out, or CLIENT UNBLOCK ended the wait.
    fn tell(&self, ctx: &Ctx<'_>) {
        let answer = lock(&self.answer).take();
        match answer {
            Some(Answer::Told(out)) => answer::reply(ctx, &out.reply),
            Some(Answer::Error(line)) => answer::error_line(ctx, line),
            None => answer::error_line(ctx, UNBLOCKED.to_vec()),
        }
    }

    fn leave(&self) {
        self.unwanted.store(true, Relaxed);
    }
}
