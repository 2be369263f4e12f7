//! `WF.RELEASE`: handing out goes on.

use super::pause::{Change, WHAT, run};
use super::spec::{Access, Arg, COMMANDS, Page, Spec};

#[linkme::distributed_slice(COMMANDS)]
static RELEASE: Spec = Spec {
    name: "WF.RELEASE",
    place: 70,
    summary: "Goes on handing out tasks of workflows, of types, or of the whole space",
    complexity: "O(N) for the N tasks of the workflows, O(1) for a type or ALL",
    since: "0.1.0",
    arity: -3,
    access: Access::Update,
    deny_oom: false,
    blocking: false,
    fast: false,
    internal: false,
    args: &[Arg::one_of("what", WHAT, "what is released")],
    page: Page {
        about: "Undoes the WF.PAUSE of the same kind, and PAUSED of WF.PUSH. Tasks come back in their old order, those whose parents completed meanwhile become ready, and waiting workers are served.",
        replies: &[("integer", "number of workflows or types that changed; for ALL 1 or 0")],
        errors: &[("ERR", "none of ID, TYPE and ALL is given")],
        replicated: "`release` with what changed.",
        example: "> WF.RELEASE jobs TYPE etl\n(integer) 1",
    },
    run: |call| run(call, Change::Release),
};
