//! `WF.LIST`: paging through workflows, or through the tasks that failed for good.

use super::args::{Args, once};
use super::call::{Call, CommandError};
use super::get::{text, time};
use super::reply::Reply;
use super::spec::{Access, Arg, COMMANDS, Page, Spec};
use crate::engine::ids::write_integer;
use crate::engine::limits::{MAX_DURATION_MS, Settings};
use crate::engine::listing::{Filter, Letter, letters, workflows};
use crate::engine::space::Space;
use crate::engine::state::WORKFLOW_WORDS;
use crate::engine::units::{Millis, Sequence, Slot, TaskIndex, TaskRef};

#[linkme::distributed_slice(COMMANDS)]
static LIST: Spec = Spec {
    name: "WF.LIST",
    place: 95,
    summary: "Pages through the workflows of a space, or through the tasks that failed for good",
    complexity: "O(C) for COUNT C; with TYPE, O(C+N) for the N tasks of the workflows looked at",
    since: "0.1.0",
    arity: -2,
    access: Access::Read,
    deny_oom: false,
    blocking: false,
    fast: false,
    internal: false,
    args: &[
        Arg::flag("FAILED", "list the tasks that failed for good, newest first, rather than workflows"),
        Arg::text("state", "only workflows in this state: running, paused, completed, failed or cancelled")
            .after("STATE")
            .optional(),
        Arg::text("type", "only workflows that have a task of this type; with FAILED: only such tasks")
            .after("TYPE")
            .optional(),
        Arg::text("prefix", "only workflows whose name begins so, and their tasks")
            .after("PREFIX")
            .optional(),
        Arg::integer("milliseconds", "only what was pushed at least so long ago; with FAILED: what failed")
            .after("OLDER")
            .optional(),
        Arg::integer("milliseconds", "only what was pushed at most so long ago; with FAILED: what failed")
            .after("NEWER")
            .optional(),
        Arg::text("cursor", "go on where the last call ended; default 0: from the beginning")
            .after("CURSOR")
            .optional(),
        Arg::integer("count", "look at so many, 1 to `workflow.max-count`; default 10")
            .after("COUNT")
            .optional(),
    ],
    page: Page {
        about: "As with SCAN, call again with the cursor of the reply until that is 0; a call may list fewer than COUNT, even none, before the end, because COUNT is how many are looked at.\n\nWorkflows come in no order that means anything. One that is there from the first call to the last is listed once, however much comes and goes meanwhile; a cursor does not outlive a restart or a failover.\n\nFailed tasks come newest first; their cursor stays good whatever happens.",
        replies: &[
            ("array", "the next cursor, and an array of maps (flat arrays in RESP2); a missing key has none"),
            ("workflow: id, name, state, created, finished, size", "as in WF.GET"),
            ("task: workflow", "the id of its workflow"),
            ("task: name, type, error, attempts, failures, lost, worker", "as in WF.GET"),
            ("task: failed", "when it failed"),
        ],
        errors: &[("ERR", "an option is not known or out of range, or the cursor is none")],
        replicated: "Nothing.",
        example: "> WF.LIST jobs FAILED COUNT 1\n1) \"1767225600000-0-1\"\n2) 1)  1) \"workflow\"\n       2) \"1\"\n       3) \"name\"\n       4) \"load\"",
    },
    run,
};

#[derive(Default)]
struct Options<'a> {
    failed: bool,
    state: Option<usize>,
    type_name: Option<&'a [u8]>,
    prefix: Option<&'a [u8]>,
    older: Option<u64>,
    newer: Option<u64>,
    cursor: Option<&'a [u8]>,
    count: Option<u64>,
}

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    let options = parse(Args(call.args), call.settings)?;
    let now = call.now;
    let mut reply = std::mem::take(&mut call.out.reply);
    let listed = call.space().and_then(|space| match options.failed {
        true => list_letters(&mut reply, space, &options, now),
        false => list_workflows(&mut reply, space, &options, now),
    });
    call.out.reply = reply;
    listed
}

fn parse<'a>(mut args: Args<'a>, settings: &Settings) -> Result<Options<'a>, CommandError> {
    let mut options = Options { failed: args.keyword("FAILED"), ..Options::default() };
    while !args.0.is_empty() {
        if args.keyword("STATE") && !options.failed {
            let word = args.value("STATE")?;
            let known = |state: &&str| word.eq_ignore_ascii_case(state.as_bytes());
            let state = WORKFLOW_WORDS.iter().position(known).ok_or_else(|| {
                CommandError::NotOneOf(
                    "STATE",
                    word.to_vec(),
                    "running, paused, completed, failed, cancelled",
                )
            })?;
            once(&mut options.state, "STATE", state)?;
        } else if args.keyword("TYPE") {
            once(&mut options.type_name, "TYPE", args.name("TYPE")?)?;
        } else if args.keyword("PREFIX") {
            once(&mut options.prefix, "PREFIX", args.name("PREFIX")?)?;
        } else if args.keyword("OLDER") {
            once(&mut options.older, "OLDER", args.number("OLDER", 0, MAX_DURATION_MS)?)?;
        } else if args.keyword("NEWER") {
            once(&mut options.newer, "NEWER", args.number("NEWER", 0, MAX_DURATION_MS)?)?;
        } else if args.keyword("CURSOR") {
            once(&mut options.cursor, "CURSOR", args.value("CURSOR")?)?;
        } else if args.keyword("COUNT") {
            once(&mut options.count, "COUNT", args.number("COUNT", 1, settings.max_count)?)?;
        } else {
            args.end()?;
        }
    }
    Ok(options)
}

