//! `WF.UNDEFINE`: definitions go.

use super::args::Args;
use super::call::{Call, CommandError};
use super::carry_out;
use super::spec::{Access, Arg, COMMANDS, Page, Spec};
use crate::engine::effect::Effect;

#[linkme::distributed_slice(COMMANDS)]
static UNDEFINE: Spec = Spec {
    name: "WF.UNDEFINE",
    place: 16,
    summary: "Removes definitions; workflows that were started from them go on",
    complexity: "O(D) for D definitions",
    since: "0.1.0",
    arity: -3,
    access: Access::Delete,
    deny_oom: false,
    blocking: false,
    fast: false,
    internal: false,
    args: &[Arg::text("name", "a definition").repeated()],
    page: Page {
        about: "No workflow depends on a definition once it is started. The space stays, even when it is empty; DEL removes it.",
        replies: &[("integer", "number of definitions removed")],
        errors: &[("WRONGTYPE", "the key holds something else")],
        replicated: "`undefine` with the names of the definitions removed.",
        example: "> WF.UNDEFINE jobs nightly weekly\n(integer) 1",
    },
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    let names = Args(call.args).0;
    let Some((space, out)) = call.space_mut()? else {
        call.out.reply.int(0);
        return Ok(());
    };
    let mut removed = 0;
    for &definition in names {
        if space.definitions().get(definition).is_some() {
            carry_out(space, &Effect::Undefine { definition }, out);
            removed += 1;
        }
    }
    out.reply.int(removed);
    Ok(())
}
