//! `WF.WHY`: why something is not running.

use super::args::Args;
use super::call::{Call, CommandError};
use super::get::{counts, text, time};
use super::reply::Reply;
use super::sentence::Sight;
use super::spec::{Access, Arg, COMMANDS, Page, Spec};
use crate::engine::ids::Id;
use crate::engine::limits::{MAX_SHOWN_AHEAD, MAX_SHOWN_PARENTS, MAX_SHOWN_TASKS};
use crate::engine::obstacles::{Pauses, Reason};
use crate::engine::space::Space;
use crate::engine::state::{TaskState, WORKFLOW_WORDS};
use crate::engine::units::{Slot, TaskIndex, TaskRef};

#[linkme::distributed_slice(COMMANDS)]
static WHY: Spec = Spec {
    name: "WF.WHY",
    place: 92,
    summary: "Tells why a workflow or a task is not running",
    complexity: "O(N + E) for a workflow of N tasks and E edges; O(N) for a task of it",
    since: "0.1.0",
    arity: -3,
    access: Access::Read,
    deny_oom: false,
    blocking: false,
    fast: false,
    internal: false,
    args: &[
        Arg::text("id", "the workflow"),
        Arg::text("task", "the name of a task; without it the answer is about the workflow").optional(),
    ],
    page: Page {
        about: "`words` says it to people, in one sentence that may be worded differently in later versions; the other fields say it to programs. Texts in `words` are escaped where they are not printable, and cut. Times are unix milliseconds. What does not apply is null.\n\n`last_asked` is when a WF.CLAIM last asked for the type, by name or without TYPES, whether it got something or not and whatever else it wanted, or now while a client waits that could take this very task; null for a task that waits for a signal. It is known to the server that was asked only, since it has the space in memory: after a restart, a failover or a RESTORE, on replicas, and where the type came up after the claim it is null until the next claim.",
        replies: &[
            ("null", "there is no such workflow, or no such task in it"),
            ("map", "a flat array in RESP2; without `task` the workflow, with it the task"),
            ("workflow", "its id"),
            ("state", "running, paused, completed, failed or cancelled"),
            ("words", "all of it in a sentence"),
            ("finished", "when nothing of it was left to do"),
            (
                "error",
                "why it failed: its deadline, or the error of its first failed task; or the reason for which it was cancelled",
            ),
            ("pauses", "array of what holds all of it: `workflow`, `space`"),
            ("counts", "map: number of tasks in each state"),
            ("holding", "how many tasks hold it up: they have not ended, and all their parents have"),
            ("tasks", "the first 16 of these, in push order, each as below"),
            ("task: workflow, task, type, state", "as they are"),
            ("task: reason", "the first of `reasons`"),
            (
                "task: reasons",
                "array of all that hold, in the order in which they are to be overcome: `waiting` for parents, `delayed`, `paused`, `ready` and not claimed yet, or `signal`: it waits for WF.SIGNAL; or one of `running`, `completed`, `failed`, `skipped`, `cancelled`",
            ),
            ("task: words", "all of it in a sentence"),
            ("task: since", "when it became ready, began to run, or ended"),
            ("task: open_parents", "number of parents that have not ended"),
            ("task: parents", "the first 16 of these: array of maps with name and state"),
            ("task: due", "until when it is delayed"),
            ("task: pauses", "array of what holds it: `workflow`, `type`, `space`"),
            (
                "task: ahead",
                "when it is ready: how many ready tasks of its type are claimed before it; 1000 means as many or more",
            ),
            ("task: last_asked", "when a worker last asked for its type, or null; see above"),
            ("task: worker", "who has it or had it last"),
            ("task: attempt", "how often it was handed out"),
            ("task: deadline", "until when it is leased, or waits for a signal"),
            (
                "task: failures",
                "how many attempts failed; more than 0 while it is delayed: it is tried again",
            ),
            ("task: error", "why it failed; while it is tried again, why the last attempt did"),
        ],
        errors: &[("LIMIT", "the task's name is too long"), ("ERR", "there are too many arguments")],
        replicated: "Nothing.",
        example: "> WF.WHY jobs 1 load\n 1) \"workflow\"\n 2) \"1\"\n 3) \"task\"\n 4) \"load\"\n 5) \"type\"\n 6) \"etl\"\n 7) \"state\"\n 8) \"waiting\"\n 9) \"reason\"\n10) \"waiting\"\n11) \"reasons\"\n12) 1) \"waiting\"\n13) \"words\"\n14) \"Task 'load' waits for 1 parent: 'extract' (running).\"",
    },
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut args = Args(call.args);
    let id = args.required()?;
    let name = if args.0.is_empty() { None } else { Some(args.name("task")?) };
    args.end()?;
    let mut reply = std::mem::take(&mut call.out.reply);
    let shown = call.space().map(|space| {
        let found = space.and_then(|space| Some((space, space.find(Id::of(id))?)));
        let Some((space, slot)) = found else { return reply.null() };
        let sight = Sight { space, now: call.now, waits: call.waits };
        match name {
            None => workflow(&mut reply, &sight, slot),
            Some(name) => match find(space, slot, name) {
                None => reply.null(),
                Some(one) => task(&mut reply, &sight, one),
            },
        }
    });
    call.out.reply = reply;
    shown
}