impl<'a> Options<'a> {
    fn filter(&self, now: Millis) -> Filter<'a> {
        Filter {
            word: self.state,
            type_name: self.type_name,
            prefix: self.prefix.unwrap_or_default(),
            from: self.newer.map_or(Millis(0), |ago| Millis(now.0.saturating_sub(ago))),
            to: self.older.map_or(Millis::MAX, |ago| Millis(now.0.saturating_sub(ago))),
        }
    }

    fn count(&self) -> usize {
        self.count.unwrap_or(10) as usize
    }

    /// The parts of the cursor; `None`: from the beginning.
    fn cursor<const N: usize>(&self) -> Result<Option<[u64; N]>, CommandError> {
        let text = self.cursor.unwrap_or(b"0");
        if text == b"0" {
            return Ok(None);
        }
        let bad = || CommandError::BadCursor(text.to_vec());
        let mut parts = [0; N];
        let mut texts = text.split(|&byte| byte == b'-');
        for part in &mut parts {
            let digits = texts.next().and_then(|part| str::from_utf8(part).ok()).ok_or_else(bad)?;
            let whole = digits.bytes().all(|byte| byte.is_ascii_digit());
            *part = digits.parse().ok().filter(|_| whole).ok_or_else(bad)?;
        }
        if texts.next().is_some() { Err(bad()) } else { Ok(Some(parts)) }
    }
}

fn write_cursor(reply: &mut Reply, parts: &[u64]) {
    reply.bulk_with(|bytes| {
        for (place, &part) in parts.iter().enumerate() {
            if place > 0 {
                bytes.push(b'-');
            }
            write_integer(part, bytes);
        }
    });
}

fn list_workflows(
    reply: &mut Reply,
    space: Option<&Space>,
    options: &Options<'_>,
    now: Millis,
) -> Result<(), CommandError> {
    let cursor: Option<[u64; 1]> = options.cursor()?;
    let from = match cursor {
        None => Slot(0),
        Some([slot]) => Slot(
            u32::try_from(slot)
                .map_err(|_| CommandError::BadCursor(options.cursor.unwrap_or_default().to_vec()))?,
        ),
    };
    reply.array(2);
    let Some(space) = space else {
        reply.bulk(b"0");
        reply.array(0);
        return Ok(());
    };
    let (slots, next) = workflows(space, &options.filter(now), from, options.count());
    write_cursor(reply, &[next.map_or(0, |slot| u64::from(slot.0))]);
    reply.array(slots.len());
    for slot in slots {
        let (workflow, blueprint) = space.workflow(slot);
        reply.map(6);
        reply.bulk(b"id");
        reply.bulk_with(|bytes| space.id_of(slot).write(bytes));
        reply.bulk(b"name");
        text(reply, Some(space.name_of(slot)).filter(|name| !name.is_empty()));
        reply.bulk(b"state");
        reply.bulk(WORKFLOW_WORDS[workflow.word()].as_bytes());
        reply.bulk(b"created");
        time(reply, Some(workflow.created()));
        reply.bulk(b"finished");
        time(reply, workflow.finished(&blueprint.shape));
        reply.bulk(b"size");
        reply.count(blueprint.shape.len() as u64);
    }
    Ok(())
}

fn list_letters(
    reply: &mut Reply,
    space: Option<&Space>,
    options: &Options<'_>,
    now: Millis,
) -> Result<(), CommandError> {
    let cursor: Option<[u64; 3]> = options.cursor()?;
    let before = match cursor {
        None => None,
        Some([failed, sequence, index]) => {
            let bad = |_| CommandError::BadCursor(options.cursor.unwrap_or_default().to_vec());
            let index = TaskIndex(u32::try_from(index).map_err(bad)?);
            Some(Letter { failed: Millis(failed), sequence: Sequence(sequence), index })
        }
    };
    reply.array(2);
    let Some(space) = space else {
        reply.bulk(b"0");
        reply.array(0);
        return Ok(());
    };
    let (tasks, next) = letters(space, &options.filter(now), before, options.count());
    match next {
        None => reply.bulk(b"0"),
        Some(last) => write_cursor(reply, &[last.failed.0, last.sequence.0, u64::from(last.index.0)]),
    }
    reply.array(tasks.len());
    tasks.into_iter().for_each(|task| letter(reply, space, task));
    Ok(())
}

fn letter(reply: &mut Reply, space: &Space, task: TaskRef) {
    let view = space.task(task);
    reply.map(9);
    reply.bulk(b"workflow");
    reply.bulk_with(|bytes| space.id_of(task.slot).write(bytes));
    for (name, value) in [("name", Some(view.name)), ("type", Some(view.type_name)), ("error", view.error)] {
        reply.bulk(name.as_bytes());
        text(reply, value);
    }
    for (name, value) in [
        ("attempts", view.attempts),
        ("failures", u32::from(view.tried.failures)),
        ("lost", u32::from(view.tried.lost)),
    ] {
        reply.bulk(name.as_bytes());
        reply.count(u64::from(value));
    }
    reply.bulk(b"worker");
    text(reply, view.worker);
    reply.bulk(b"failed");
    time(reply, view.finished);
}
