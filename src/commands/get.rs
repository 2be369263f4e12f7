//! `WF.GET`: one workflow, for people and tools.

use std::borrow::Cow;
use std::ops::Range;

use super::args::{Args, once};
use super::call::{Call, CommandError};
use super::reply::Reply;
use super::spec::{Access, Arg, COMMANDS, Page, Spec};
use crate::engine::extras::Extra;
use crate::engine::ids::Id;
use crate::engine::limits::{MAX_TASKS, Settings};
use crate::engine::space::Space;
use crate::engine::state::{TaskState, WORKFLOW_WORDS};
use crate::engine::units::{Millis, TaskIndex, TaskRef};

#[linkme::distributed_slice(COMMANDS)]
static GET: Spec = Spec {
    name: "WF.GET",
    place: 90,
    summary: "Shows a workflow, with TASKS each of its tasks",
    complexity: "O(N) for the N tasks of the workflow; with TASKS, O(N+C) for COUNT C",
    since: "0.1.0",
    arity: -3,
    access: Access::Read,
    deny_oom: false,
    blocking: false,
    fast: false,
    internal: false,
    args: &[
        Arg::text("id", "the workflow"),
        Arg::flag("TASKS", "show each task, in push order; FROM and COUNT come behind it"),
        Arg::integer("place", "begin with the task at this place, 0 to 1048575; default 0, the first")
            .after("FROM")
            .optional(),
        Arg::integer("count", "show at most so many, 1 to `workflow.max-count`, which is the default")
            .after("COUNT")
            .optional(),
    ],
    page: Page {
        about: "Times are unix milliseconds. What is not there yet is null.\n\nThe tasks of a large workflow come in pages, so that nobody waits long for a reply: as long as there is `next` in the reply, call again with it as FROM. Tasks keep their places, and those that WF.ADD adds come behind the others, so all pages together show each task once, each page as things stand when it is asked for.",
        replies: &[
            ("null", "there is no such workflow"),
            ("map", "the workflow; a flat array in RESP2"),
            ("id", "its id"),
            ("name", "the document's name, or null"),
            ("state", "running, paused, completed, failed or cancelled"),
            ("paused", "1 when it is paused itself, else 0"),
            ("priority", "the priority of its tasks that have none of their own"),
            ("created", "when it was pushed"),
            (
                "finished",
                "when nothing of it was left to do; a failed workflow may still be running down before that",
            ),
            ("deadline", "when it times out or timed out, or null"),
            (
                "expires",
                "when it has been kept long enough and is removed, or null while it is not finished; sooner where `retain-count` or `retain-bytes` are met",
            ),
            (
                "error",
                "why it failed when no task of it did: its deadline passed; or the reason for which it was cancelled; else null",
            ),
            ("size", "number of tasks"),
            (
                "counts",
                "map: number of tasks in each state: waiting, delayed, ready, running, completed, failed, skipped, cancelled",
            ),
            ("tasks", "with TASKS: array of maps"),
            ("next", "with TASKS: the place of the next task, for FROM; only when more follow"),
            ("task: name, type, state", "as they are"),
            ("task: attempts", "how often it was handed out"),
            ("task: failures", "how many attempts failed: by WF.FAIL, or because they took too long"),
            ("task: lost", "how many deliveries ended without an acknowledgement"),
            ("task: worker", "who has it or had it last"),
            ("task: ready", "when it became ready, the last time"),
            (
                "task: started",
                "when the attempt began that runs or ended it; null again when its lease ran out",
            ),
            ("task: finished", "when it ended"),
            ("task: due", "until when it is delayed"),
            ("task: deadline", "until when it is leased, or waits for a signal"),
            ("task: error", "why it failed; while it is tried again, why the last attempt did"),
            ("task: result", "what WF.COMPLETE left, until it is freed: see there"),
        ],
        errors: &[("ERR", "an option is not known or out of range")],
        replicated: "Nothing.",
        example: "> WF.GET jobs 1\n 1) \"id\"\n 2) \"1\"\n 3) \"name\"\n 4) (nil)\n 5) \"state\"\n 6) \"running\"",
    },
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut args = Args(call.args);
    let id = args.required()?;
    let settings = call.settings;
    let page = args.keyword("TASKS").then(|| TaskPage::read(&mut args, settings)).transpose()?;
    args.end()?;
    let mut reply = std::mem::take(&mut call.out.reply);
    let shown =
        call.space().map(|space| match space.and_then(|space| Some((space, space.find(Id::of(id))?))) {
            None => reply.null(),
            Some((space, slot)) => {
                let (workflow, blueprint) = space.workflow(slot);
                let shown = page.map(|page| page.of(blueprint.shape.len()));
                let next = shown.as_ref().map(|shown| shown.end).filter(|&end| end < blueprint.shape.len());
                reply.map(12 + usize::from(shown.is_some()) + usize::from(next.is_some()));
                reply.bulk(b"id");
                reply.bulk(id);
                reply.bulk(b"name");
                let name = Some(space.name_of(slot)).filter(|name| !name.is_empty());
                text(&mut reply, name);
                reply.bulk(b"state");
                reply.bulk(WORKFLOW_WORDS[workflow.word()].as_bytes());
                reply.bulk(b"paused");
                reply.int(i64::from(workflow.paused()));
                reply.bulk(b"priority");
                reply.count(u64::from(workflow.priority()));
                reply.bulk(b"created");
                time(&mut reply, Some(workflow.created()));
                reply.bulk(b"finished");
                time(&mut reply, workflow.finished(&blueprint.shape));
                let extra = space.extra(slot);
                reply.bulk(b"deadline");
                time(&mut reply, extra.timeout.map(|timeout| timeout.deadline));
                reply.bulk(b"expires");
                time(&mut reply, space.finished(slot).map(|one| one.expires(&space.settings(settings))));
                reply.bulk(b"error");
                text(&mut reply, why_ended(extra).as_deref());
                reply.bulk(b"size");
                reply.count(blueprint.shape.len() as u64);
                reply.bulk(b"counts");
                counts(&mut reply, &TaskState::ALL.map(TaskState::name), &space.counts_of(slot));
                if let Some(shown) = shown {
                    reply.bulk(b"tasks");
                    reply.array(shown.len());
                    let tasks = shown.map(|place| TaskRef { slot, index: TaskIndex(place as u32) });
                    tasks.for_each(|one| task(&mut reply, space, one));
                }
                if let Some(next) = next {
                    reply.bulk(b"next");
                    reply.count(next as u64);
                }
            }
        });
    call.out.reply = reply;
    shown
}