fn find(space: &Space, slot: Slot, name: &[u8]) -> Option<TaskRef> {
    let place = space.workflow(slot).1.shape.names().position(|other| other == name)?;
    Some(TaskRef { slot, index: TaskIndex(place as u32) })
}

fn workflow(reply: &mut Reply, sight: &Sight<'_>, slot: Slot) {
    let space = sight.space;
    let (workflow, blueprint) = space.workflow(slot);
    let mut front = space.front(slot);
    let shown: Vec<TaskRef> = front.by_ref().take(MAX_SHOWN_TASKS).collect();
    let holding = shown.len() + front.count();
    let ended = space.counts_of(slot);
    reply.map(9);
    field(reply, "workflow");
    reply.bulk_with(|bytes| space.id_of(slot).write(bytes));
    field(reply, "state");
    reply.bulk(WORKFLOW_WORDS[workflow.word()].as_bytes());
    field(reply, "words");
    reply.bulk(sight.of_workflow(slot, shown.first().copied(), holding, &ended).as_bytes());
    field(reply, "finished");
    time(reply, workflow.finished(&blueprint.shape));
    field(reply, "error");
    text(reply, sight.error_of(slot).as_deref());
    pauses(reply, space.pauses_of(slot));
    field(reply, "counts");
    counts(reply, &TaskState::ALL.map(TaskState::name), &ended);
    field(reply, "holding");
    reply.count(holding as u64);
    field(reply, "tasks");
    reply.array(shown.len());
    shown.into_iter().for_each(|one| task(reply, sight, one));
}

fn task(reply: &mut Reply, sight: &Sight<'_>, task: TaskRef) {
    let space = sight.space;
    let view = space.task(task);
    let reasons = space.reasons(task);
    reply.map(19);
    field(reply, "workflow");
    reply.bulk_with(|bytes| space.id_of(task.slot).write(bytes));
    for (name, value) in
        [("task", view.name), ("type", view.type_name), ("state", view.state.name().as_bytes())]
    {
        field(reply, name);
        reply.bulk(value);
    }
    field(reply, "reason");
    text(reply, reasons.first().map(|reason| reason.name().as_bytes()));
    field(reply, "reasons");
    reply.array(reasons.len());
    reasons.iter().for_each(|reason| reply.bulk(reason.name().as_bytes()));
    field(reply, "words");
    reply.bulk(sight.of_task(task).as_bytes());
    field(reply, "since");
    time(reply, view.since());
    parents(reply, space, task);
    field(reply, "due");
    time(reply, view.due);
    pauses(reply, space.pauses(task));
    field(reply, "ahead");
    match reasons.contains(&Reason::Ready) {
        true => reply.count(space.ahead_of(task, MAX_SHOWN_AHEAD) as u64),
        false => reply.null(),
    }
    field(reply, "last_asked");
    time(reply, sight.asked(task));
    field(reply, "worker");
    text(reply, view.worker);
    field(reply, "attempt");
    reply.count(u64::from(view.attempts));
    field(reply, "deadline");
    time(reply, view.deadline);
    field(reply, "failures");
    reply.count(u64::from(view.tried.failures));
    field(reply, "error");
    text(reply, view.error);
}

fn parents(reply: &mut Reply, space: &Space, task: TaskRef) {
    let waits = space.state_of(task) == TaskState::Waiting;
    let open: Vec<TaskIndex> = if waits { space.open_parents_of(task).collect() } else { Vec::new() };
    field(reply, "open_parents");
    reply.count(open.len() as u64);
    field(reply, "parents");
    let shown = &open[..open.len().min(MAX_SHOWN_PARENTS)];
    reply.array(shown.len());
    for &index in shown {
        reply.map(2);
        field(reply, "name");
        reply.bulk(space.workflow(task.slot).1.shape.name(index));
        field(reply, "state");
        reply.bulk(space.state_of(TaskRef { slot: task.slot, index }).name().as_bytes());
    }
}

fn pauses(reply: &mut Reply, pauses: Pauses) {
    field(reply, "pauses");
    reply.array(pauses.names().count());
    pauses.names().for_each(|name| reply.bulk(name.as_bytes()));
}

fn field(reply: &mut Reply, name: &str) {
    reply.bulk(name.as_bytes());
}
