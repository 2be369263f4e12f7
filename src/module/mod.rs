//! The glue between the server and the pure parts. The only folder that names `redis_module`,
//! that may use `unsafe`, and that defines `extern "C"` functions.
//!
//! | file | idea |
//! |---|---|
//! | `load` | what happens when the server loads the module |
//! | `register`, `settings`, `info` | the commands, `CONFIG` and `INFO`, each from its table |
//! | `api`, `server`, `key`, `answer` | the server's C functions with lengths, lifetimes and types |
//! | `alloc`, `panic` | the server's memory, and last words in its log |
//! | `datatype`, `value` | the callbacks of the type, and what a key points to |
//! | `perform`, `replicate` | runs one command and carries out what it decided |
//! | `divergence` | what becomes of a space that an effect of the primary cannot be applied to |
//! | `blocked` | clients that wait, for whatever |
//! | `stream` | what happened, appended to the stream of a space that has one |
//! | `blocking`, `wake` | clients that wait for tasks, and who gets the next one |
//! | `awaiting` | clients that wait for workflows to end |
//! | `reader`, `reading` | a thread that reads large documents, and the clients that wait for it |
//! | `refusal` | whether the server takes work now, asked where no command is at hand |
//! | `schedule`, `events` | what happens without a command: due leases, changes of role and key |
//! | `slots` | slots of a cluster that are on their way here, in which no time passes yet |
//! | `outcomes`, `nonce`, `grace`, `eviction` | small state of the whole server |
//!
//! To follow one command: `register::entry` -> `perform::command` -> its `run` ->
//! `perform::on_space` -> `answer` -> `wake`.
//!
//! Threads. The server runs all of this under its global lock, not always on one thread (another
//! module may call from its own), so state of the module lives in `Mutex`es and atomics and not
//! in thread-locals. No lock is held while calling into the server: it may call back. Outside of
//! the global lock run only the drop of `value::SpaceValue`, on the server's lazy-free thread, and
//! `reader`, which turns bytes into values on a thread of its own.
//!
//! The bindings are the raw ones of the crate `redis-module`. Its wrappers are not used: several
//! abort the server on a NUL byte in user data, and its entry point does not load into Redis 7.0.

mod alloc;
mod answer;
mod api;
mod awaiting;
mod blocked;
mod blocking;
mod clock;
mod datatype;
mod divergence;
mod events;
mod eviction;
mod grace;
mod info;
mod key;
mod load;
mod nonce;
mod outcomes;
mod panic;
mod perform;
mod reader;
mod reading;
mod refusal;
mod register;
mod replicate;
mod schedule;
mod server;
mod settings;
mod slots;
mod stream;
mod value;
mod wake;