/// Which tasks are shown.
#[derive(Clone, Copy)]
struct TaskPage {
    from: usize,
    count: usize,
}

impl TaskPage {
    fn read(args: &mut Args<'_>, settings: &Settings) -> Result<TaskPage, CommandError> {
        let (mut from, mut count) = (None, None);
        loop {
            if args.keyword("FROM") {
                once(&mut from, "FROM", args.number("FROM", 0, MAX_TASKS as u64)?)?;
            } else if args.keyword("COUNT") {
                once(&mut count, "COUNT", args.number("COUNT", 1, settings.max_count)?)?;
            } else {
                let (from, count) = (from.unwrap_or(0), count.unwrap_or(settings.max_count));
                return Ok(TaskPage { from: from as usize, count: count as usize });
            }
        }
    }

    /// The places of those of so many tasks.
    fn of(self, tasks: usize) -> Range<usize> {
        let from = self.from.min(tasks);
        from..tasks.min(from + self.count)
    }
}

fn task(reply: &mut Reply, space: &Space, task: TaskRef) {
    let view = space.task(task);
    reply.map(14);
    for (name, value) in
        [("name", view.name), ("type", view.type_name), ("state", view.state.name().as_bytes())]
    {
        reply.bulk(name.as_bytes());
        reply.bulk(value);
    }
    reply.bulk(b"attempts");
    reply.count(u64::from(view.attempts));
    reply.bulk(b"failures");
    reply.count(u64::from(view.tried.failures));
    reply.bulk(b"lost");
    reply.count(u64::from(view.tried.lost));
    reply.bulk(b"worker");
    text(reply, view.worker);
    for (name, value) in [
        ("ready", view.ready),
        ("started", view.started),
        ("finished", view.finished),
        ("due", view.due),
        ("deadline", view.deadline),
    ] {
        reply.bulk(name.as_bytes());
        time(reply, value);
    }
    for (name, value) in [("error", view.error), ("result", view.result)] {
        reply.bulk(name.as_bytes());
        text(reply, value);
    }
}

/// Why a workflow ended, when no task is to blame: its deadline passed, or it was called off.
pub fn why_ended(extra: &Extra) -> Option<Cow<'_, [u8]>> {
    match extra.timeout.filter(|timeout| timeout.passed) {
        Some(timeout) => Some(format!("timed out after {} ms", timeout.after_ms).into_bytes().into()),
        None => extra.reason.as_deref().map(Cow::Borrowed),
    }
}

/// A text, or null.
pub fn text(reply: &mut Reply, text: Option<&[u8]>) {
    match text {
        Some(text) => reply.bulk(text),
        None => reply.null(),
    }
}

/// A time, or null.
pub fn time(reply: &mut Reply, time: Option<Millis>) {
    match time {
        Some(time) => reply.count(time.0),
        None => reply.null(),
    }
}

/// A map of names to numbers.
pub fn counts(reply: &mut Reply, names: &[&str], counts: &[u64]) {
    reply.map(names.len());
    for (name, &count) in names.iter().zip(counts) {
        reply.bulk(name.as_bytes());
        reply.count(count);
    }
}
