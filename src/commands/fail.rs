//! `WF.FAIL`: tasks could not be done.

use super::acknowledge::{Word, run};
use super::spec::{Access, Arg, COMMANDS, Page, Spec};

#[linkme::distributed_slice(COMMANDS)]
static FAIL: Spec = Spec {
    name: "WF.FAIL",
    place: 40,
    summary: "Fails an attempt: the task is tried again later, or fails for good and its workflow with it",
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
            Arg::one_of(
                "again",
                &[
                    Arg::integer("milliseconds", "try again after so long, 0 to 315360000000 (10 years), in place of the task's backoff; attempts count all the same").after("RETRY"),
                    Arg { optional: false, ..Arg::flag("NORETRY", "never try again") },
                ],
                "default: as the task's `max_attempts` and `backoff` say",
            )
            .optional(),
        ],
        "one task",
    )
    .repeated()],
    page: Page {
        about: "While the task has failed less than `max_attempts` times it is delayed by its backoff and then ready again; WF.GET shows the error of the last attempt. After that, or with `NORETRY`, it fails for good.\n\nThe workflow of a task that failed for good has failed: what has not started is cancelled at once, except what edges that ask for `failure` or `always` still reach; what runs runs down and its completion is accepted. The workflow is finished when nothing of it is left to do. A failure that an edge which asks for `failure` leads on from, or whose task says `\"on_failure\": \"continue\"`, does not fail the workflow; one of a workflow that says `\"fail_fast\": false` fails it at its end.\n\nTokens are judged as WF.COMPLETE judges them. The token of an attempt that failed is spent, also while the task waits to be tried again.",
        replies: &[
            ("array", "an integer for each token, in order"),
            ("1", "failed for good, now or before by this very token"),
            ("2", "will be tried again, decided now or before by this very token"),
            ("0", "stale: the lease went to someone else, or the task ended otherwise"),
            ("-1", "no such workflow or task"),
        ],
        errors: &[
            ("ERR", "an argument is not of a token's form; nothing fails"),
            ("LIMIT", "an ERROR is too long; nothing fails"),
        ],
        replicated: "`fail` with the time, and the tasks that failed with their error texts; `retry` with those to be tried again and when: the delay is drawn once, on the primary.",
        example: "> WF.FAIL jobs 1-0-9f8e7d6c ERROR 'no such table'\n1) (integer) 1",
    },
    run: |call| run(call, Word::Failed),
};
