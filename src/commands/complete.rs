//! `WF.COMPLETE`: tasks are done.

use super::acknowledge::{Word, run};
use super::spec::{Access, Arg, COMMANDS, Page, Spec};

#[linkme::distributed_slice(COMMANDS)]
static COMPLETE: Spec = Spec {
    name: "WF.COMPLETE",
    place: 30,
    summary: "Completes tasks; children whose parents have all completed become ready",
    complexity: "O(K + C) for K tokens and C children of their tasks; the last task of a workflow adds O(N) for its N tasks",
    since: "0.1.0",
    arity: -3,
    access: Access::Update,
    deny_oom: false,
    blocking: false,
    fast: false,
    internal: false,
    args: &[Arg::group(
        "task",
        &[
            Arg::text("token", "the token that WF.CLAIM gave"),
            Arg::text("value", "the result of this task; up to `workflow.max-result-bytes`")
                .after("RESULT")
                .optional(),
        ],
        "one task",
    )
    .repeated()],
    page: Page {
        about: "The newest token of a task is good until the task is claimed again, taken back by WF.RECOVER, or ended. So a completion that comes after the lease ran out counts, as long as nobody else has claimed the task. Sending a completion again is safe: it is recognised and changes nothing.\n\nA completion is accepted while the workflow is paused or has failed; children then start only where the workflow's state allows. It is never refused for lack of memory.",
        replies: &[
            ("array", "an integer for each token, in order"),
            ("1", "completed"),
            ("2", "already completed by this very token"),
            ("0", "stale: the lease went to someone else, or the task ended otherwise"),
            ("-1", "no such workflow or task"),
        ],
        errors: &[
            ("ERR", "an argument is not of a token's form; nothing is completed"),
            ("LIMIT", "a RESULT is too long; nothing is completed"),
        ],
        replicated: "`complete` with the time, and the tasks that completed with their results.",
        example: "> WF.COMPLETE jobs 1-0-9f8e7d6c RESULT '{\"rows\": 3}'\n1) (integer) 1",
    },
    run: |call| run(call, Word::Completed),
};
