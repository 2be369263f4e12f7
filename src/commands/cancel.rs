//! `WF.CANCEL`: workflows are called off.

use super::call::{Call, CommandError};
use super::carry_out;
use super::spec::{Access, Arg, COMMANDS, Page, Spec};
use crate::engine::effect::Effect;
use crate::engine::ids::Id;
use crate::engine::plan::still_wanted;

#[linkme::distributed_slice(COMMANDS)]
static CANCEL: Spec = Spec {
    name: "WF.CANCEL",
    place: 75,
    summary: "Calls workflows off: what has not started never will",
    complexity: "O(N) for the N tasks of the workflows",
    since: "0.1.0",
    arity: -3,
    access: Access::Update,
    deny_oom: false,
    blocking: false,
    fast: false,
    internal: false,
    args: &[
        Arg::text("id", "a workflow").repeated(),
        Arg::text("text", "why, for people; up to `workflow.max-error-bytes`").after("REASON").optional(),
    ],
    page: Page {
        about: "The tasks that have not started, and those that wait to be tried again, are cancelled at once. What runs runs down: its completion is accepted, and WF.EXTEND answers its worker 2, please stop. Edges that ask for `always` lead on: what they reach, and what lies behind that, still runs. The workflow is cancelled at once and finished when nothing of it is left to do.\n\nA workflow that has ended is left as it is.",
        replies: &[("integer", "number of workflows that were cancelled: those that were running or paused")],
        errors: &[("LIMIT", "REASON is too long; nothing is cancelled")],
        replicated: "`cancel` with the time, the workflows and the reason.",
        example: "> WF.CANCEL jobs 1 2 REASON 'ordered twice'\n(integer) 2",
    },
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    let Wanted { ids, reason } = parse(call.args)?;
    let (max, now) = (call.settings.max_error_bytes, call.now);
    if reason.is_some_and(|reason| reason.len() as u64 > max) {
        return Err(CommandError::OverLimit("REASON", max, "max-error-bytes"));
    }
    let Some((space, out)) = call.space_mut()? else {
        call.out.reply.int(0);
        return Ok(());
    };
    let mut cancelled = 0;
    for id in ids {
        if let Some(slot) = space.find(Id::of(id)).filter(|&slot| still_wanted(space, slot)) {
            carry_out(space, &Effect::Cancel { now, slot, reason }, out);
            cancelled += 1;
        }
    }
    out.reply.int(cancelled);
    Ok(())
}

/// Ids, and the reason when the last argument but one is the keyword.
struct Wanted<'a> {
    ids: &'a [&'a [u8]],
    reason: Option<&'a [u8]>,
}

fn parse<'a>(args: &'a [&'a [u8]]) -> Result<Wanted<'a>, CommandError> {
    match args {
        [] => Err(CommandError::WrongArity),
        [ids @ .., keyword, reason] if !ids.is_empty() && keyword.eq_ignore_ascii_case(b"REASON") => {
            Ok(Wanted { ids, reason: Some(reason) })
        }
        [_, .., keyword] if keyword.eq_ignore_ascii_case(b"REASON") => {
            Err(CommandError::MissingValue("REASON"))
        }
        ids => Ok(Wanted { ids, reason: None }),
    }
}
