//! `WF.ADD`: a running task adds tasks to its own workflow.

use super::args::Args;
use super::call::{Call, CommandError};
use super::carry_out;
use super::spec::{Access, Arg, COMMANDS, Page, Spec};
use super::token::Token;
use crate::encoding::document;
use crate::encoding::prepared::{Base, Prepared, Unread};
use crate::engine::effect::{Add, Effect};
use crate::engine::limits::GROWTH_WEIGHT;
use crate::engine::plan::{admit_grown, grow};
use crate::engine::space::Space;
use crate::engine::units::{Slot, TaskRef};
use crate::engine::verdict::{Standing, is_wanted};

#[linkme::distributed_slice(COMMANDS)]
static ADD: Spec = Spec {
    name: "WF.ADD",
    place: 47,
    summary: "Adds tasks to the workflow of a running task",
    complexity: "O(N+E) for the N tasks and E edges that the workflow then has",
    since: "0.1.0",
    arity: 4,
    access: Access::Update,
    deny_oom: true,
    blocking: false,
    fast: false,
    internal: false,
    args: &[
        Arg::text("token", "the token that WF.CLAIM gave for the task that adds them"),
        Arg::text(
            "tasks",
            "a JSON array of tasks as in a workflow document, or an object with that array as `tasks` and `defaults` for them",
        ),
    ],
    page: Page {
        about: "A task that finds out what there is to do adds it, all or nothing, and completes later. The tasks come behind those that are there: names and places of these, tokens, results and leases stay as they are. The workflow keeps its name, priority, INPUT, deadline and pauses, and is not done before the added tasks have ended.\n\nAn added task may name as parents, with conditions, any tasks of the workflow: the one that adds it, others that are there whatever their state, and others added with it. With `children` it may be put before tasks that are still waiting; they then wait for it, too. So a task can add a thousand items and put them before a task that gathers their results, or add that one with them. Names are unique over the whole workflow, there is no cycle in it, and the limits hold for the whole.\n\nA task whose parents have all ended becomes ready at once, or is delayed by its `delay_ms`, or is skipped when an edge does not hold. A result that was freed, because all who waited for it had completed, is not there for a child that comes later; `keep_result` keeps it. In a workflow without conditions, `on_failure` and `fail_fast`, where nothing is skipped, a task behind one that failed and was left out by WF.RETRY is cancelled at once.\n\nThe token is judged as by WF.COMPLETE. In a workflow that has failed or was cancelled only a task that runs in spite of that may add others, and of these only those behind an edge or a task that survives it run; the rest are cancelled at once.\n\nA call can be repeated when its reply was lost: the first name that is there already is the error `EXISTS`, before any limit of the whole is looked at, and nothing is added. Added tasks stay, whatever becomes of the one that added them. So a worker takes `EXISTS` as \"added before\", by a call whose reply was lost or by an earlier attempt, and chooses names by what they are for, not at random. WF.RETRY runs those that failed or were cancelled again, as all others.\n\nA large document, or a small one for a large workflow, is read in the background, as by WF.PUSH.",
        replies: &[
            ("integer", "how many tasks were added, 1 or more"),
            (
                "0",
                "stale: the lease went to someone else, the task ended, or its workflow wants no more of it; nothing is added",
            ),
            ("-1", "no such workflow or task"),
        ],
        errors: &[
            ("EXISTS", "a task of this name is there already; nothing is added"),
            (
                "INVALID",
                "the tasks do not fit the workflow; the error names the task and the reason; nothing is added",
            ),
            (
                "LIMIT",
                "the workflow would be larger than allowed; the error names the limit; nothing is added",
            ),
            ("ERR", "`token` is not of a token's form"),
            ("OOM", "the server has reached `maxmemory`"),
            ("UNBLOCKED", "the client was unblocked while a large document was read; nothing was added"),
        ],
        replicated: "`add` with the time, the task, the payloads, and the added tasks when the space does not have the shape that comes of them.",
        example: "> WF.ADD jobs 1-0-9f8e7d6c '[{\"name\": \"page-1\", \"type\": \"scan\"}, {\"name\": \"page-2\", \"type\": \"scan\", \"children\": [\"load\"]}]'\n(integer) 2",
    },
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut args = Args(call.args);
    let token = Token::read(args.required()?)?;
    let text = args.required()?;
    args.end()?;
    match call.prepared.take() {
        Some(prepared) => {
            prepared.reads().map_err(CommandError::Document)?;
            let Some(task) = adds(call, &token)? else { return Ok(()) };
            match call.space()? {
                Some(space) if prepared.is_for(space, task.slot) => add_prepared(call, task, *prepared),
                // The workflow is another by now.
                _ => put_off_or_add(call, &token, text),
            }
        }
        None => put_off_or_add(call, &token, text),
    }
}

