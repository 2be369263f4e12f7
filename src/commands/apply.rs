//! `WF.APPLY`: how a change reaches replicas and the AOF.

use super::args::Args;
use super::call::{Call, CommandError};
use super::spec::{Access, Arg, COMMANDS, Page, Spec};
use crate::encoding::effect_text::apply_text;
use crate::encoding::snapshot;

#[linkme::distributed_slice(COMMANDS)]
static APPLY: Spec = Spec {
    name: "WF.APPLY",
    place: 200,
    summary: "Internal: carries a change to replicas and into the AOF",
    complexity: "O(N) for N tasks that change",
    since: "0.1.0",
    arity: -3,
    access: Access::Insert,
    deny_oom: false,
    blocking: false,
    fast: false,
    internal: true,
    args: &[Arg::text("effect", "an effect and its arguments; several may follow each other").repeated()],
    page: Page {
        about: "What is replicated is never a client's command but what it came to: which tasks, which tokens, which deadlines, at what time. Applying it reads no clock and draws no random number, so every copy of a space is equal.\n\nAn AOF reads as a log of what happened; the forms are described at the top of `src/encoding/effect_text.rs`. A client that sends this command is refused.\n\nA copy that cannot apply an effect lacks something from then on: it answers every command with `INCOMPLETE` until it is replaced by a full resync. See [upgrading.md](upgrading.md).",
        replies: &[("integer", "1")],
        errors: &[("ERR", "a client sent it, or the effect does not fit the space")],
        replicated: "As it is.",
        example: "> WF.APPLY jobs pause all -\n(error) ERR WF.APPLY is how changes reach replicas and the AOF; clients cannot send it",
    },
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    if !call.replayed {
        return Err(CommandError::Internal);
    }
    let mut rest = Args(call.args);
    let (space, out) = call.space_or_new()?;
    if space.partial() {
        // It lacks what this builds on. Whoever replays passes on what came, so the AOF has all of it.
        out.reply.int(1);
        return Ok(());
    }
    // Nothing is written down: whoever replays passes on what came.
    if rest.keyword("snapshot") {
        let chunk = rest.required()?;
        rest.end()?;
        snapshot::take_chunk(space, chunk).map_err(CommandError::Effect)?;
    } else {
        apply_text(space, rest.0, &mut out.report).map_err(CommandError::Effect)?;
    }
    out.reply.int(1);
    Ok(())
}
