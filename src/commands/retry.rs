//! `WF.RETRY`: a failed workflow runs again.

use super::args::Args;
use super::call::{Call, CommandError};
use super::carry_out;
use super::spec::{Access, Arg, COMMANDS, Page, Spec};
use crate::engine::effect::Effect;
use crate::engine::ids::Id;
use crate::engine::space::Space;
use crate::engine::state::{TaskState, WorkflowState};
use crate::engine::units::{Slot, TaskIndex};

#[linkme::distributed_slice(COMMANDS)]
static RETRY: Spec = Spec {
    name: "WF.RETRY",
    place: 85,
    summary: "Runs what failed in a failed workflow again, and what lies behind it",
    complexity: "O(N+E) for the N tasks and E edges of the workflow",
    since: "0.1.0",
    arity: -3,
    access: Access::Update,
    deny_oom: true,
    blocking: false,
    fast: false,
    internal: false,
    args: &[
        Arg::text("id", "the workflow"),
        Arg::text("name", "run only this failed task again").after("TASK").optional(),
    ],
    page: Page {
        about: "The failed tasks of the workflow, those that were cancelled, and all that lies behind these start over as if they had never been handed out: attempts count from 1, old tokens are stale, results are gone. What is running goes on, and everything else stays as it is: what completed before a failure is not run again, and neither is a task whose failure an edge handled or the workflow bears. The workflow is running again, and its deadline, if it has one, starts over.\n\nWith `TASK` only this failed task starts over, and the others that failed the workflow stay failed with all that lies behind them; when everything else has ended, the workflow has failed again. A workflow that failed of its deadline has nothing but cancelled tasks to run again.",
        replies: &[
            ("1", "it runs again"),
            ("0", "the workflow has not failed, or the named task has not"),
            ("-1", "no such workflow or task"),
        ],
        errors: &[("ERR", "an option is not known"), ("OOM", "the server has reached `maxmemory`")],
        replicated: "`rerun` with the time, the workflow and the task.",
        example: "> WF.RETRY jobs 1\n(integer) 1",
    },
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut args = Args(call.args);
    let id = args.required()?;
    let name = if args.keyword("TASK") { Some(args.name("TASK")?) } else { None };
    args.end()?;
    let now = call.now;
    let Some((space, out)) = call.space_mut()? else {
        call.out.reply.int(-1);
        return Ok(());
    };
    let code = match space.find(Id::of(id)) {
        None => -1,
        Some(slot) => match judge(space, slot, name) {
            Verdict::Again(task) => {
                carry_out(space, &Effect::Rerun { now, slot, task }, out);
                1
            }
            Verdict::NotFailed => 0,
            Verdict::Unknown => -1,
        },
    };
    out.reply.int(code);
    Ok(())
}

enum Verdict {
    Again(Option<TaskIndex>),
    NotFailed,
    Unknown,
}

fn judge(space: &Space, slot: Slot, name: Option<&[u8]>) -> Verdict {
    let (workflow, blueprint) = space.workflow(slot);
    let failed = workflow.state() == WorkflowState::Failed;
    let Some(name) = name else {
        return if failed { Verdict::Again(None) } else { Verdict::NotFailed };
    };
    let Some(task) = blueprint.shape.names().position(|other| other == name) else {
        return Verdict::Unknown;
    };
    let task = TaskIndex(task as u32);
    match failed && workflow.task_state(task) == TaskState::Failed {
        true => Verdict::Again(Some(task)),
        false => Verdict::NotFailed,
    }
}
