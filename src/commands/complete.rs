//! `WF.COMPLETE`: tasks are done.

use super::acknowledge::{Word, run};
use super::spec::{Access, Arg, COMMANDS, Page, Spec};

#[linkme::distributed_slice(COMMANDS)]
static COMPLETE: Spec = Spec {
    name: "WF.COMPLETE",
    place: 30,
    summary: "Completes tasks; children whose parents have all completed become ready",
    complexity: "O(K + E log C) for K tokens, E edges from and to their tasks and C children of one task; with SKIP also for those of what is skipped; the last task of a workflow adds O(N) for its N tasks",
    since: "0.1.0",
    arity: -3,
    access: Access::Update,
    deny_oom: false,
    blocking: false,
    fast: false,
    internal: false,
    args: &[
        Arg::group(
        "task",
        &[
            Arg::text("token", "the token that WF.CLAIM gave"),
            Arg::text("value", "the result of this task; up to `workflow.max-result-bytes`")
                .after("RESULT")
                .optional(),
        ],
        "one task",
    )
    .repeated(),
        Arg::text("child", "the name of a child of the task that is not to run; takes all arguments behind it, so that there can be only one token")
            .after("SKIP")
            .optional()
            .repeated(),
    ],
    page: Page {
        about: "The newest token of a task is good until the task is claimed again, taken back by WF.RECOVER, or ended. So a completion that comes after the lease ran out counts, as long as nobody else has claimed the task. Sending a completion again is safe: it is recognised and changes nothing.\n\nThe result is handed to the children, with WITHRESULTS of WF.CLAIM, and shown by WF.GET. It is freed when no child can want it any more, unless the task has `\"keep_result\": true`; one of a task without children stays as long as its workflow: see [flow.md](flow.md#results). There is no limit on all results of a workflow, because nothing may keep a task from completing.\n\nA completion is accepted while the workflow is paused or has failed; children then start only where the workflow's state allows. It is never refused for lack of memory.\n\nWith `SKIP` the worker decides which way a workflow takes: the edges from the task to the children that it names do not hold, whatever their conditions say. Such a child is skipped when all its parents have ended, and its own children see that: those that ask for its success are skipped as well. Names that come twice fold. The choice can be made in any workflow, and belongs to the completion: it stays as long as the task is completed, so WF.RETRY forgets it where the task starts over and keeps it where it does not, and a repeated completion that names other children changes nothing. WF.WHY tells of a skipped task whose choice it was.",
        replies: &[
            ("array", "an integer for each token, in order"),
            ("1", "completed"),
            ("2", "already completed by this very token"),
            ("0", "stale: the lease went to someone else, or the task ended otherwise"),
            ("-1", "no such workflow or task"),
        ],
        errors: &[
            (
                "ERR",
                "an argument is not of a token's form; SKIP is without a name or with more than one token; it names what is no child of the task that would complete; nothing is completed",
            ),
            ("LIMIT", "a RESULT is too long; nothing is completed"),
        ],
        replicated: "`done` with the time, and the tasks that completed with their results; with SKIP `choose`, which adds the indexes of the skipped children.",
        example: "> WF.COMPLETE jobs 1-0-9f8e7d6c RESULT '{\"rows\": 3}'\n1) (integer) 1\n> WF.COMPLETE jobs 2-0-1b2c3d4e SKIP refund notify\n1) (integer) 1",
    },
    run: |call| run(call, Word::Completed),
};
