//! The one `WF.APPLY` by which a command's effects reach the AOF and replicas.
//!
//! Each argument is a string of the server's. From one command to the next most of them say the
//! same: the kind, the worker, the time within a millisecond, the priority. So the last one of each
//! place is kept and used again, which takes a push from 3,200 instructions for its ten
//! arguments to 900. The server only counts its references to them.

use std::sync::{Mutex, PoisonError};

use redis_module::raw;
use smallvec::SmallVec;

use super::api::{OK, api};
use super::key::{KeyName, OwnedString};
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

/// Replicates `WF.APPLY key <arguments>`.
pub fn replicate<'b>(ctx: &Ctx<'_>, key: &KeyName<'_>, arguments: impl Iterator<Item = &'b [u8]>) {
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
    // SAFETY: the format asks for a string and for a vector with its length. The server counts its
    // own references to the strings.
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
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) = kept;
}
