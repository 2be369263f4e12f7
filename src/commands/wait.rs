//! `WF.WAIT`: what became of workflows, once all of them have ended.

use super::args::number;
use super::call::{Block, Call, CommandError};
use super::get::{text, time, why_ended};
use super::reply::Reply;
use super::spec::{Access, Arg, COMMANDS, Page, Spec};
use crate::engine::ids::Id;
use crate::engine::limits::{MAX_BLOCK_MS, MAX_WAIT_IDS};
use crate::engine::space::Space;
use crate::engine::state::{TaskState, WORKFLOW_WORDS, WorkflowState};
use crate::engine::units::{Slot, TaskRef};

#[linkme::distributed_slice(COMMANDS)]
static WAIT: Spec = Spec {
    name: "WF.WAIT",
    place: 98,
    summary: "Tells what became of workflows, once all of them have ended",
    complexity: "O(N) for the N tasks of the workflows; a client that waits costs nothing until one of its workflows ends",
    since: "0.1.0",
    arity: -3,
    access: Access::Read,
    deny_oom: false,
    blocking: true,
    fast: false,
    internal: false,
    args: &[
        Arg::text("id", "a workflow; up to 1024 of them").repeated(),
        Arg::integer(
            "milliseconds",
            "wait so long for all of them to end; 0: for ever; up to 100 years; default: answer at once",
        )
        .after("BLOCK")
        .optional(),
    ],
    page: Page {
        about: "A workflow has ended when it is completed, or when it failed or was cancelled and nothing of it is running any more: `finished` is set. The client is answered as soon as all the workflows have ended, in the order in which they were named. When BLOCK runs out first, and always without BLOCK, the answer tells how things stand.\n\nAn id that is not there cannot be waited for: its entry is null, and the client waits for the others. So a workflow that is removed meanwhile (by WF.DELETE, by retention, or because the key is deleted, renamed or overwritten) is not waited for any longer. The answer is always that of a WF.WAIT without BLOCK at the moment it is given, so results of a workflow that ended must be kept until the last one has: see `RETAIN` of WF.PUSH. A workflow that WF.RETRY runs again before the answer is waited for again.\n\nIn MULTI and in scripts nothing blocks. On a replica the client waits for what arrives there. The second to last argument, if it is `BLOCK`, is the option unless it is the only id.",
        replies: &[
            ("array", "an entry for each id, in the order of the call"),
            ("null", "there is no such workflow (any more)"),
            ("map", "a workflow; a flat array in RESP2"),
            ("id", "its id"),
            ("state", "running, paused, completed, failed or cancelled"),
            ("finished", "when nothing of it was left to do, or null: it has not ended"),
            (
                "error",
                "of a failed workflow the error of the first task that failed it, or that its deadline passed; of a cancelled one the reason; else, or when none was given, null",
            ),
            (
                "results",
                "map: of each final task (one without children) that has ended its name and its result, null when it gave none",
            ),
        ],
        errors: &[("ERR", "BLOCK is out of its range"), ("LIMIT", "more than 1024 ids")],
        replicated: "Nothing.",
        example: "> WF.WAIT jobs 1 BLOCK 5000\n1)  1) \"id\"\n    2) \"1\"\n    3) \"state\"\n    4) \"completed\"\n    5) \"finished\"\n    6) (integer) 1767225630000\n    7) \"error\"\n    8) (nil)\n    9) \"results\"\n   10) 1) \"load\"\n       2) \"42 rows\"",
    },
    run,
};

/// A wait, parsed; owns its bytes so that it can wait.
#[derive(Clone, Debug)]
pub struct Wait {
    /// The workflows; at least one.
    pub ids: Box<[Box<[u8]>]>,
    /// How long to wait: 0 for ever.
    pub block_ms: u64,
    /// The place of one that has not ended.
    pub open: usize,
}

/// How workflows stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The one at this place is there and has not ended.
    Open(usize),
    /// All have ended or are not there.
    Ended {
        /// What answering costs, in tasks and ids to look at.
        effort: usize,
    },
}

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    let (ids, block) = parse(call.args)?;
    if let (Some(block_ms), true) = (block, call.may_block)
        && let Standing::Open(open) = standing(call.space()?, ids, 0)
    {
        let ids = ids.iter().map(|&id| id.into()).collect();
        call.out.block = Some(Block::Wait(Box::new(Wait { ids, block_ms, open })));
        return Ok(());
    }
    answer(ids, call)
}

