//! `WF.DEFINITIONS`: what can be started by name.

use super::args::Args;
use super::call::{Call, CommandError};
use super::get::{text, time};
use super::glob;
use super::reply::Reply;
use super::spec::{Access, Arg, COMMANDS, Page, Spec};
use crate::engine::definitions::Definition;
use crate::engine::space::Space;

#[linkme::distributed_slice(COMMANDS)]
static DEFINITIONS: Spec = Spec {
    name: "WF.DEFINITIONS",
    place: 18,
    summary: "Lists the workflows that WF.START can start, and how often each was",
    complexity: "O(D log D) for D definitions",
    since: "0.1.0",
    arity: -2,
    access: Access::Read,
    deny_oom: false,
    blocking: false,
    fast: false,
    internal: false,
    args: &[Arg::text("pattern", "only those whose names match, as KEYS does; the case counts")
        .after("PATTERN")
        .optional()],
    page: Page {
        about: "Everything is said of the version in force; its counts begin with it. Replicas and files have the same counts.",
        replies: &[
            ("array", "a map a definition, by name; empty when the key is missing"),
            ("name", "what it is started by"),
            ("version", "how often the name was defined"),
            ("workflow", "the name of the workflows, or null"),
            ("tasks", "number of tasks"),
            ("bytes", "memory it takes, its shape included; workflows of the same shape share that with it"),
            ("defined", "when this version was defined, unix time in milliseconds"),
            ("started", "workflows started from this version"),
            ("last_started", "when the last of them was, or null"),
        ],
        errors: &[("ERR", "an option is not known")],
        replicated: "Nothing.",
        example: "> WF.DEFINITIONS jobs PATTERN night*\n1)  1) \"name\"\n    2) \"nightly\"\n    3) \"version\"\n    4) (integer) 1\n    5) \"workflow\"\n    6) (nil)\n    7) \"tasks\"\n    8) (integer) 2\n    9) \"bytes\"\n   10) (integer) 543\n   11) \"defined\"\n   12) (integer) 1767225600000\n   13) \"started\"\n   14) (integer) 1\n   15) \"last_started\"\n   16) (integer) 1767225601000",
    },
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut args = Args(call.args);
    let pattern = if args.keyword("PATTERN") { Some(args.value("PATTERN")?) } else { None };
    args.end()?;
    let mut reply = std::mem::take(&mut call.out.reply);
    let shown = call.space().map(|space| {
        let mut found: Vec<_> = space
            .into_iter()
            .flat_map(|space| space.definitions().sorted().into_iter().map(move |one| (space, one)))
            .collect();
        found.retain(|(_, one)| pattern.is_none_or(|pattern| glob::matches_exactly(pattern, &one.name)));
        reply.array(found.len());
        found.into_iter().for_each(|(space, definition)| one(&mut reply, space, definition));
    });
    call.out.reply = reply;
    shown
}

fn one(reply: &mut Reply, space: &Space, definition: &Definition) {
    let blueprint = space.blueprints().get(definition.blueprint);
    reply.map(8);
    reply.bulk(b"name");
    reply.bulk(&definition.name);
    reply.bulk(b"version");
    reply.count(definition.version);
    reply.bulk(b"workflow");
    text(reply, Some(&*definition.workflow).filter(|name| !name.is_empty()));
    reply.bulk(b"tasks");
    reply.count(blueprint.shape.len() as u64);
    reply.bulk(b"bytes");
    reply.count((definition.heap_bytes() + blueprint.heap_bytes()) as u64);
    reply.bulk(b"defined");
    time(reply, Some(definition.defined));
    reply.bulk(b"started");
    reply.count(definition.started);
    reply.bulk(b"last_started");
    time(reply, definition.last_started);
}
