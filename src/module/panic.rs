//! Last words. A panic ends the server: state may be half changed and must not be served or
//! saved. The hook leaves the place and the message in the server's log before that.

use std::panic::PanicHookInfo;

use super::server::{Level, log_anywhere};

/// Installs the hook.
pub fn install() {
    std::panic::set_hook(Box::new(|info| log_anywhere(Level::Warning, &words(info))));
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
    format!("panic at {place}: {message}. The server stops here to keep the data on disk intact.")
}
