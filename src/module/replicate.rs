//! The one `WF.APPLY` by which a command's effects reach the AOF and replicas, those of the claims
//! included that it wakes.
//!
//! Why one. The server writes several commands of one turn as a transaction, and when a crash tears
//! the AOF inside of a transaction, it cuts off the torn command but leaves the MULTI that began it.
//! What is appended from then on belongs to a transaction that has no end, and the next start may throw
//! all of it away, acknowledged or not. (Seen on Redis 7.0.15 and 8.2.3.) So what
//! happens to a space in one turn is gathered in a [`Unit`] where somebody waits at it, which is where
//! more than one thing can happen.
//!
//! Each argument is a string of the server's. From one command to the next most of them say the
//! same: the kind, the worker, the time within a millisecond, the priority. So the last one of each
//! place is kept and used again, which takes a push from 3,200 instructions for its ten
//! arguments to 900. The server only counts its references to them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use redis_module::raw;
use smallvec::SmallVec;

use super::api::{OK, api};
use super::key::{KeyName, OwnedString, Target};
use super::server::Ctx;

/// Arguments that are kept: those of one push and a few more.
const KEPT: usize = 16;

/// The longest that is kept; payloads and lists of tasks never come again.
const LONGEST: usize = 32;

/// An argument and what it says.
struct Kept {
    text: SmallVec<[u8; LONGEST]>,
    string: OwnedString,
}

static LAST: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

/// What has been gathered, and how many units are open: one, or others within it when another module
/// calls a command while it is told of an event.
static GATHERED: Mutex<Gathered> = Mutex::new(Gathered { depth: 0, key: None, arguments: Vec::new() });

struct Gathered {
    depth: usize,
    /// The key that the arguments belong to, and its database.
    key: Option<(i32, OwnedString)>,
    arguments: Vec<OwnedString>,
}

impl Gathered {
    /// Whether effects on a key are gathered. What other keys get inside goes out at once.
    fn takes(&self, target: &Target<'_>, more: bool) -> bool {
        match &self.key {
            Some((db, key)) => *db == target.db && key.name().bytes() == target.name.bytes(),
            None => more && self.depth == 1,
        }
    }
}

fn gathered() -> MutexGuard<'static, Gathered> {
    GATHERED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As long as it lives, effects on one space may be gathered. When it ends they are replicated, in the
/// context it was made with.
pub struct Unit<'c, 'a>(&'c Ctx<'a>);

impl<'c, 'a> Unit<'c, 'a> {
    /// Begins a unit. Whoever begins it works on a single key of the selected database until it ends.
    pub fn begin(ctx: &'c Ctx<'a>) -> Unit<'c, 'a> {
        gathered().depth += 1;
        Unit(ctx)
    }
}

impl Drop for Unit<'_, '_> {
    fn drop(&mut self) {
        let (key, arguments) = {
            let mut all = gathered();
            all.depth -= 1;
            if all.depth > 0 {
                return;
            }
            (all.key.take(), std::mem::take(&mut all.arguments))
        };
        if let Some((_, key)) = key {
            let vector: Vec<_> = arguments.iter().map(|argument| argument.name().raw()).collect();
            send(self.0, &key.name(), &vector);
        }
    }
}

/// Replicates `WF.APPLY key <arguments>`, or gathers it when `more` may follow in the open unit.
pub fn replicate<'b>(
    ctx: &Ctx<'_>,
    target: &Target<'_>,
    arguments: impl Iterator<Item = &'b [u8]>,
    more: bool,
) {
    // Not locked while the server is called.
    let mut kept = std::mem::take(&mut *LAST.lock().unwrap_or_else(PoisonError::into_inner));
    let mut others: SmallVec<[OwnedString; 4]> = SmallVec::new();
    let mut vector: SmallVec<[*mut raw::RedisModuleString; 16]> = SmallVec::new();
    for (place, argument) in arguments.enumerate() {
        let keepable = argument.len() <= LONGEST && place < KEPT && place <= kept.len();
        let new = || Kept { text: SmallVec::from_slice(argument), string: OwnedString::new(argument) };
        match kept.get_mut(place) {
            Some(last) if *last.text == *argument => {}
            Some(last) if keepable => *last = new(),
            None if keepable => kept.push(new()),
            _ => {
                let string = OwnedString::new(argument);
                vector.push(string.name().raw());
                others.push(string);
                continue;
            }
        }
        vector.push(kept[place].string.name().raw());
    }
    if gathered().takes(target, more) {
        let held: Vec<_> = vector
            .iter()
            // SAFETY: each is a string that `kept` or `others` keeps alive.
            .map(|&string| OwnedString::hold(&unsafe { KeyName::new(string) }))
            .collect();
        let mut all = gathered();
        all.key.get_or_insert_with(|| (target.db, OwnedString::hold(&target.name)));
        all.arguments.extend(held);
    } else {
        send(ctx, &target.name, &vector);
    }
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) = kept;
}

fn send(ctx: &Ctx<'_>, key: &KeyName<'_>, vector: &[*mut raw::RedisModuleString]) {
    // SAFETY: the format asks for a string and for a vector with its length, which the callers keep
    // alive. The server counts its own references to the strings.
    let status = unsafe {
        api!(RedisModule_Replicate(
            ctx.raw(),
            c"WF.APPLY".as_ptr(),
            c"sv".as_ptr(),
            key.raw(),
            vector.as_ptr(),
            vector.len(),
        ))
    };
    assert_eq!(status, OK, "WF.APPLY is registered");
}
