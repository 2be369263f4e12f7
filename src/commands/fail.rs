//! `WF.FAIL`: tasks could not be done.

use super::acknowledge::{Word, run};
use super::spec::{Access, Arg, COMMANDS, Page, Spec};

#[linkme::distributed_slice(COMMANDS)]
static FAIL: Spec = Spec {
    name: "WF.FAIL",
    place: 40,
    summary: "Fails tasks, and with them their workflows",
    complexity: "O(K + N) for K tokens and N tasks of their workflows",
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
            Arg::text("text", "why, for people; up to `workflow.max-error-bytes`").after("ERROR").optional(),
        ],
        "one task",
    )
    .repeated()],
    page: Page {
        about: "The workflow of a failed task has failed: what has not started is cancelled at once, what runs runs down and its completion is accepted. The workflow is finished when nothing of it is running any more.\n\nTokens are judged as WF.COMPLETE judges them. `RETRY` and `NORETRY` are refused until retries are supported.",
        replies: &[
            ("array", "an integer for each token, in order"),
            ("1", "failed for good, now or before by this very token"),
            ("0", "stale: the lease went to someone else, or the task ended otherwise"),
            ("-1", "no such workflow or task"),
        ],
        errors: &[
            ("ERR", "an argument is not of a token's form; nothing fails"),
            ("LIMIT", "an ERROR is too long; nothing fails"),
        ],
        replicated: "`fail` with the time, and the tasks that failed with their error texts.",
        example: "> WF.FAIL jobs 1-0-9f8e7d6c ERROR 'no such table'\n1) (integer) 1",
    },
    run: |call| run(call, Word::Failed),
};