/// Ids, and the time to wait when the last argument but one is the keyword.
fn parse<'a>(args: &'a [&'a [u8]]) -> Result<(&'a [&'a [u8]], Option<u64>), CommandError> {
    let (ids, block) = match args {
        [] => return Err(CommandError::WrongArity),
        [ids @ .., keyword, ms] if !ids.is_empty() && keyword.eq_ignore_ascii_case(b"BLOCK") => {
            (ids, Some(number("BLOCK", ms, 0, MAX_BLOCK_MS)?))
        }
        [_, .., keyword] if keyword.eq_ignore_ascii_case(b"BLOCK") => {
            return Err(CommandError::MissingValue("BLOCK"));
        }
        ids => (ids, None),
    };
    if ids.len() > MAX_WAIT_IDS {
        return Err(CommandError::TooMany("ids", MAX_WAIT_IDS));
    }
    Ok((ids, block))
}

/// Looks for a workflow that has not ended, from the place `from` on and round the end. Whoever waits
/// for the one that was found begins there when it ended, so that all its looks together are two
/// rounds, however many workflows it waits for.
pub fn standing(space: Option<&Space>, ids: &[impl AsRef<[u8]>], from: usize) -> Standing {
    let mut effort = ids.len();
    for at in (from..ids.len()).chain(0..from) {
        if let Some((space, slot)) = find(space, ids[at].as_ref()) {
            let (workflow, blueprint) = space.workflow(slot);
            if workflow.finished(&blueprint.shape).is_none() {
                return Standing::Open(at);
            }
            effort += blueprint.shape.len();
        }
    }
    Standing::Ended { effort }
}

fn find<'s>(space: Option<&'s Space>, id: &[u8]) -> Option<(&'s Space, Slot)> {
    let space = space?;
    Some((space, space.find(Id::of(id))?))
}

/// Tells how the workflows stand.
pub fn answer(ids: &[impl AsRef<[u8]>], call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut reply = std::mem::take(&mut call.out.reply);
    let told = call.space().map(|space| {
        reply.array(ids.len());
        for id in ids {
            match find(space, id.as_ref()) {
                None => reply.null(),
                Some((space, slot)) => entry(&mut reply, space, slot, id.as_ref()),
            }
        }
    });
    call.out.reply = reply;
    told
}

fn entry(reply: &mut Reply, space: &Space, slot: Slot, id: &[u8]) {
    let (workflow, blueprint) = space.workflow(slot);
    let shape = &blueprint.shape;
    reply.map(5);
    reply.bulk(b"id");
    reply.bulk(id);
    reply.bulk(b"state");
    reply.bulk(WORKFLOW_WORDS[workflow.word()].as_bytes());
    reply.bulk(b"finished");
    time(reply, workflow.finished(shape));
    reply.bulk(b"error");
    let reason = why_ended(space.extra(slot));
    text(reply, reason.as_deref().or_else(|| first_error(space, slot)));
    reply.bulk(b"results");
    let ended = || {
        let ends = |&task: &TaskRef| space.state_of(task).is_final();
        let last = |task: &TaskRef| shape.children(task.index).next().is_none();
        space.tasks_of(slot).filter(ends).filter(last)
    };
    reply.map(ended().count());
    for task in ended() {
        reply.bulk(shape.name(task.index));
        text(reply, space.result_of(task));
    }
}

/// The error of the task that failed a workflow first, the first in push order of several.
fn first_error(space: &Space, slot: Slot) -> Option<&[u8]> {
    let (workflow, blueprint) = space.workflow(slot);
    if workflow.state() != WorkflowState::Failed {
        return None;
    }
    let fatal = |task: &TaskRef| blueprint.shape.is_fatal(task.index);
    let failed = space.tasks_of(slot).filter(|&task| space.state_of(task) == TaskState::Failed).filter(fatal);
    failed.map(|task| space.task(task)).min_by_key(|task| task.finished)?.error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &str) -> Result<(usize, Option<u64>), CommandError> {
        let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        parse(&words).map(|(ids, block)| (ids.len(), block))
    }

    #[test]
    fn block_is_the_option_only_before_the_last_argument() {
        assert_eq!(parsed("1"), Ok((1, None)));
        assert_eq!(parsed("1 2 block 5"), Ok((2, Some(5))));
        assert_eq!(parsed("BLOCK 5"), Ok((2, None)));
        assert_eq!(parsed("block block 0"), Ok((1, Some(0))));
        assert_eq!(parsed("1 block"), Err(CommandError::MissingValue("BLOCK")));
        assert_eq!(parsed("1 block x"), Err(CommandError::NotInteger("BLOCK", b"x".to_vec())));
    }

    #[test]
    fn as_many_ids_as_there_may_be() {
        let ids = vec!["1"; MAX_WAIT_IDS].join(" ");
        assert_eq!(parsed(&format!("{ids} BLOCK 1")), Ok((MAX_WAIT_IDS, Some(1))));
        assert_eq!(parsed(&format!("{ids} 1")), Err(CommandError::TooMany("ids", MAX_WAIT_IDS)));
    }
}