/// The task that adds others, or `None` when that is not for it to do any more and the reply says so.
fn adds(call: &mut Call<'_>, token: &Token<'_>) -> Result<Option<TaskRef>, CommandError> {
    let Some((space, out)) = call.space_mut()? else {
        call.out.reply.int(-1);
        return Ok(None);
    };
    match token.standing(space) {
        Standing::Good(task) if is_wanted(space, task) => return Ok(Some(task)),
        Standing::Unknown => out.reply.int(-1),
        _ => out.reply.int(0),
    }
    Ok(None)
}

/// Reads the tasks and adds them, or lets them be read in the background.
fn put_off_or_add(call: &mut Call<'_>, token: &Token<'_>, text: &[u8]) -> Result<(), CommandError> {
    if let Some(space) = call.space()?
        && let Standing::Good(task) = token.standing(space)
        && call.puts_off(weight(space, task.slot, text))
    {
        let base = Box::new(Base::of(space, task.slot));
        return call.put_off(1, Unread::Added(base));
    }
    let settings = call.settings;
    let draft = document::read_added(text, settings).map_err(CommandError::Document)?;
    let now = call.now;
    let Some(task) = adds(call, token)? else { return Ok(()) };
    let Some((space, out)) = call.space_mut()? else { return Ok(()) };
    let grown = grow(space, task.slot, &draft, settings);
    let (blueprint, new) = grown.map_err(|refusal| CommandError::Refused(refusal, Vec::new()))?;
    let payloads: Vec<&[u8]> = draft.tasks.iter().map(|task| task.payload.as_bytes()).collect();
    let add = Add { now, task, blueprint, new: new.as_ref(), payloads: &payloads, told: None };
    carry_out(space, &Effect::Add(add), out);
    out.reply.int(payloads.len() as i64);
    Ok(())
}

/// What reading costs, in bytes of a document: the text and the workflow that is looked through.
fn weight(space: &Space, slot: Slot, text: &[u8]) -> usize {
    let shape = &space.workflow(slot).1.shape;
    text.len() + GROWTH_WEIGHT * (shape.len() + shape.edges())
}

fn add_prepared(call: &mut Call<'_>, task: TaskRef, prepared: Prepared) -> Result<(), CommandError> {
    let (now, settings) = (call.now, call.settings);
    let (document, checked) = prepared.into_read().map_err(CommandError::Document)?;
    let Some((space, out)) = call.space_mut()? else { return Ok(()) };
    let payloads = document.payloads();
    let sizes = payloads.iter().map(|payload| payload.len());
    let grown = admit_grown(space, task.slot, checked, sizes, settings);
    let (blueprint, new) = grown.map_err(|refusal| CommandError::Refused(refusal, Vec::new()))?;
    let told = Some(document.told());
    let add = Add { now, task, blueprint, new: new.as_ref(), payloads: &payloads, told };
    carry_out(space, &Effect::Add(add), out);
    out.reply.int(payloads.len() as i64);
    Ok(())
}
