//! Bytes to engine and back. Whatever comes in is hostile until it was checked.
//!
//! | file | form |
//! |---|---|
//! | `document` | a workflow as JSON, written by people |
//! | `prepared` | a document read and checked apart from its space, by another thread perhaps |
//! | `effect_text` | effects as arguments of `WF.APPLY`, for replicas and the AOF |
//! | `snapshot` | a whole space as chunks, for RDB files, DUMP and the rewritten AOF |
//! | `bytes` | reading from untrusted bytes |
//! | `digest` | everything that makes two spaces equal, in one order |
#![forbid(unsafe_code)]

pub mod bytes;
pub mod digest;
pub mod document;
pub mod effect_text;
pub mod prepared;
pub mod snapshot;
