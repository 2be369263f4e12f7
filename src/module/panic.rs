//! Last words. A panic ends the server: state may be half changed and must not be served or
//! saved, not even by what would run while the stack unwinds. The hook leaves the place and the message
//! in the server's log before that. Only the thread that reads documents has no state in its hands: see
//! `reader`.

use std::panic::PanicHookInfo;

use super::reader;
use super::server::{Level, log_anywhere};

/// Installs the hook.
pub fn install() {
    std::panic::set_hook(Box::new(|info| {
        let reads = reader::is_here();
        let ending = match reads {
            true => "The document is refused.",
            false => "The server stops here to keep the data on disk intact.",
        };
        log_anywhere(Level::Warning, &format!("{} {ending}", words(info)));
        if !reads {
            std::process::abort();
        }
    }));
}

fn words(info: &PanicHookInfo<'_>) -> String {
    let place = match info.location() {
        Some(place) => format!("{}:{}", place.file(), place.line()),
        None => "an unknown place".into(),
    };
    let payload = info.payload();
    let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text.as_str(),
        (None, None) => "no message",
    };
    format!("panic at {place}: {message}.")
}
