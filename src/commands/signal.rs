//! `WF.SIGNAL`: something outside has happened, and ends the task that waits for it.

use super::args::Args;
use super::call::{Call, CommandError};
use super::carry_out;
use super::spec::{Access, Arg, COMMANDS, Page, Spec};
use crate::engine::effect::{Effect, SignalEnd};
use crate::engine::ids::Id;
use crate::engine::units::{TaskIndex, TaskRef};
use crate::engine::verdict::{Reception, receive};

#[linkme::distributed_slice(COMMANDS)]
static SIGNAL: Spec = Spec {
    name: "WF.SIGNAL",
    place: 45,
    summary: "Ends a task that waits for a signal: an approval, a payment, a callback",
    complexity: "O(N + C) for the N tasks of the workflow and the C children of the task",
    since: "0.1.0",
    arity: -4,
    access: Access::Update,
    deny_oom: false,
    blocking: false,
    fast: false,
    internal: false,
    args: &[
        Arg::text("id", "the workflow"),
        Arg::text("task", "the name of a task of it that has `\"signal\": true` in the document"),
        Arg::one_of(
            "end",
            &[
                Arg::text("value", "the task completes, with this result; up to `workflow.max-result-bytes`")
                    .after("RESULT"),
                Arg::text(
                    "error",
                    "the task fails for good: why, for people; up to `workflow.max-error-bytes`",
                )
                .after("FAIL"),
            ],
            "default: the task completes, without a result",
        )
        .optional(),
    ],
    page: Page {
        about: "A task with `\"signal\": true` is never claimed. It waits for its signal from the moment its parents have ended (and `delay_ms` is over), as `ready` in WF.GET and for reason `signal` in WF.WHY. The signal completes or fails it as a worker would have: its children become ready, or its workflow fails. With `timeout_ms` it fails by itself when it has waited so long, with the error `timed out after <timeout_ms> ms`; there are no retries.\n\nA signal that comes before the task waits for it changes nothing and is answered with 3: send it again. What may come early is best a task without parents: it waits from the push on, and what needs both has both for parents.\n\nA signal is accepted while the workflow is paused, or has failed but left the task waiting; children then start as the workflow's state allows. It is never refused for lack of memory. Sending it again is safe: it is recognised and changes nothing, whatever its contents.",
        replies: &[
            ("1", "the task has ended by this"),
            ("2", "it had ended so before: completed, or with `FAIL` failed, by a signal"),
            ("3", "it does not wait yet: nothing has happened"),
            (
                "0",
                "it ended otherwise: the contrary was signalled, its time was over, it was cancelled or skipped",
            ),
            ("-1", "no such workflow or task"),
        ],
        errors: &[
            ("ERR", "the task is one that workers run, or an option is not known"),
            ("LIMIT", "`RESULT`, `FAIL` or the name of the task is too long"),
        ],
        replicated: "`signal` or `signal-fail` with the time, the task, and its result or error.",
        example: "> WF.SIGNAL jobs order-7 approve RESULT '{\"by\": \"ann\"}'\n(integer) 1",
    },
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut args = Args(call.args);
    let (id, name) = (args.required()?, args.name("task")?);
    let end = end(&mut args, call)?;
    let now = call.now;
    let Some((space, out)) = call.space_mut()? else {
        call.out.reply.int(-1);
        return Ok(());
    };
    let task = space.find(Id::of(id)).and_then(|slot| {
        let place = space.workflow(slot).1.shape.names().position(|other| other == name)?;
        Some(TaskRef { slot, index: TaskIndex(place as u32) })
    });
    let Some(task) = task else {
        out.reply.int(-1);
        return Ok(());
    };
    let failed = matches!(end, SignalEnd::Failed(_));
    let code = match receive(space, task) {
        Reception::NoSignal => return Err(CommandError::NoSignalTask(name.to_vec())),
        Reception::Early => 3,
        Reception::Ends => {
            carry_out(space, &Effect::Signal { now, task, end }, out);
            1
        }
        Reception::Completed if !failed => 2,
        Reception::Failed if failed => 2,
        Reception::Completed | Reception::Failed | Reception::Late => 0,
    };
    out.reply.int(code);
    Ok(())
}

fn end<'a>(args: &mut Args<'a>, call: &Call<'_>) -> Result<SignalEnd<'a>, CommandError> {
    let mut end = None;
    while !args.0.is_empty() {
        let (next, keyword) = if args.keyword("RESULT") {
            let (value, max) = (args.value("RESULT")?, call.settings.max_result_bytes);
            if value.len() as u64 > max {
                return Err(CommandError::OverLimit("RESULT", max, "max-result-bytes"));
            }
            (SignalEnd::Completed(Some(value)), "RESULT")
        } else if args.keyword("FAIL") {
            let (error, max) = (args.value("FAIL")?, call.settings.max_error_bytes);
            if error.len() as u64 > max {
                return Err(CommandError::OverLimit("FAIL", max, "max-error-bytes"));
            }
            (SignalEnd::Failed(Some(error)), "FAIL")
        } else {
            args.end()?;
            break;
        };
        match (end.replace(next), next) {
            (None, _) => {}
            (Some(SignalEnd::Completed(_)), SignalEnd::Completed(_))
            | (Some(SignalEnd::Failed(_)), SignalEnd::Failed(_)) => {
                return Err(CommandError::Repeated(keyword));
            }
            _ => return Err(CommandError::Excludes("RESULT", "FAIL")),
        }
    }
    Ok(end.unwrap_or(SignalEnd::Completed(None)))
}
