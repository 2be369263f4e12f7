//! The thread that reads large documents, one after the other, while the server goes on.
//!
//! It sees bytes and limits and nothing else: no space, no context, no counter of references. What it
//! allocates is the server's memory, whose allocator is made for several threads. It starts with the
//! first large document and never ends.
//!
//! A panic here leaves nothing half changed behind, so it costs the one document and not the server.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use super::api::api;
use super::key::OwnedString;
use crate::encoding::prepared::{Prepared, Unread};
use crate::engine::limits::Settings;

/// The name of the thread, which systems cut at 15 bytes.
const NAME: &str = "workflow-reader";

/// A document to read.
pub struct Order {
    /// Comes back with the result.
    pub number: u64,
    /// What it is.
    pub unread: Unread,
    /// The operator's limits.
    pub settings: Settings,
    /// Set when nobody wants it any more.
    pub unwanted: Arc<AtomicBool>,
    text: Text,
}

/// The bytes of a string that somebody else keeps alive.
struct Text(*const [u8]);

// SAFETY: the bytes of a shared string never change, and `Order::new` asks for its life.
unsafe impl Send for Text {}

/// Orders that are done: the number, and what was read unless nobody wanted it or reading failed.
static DONE: Mutex<VecDeque<(u64, Option<Prepared>)>> = Mutex::new(VecDeque::new());
static ORDERS: OnceLock<Option<Sender<Order>>> = OnceLock::new();

impl Order {
    /// # Safety
    /// Somebody holds `text` until the order is done.
    pub unsafe fn new(
        number: u64,
        text: &OwnedString,
        unread: Unread,
        settings: Settings,
        unwanted: Arc<AtomicBool>,
    ) -> Order {
        Order { number, unread, settings, unwanted, text: Text(text.name().bytes()) }
    }

    fn read(self) -> Option<Prepared> {
        if self.unwanted.load(Relaxed) {
            return None;
        }
        // SAFETY: whoever made the order holds the string until it is done.
        let text = unsafe { &*self.text.0 };
        let prepared = guarded(|| self.unread.read(text, &self.settings))?;
        // What nobody wants is freed here, which takes a while, too.
        (!self.unwanted.load(Relaxed)).then_some(prepared)
    }
}

/// What comes of `body`, unless it panics.
fn guarded<R>(body: impl FnOnce() -> R) -> Option<R> {
    // What `body` had in its hands is gone with it.
    catch_unwind(AssertUnwindSafe(body)).ok()
}

/// Whether the calling thread is the one that reads.
pub fn is_here() -> bool {
    thread::current().name() == Some(NAME)
}

/// Whether there is a thread to read; the first call starts it.
pub fn is_there() -> bool {
    orders().is_some()
}

fn orders() -> Option<&'static Sender<Order>> {
    let start = || {
        let (sender, orders) = channel();
        thread::Builder::new().name(NAME.into()).spawn(|| work(orders)).ok().map(|_| sender)
    };
    ORDERS.get_or_init(start).as_ref()
}

/// Lets a document be read. There is a thread.
pub fn read(order: Order) {
    let sender = orders().expect("there is a thread");
    sender.send(order).map_err(|_| ()).expect("the thread never ends");
}

/// The oldest order that is done.
pub fn take_done() -> Option<(u64, Option<Prepared>)> {
    DONE.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

fn work(orders: Receiver<Order>) {
    for order in orders {
        let number = order.number;
        let read = order.read();
        DONE.lock().unwrap_or_else(PoisonError::into_inner).push_back((number, read));
        // SAFETY: the server takes this call from any thread, and calls back on its own.
        unsafe { api!(RedisModule_EventLoopAddOneShot(Some(on_done), ptr::null_mut())) };
    }
}

unsafe extern "C" fn on_done(_: *mut c_void) {
    super::reading::done();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_no_result() {
        assert_eq!(guarded(|| 7), Some(7));
        assert_eq!(guarded(|| -> u8 { panic!("as a document that finds a bug would") }), None);
    }
}
