//! `WF.DELETE`: workflows go.

use super::args::Args;
use super::call::{Call, CommandError};
use super::carry_out;
use super::spec::{Access, Arg, COMMANDS, Page, Spec};
use crate::engine::effect::Effect;
use crate::engine::ids::Id;

#[linkme::distributed_slice(COMMANDS)]
static DELETE: Spec = Spec {
    name: "WF.DELETE",
    place: 100,
    summary: "Removes workflows, whatever their state",
    complexity: "O(N) for the N tasks of the workflows",
    since: "0.1.0",
    arity: -3,
    access: Access::Delete,
    deny_oom: false,
    blocking: false,
    fast: false,
    internal: false,
    args: &[Arg::text("id", "a workflow").repeated()],
    page: Page {
        about: "Its running leases become unknown: an acknowledgement is answered with -1. Its id is not generated again. The space stays, even when it is empty; DEL removes it.",
        replies: &[("integer", "number of workflows removed")],
        errors: &[("WRONGTYPE", "the key holds something else")],
        replicated: "`delete` with the ids of the workflows removed.",
        example: "> WF.DELETE jobs 1 order-7\n(integer) 2",
    },
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    let ids = Args(call.args).0;
    let Some((space, out)) = call.space_mut()? else {
        call.out.reply.int(0);
        return Ok(());
    };
    let mut removed = 0;
    for id in ids {
        if let Some(slot) = space.find(Id::of(id)) {
            carry_out(space, &Effect::Delete { slot }, out);
            removed += 1;
        }
    }
    out.reply.int(removed);
    Ok(())
}
