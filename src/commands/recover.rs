//! `WF.RECOVER`: a worker restarted under its old name.

use super::args::Args;
use super::call::{Call, CommandError, Outcome, Writing};
use super::spec::{Access, Arg, COMMANDS, Page, Spec};
use super::{carry_out, claim, token};
use crate::engine::effect::{Cause, Effect, Lease};
use crate::engine::limits::MAX_LEASE_MS;
use crate::engine::plan::held;
use crate::engine::space::Space;
use crate::engine::units::{Millis, TaskRef};
use crate::engine::verdict::poisoned;

#[linkme::distributed_slice(COMMANDS)]
static RECOVER: Spec = Spec {
    name: "WF.RECOVER",
    place: 80,
    summary: "Gives back, or takes up again, what a restarted worker had been running",
    complexity: "O(K log R) for K tasks of the worker and R running tasks",
    since: "0.1.0",
    arity: -3,
    access: Access::Update,
    deny_oom: false,
    blocking: false,
    fast: false,
    internal: false,
    args: &[
        Arg::text("worker", "the name under which the tasks were claimed"),
        Arg::flag("RESUME", "take the tasks up again instead of giving them back"),
        Arg::integer("milliseconds", "with RESUME: the lease, as in WF.CLAIM").after("LEASE").optional(),
    ],
    page: Page {
        about: "Without RESUME the running tasks of the worker become ready, at once and for anyone, and their tokens are void. With RESUME the worker gets them again under new tokens, and each counts one attempt more. Tasks of a workflow that has failed are cancelled rather than ready. Either way the delivery was lost, and a task that has lost `max_deliveries` of them fails for good: a worker that the task kills does not get it for ever.\n\nOne call recovers at most `workflow.max-count` tasks. Without RESUME call again until the reply is empty; with RESUME what is over runs on until its lease ends.",
        replies: &[
            ("array", "without RESUME: the old tokens of the tasks given back, oldest workflow first"),
            ("array of tasks", "with RESUME: the tasks, as in WF.CLAIM, without those that failed of it"),
        ],
        errors: &[("ERR", "LEASE is out of range or without RESUME")],
        replicated: "`recover` with the tasks given back, or `resume` with worker, tokens and deadlines; `poison-recovered` with tasks that failed of it.",
        example: "> WF.RECOVER jobs alice\n1) \"1-0-9f8e7d6c\"",
    },
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut args = Args(call.args);
    let worker = args.name("worker")?;
    let (mut resume, mut lease_ms) = (false, None);
    while !args.0.is_empty() {
        if args.keyword("RESUME") {
            if std::mem::replace(&mut resume, true) {
                return Err(CommandError::Repeated("RESUME"));
            }
        } else if args.keyword("LEASE") {
            super::args::once(&mut lease_ms, "LEASE", args.number("LEASE", 1, MAX_LEASE_MS)?)?;
        } else {
            args.end()?;
        }
    }
    if lease_ms.is_some() && !resume {
        return Err(CommandError::Needs("LEASE", "RESUME"));
    }
    let (now, settings) = (call.now, call.settings);
    let Some(Writing { space, out, random }) = call.writing()? else {
        call.out.reply.array(0);
        return Ok(());
    };
    let settings = space.settings(settings);
    let mut tasks = held(space, worker, settings.max_count as usize);
    if resume {
        tasks.retain(|&task| match poisoned(space, task, &settings) {
            None => true,
            Some(error) => {
                fail(space, task, now, &error, out);
                false
            }
        });
        claim::keep_what_fits(space, &mut tasks, false);
        let grants = claim::grants(space, &tasks, lease_ms, now, &settings, random);
        if !grants.is_empty() {
            carry_out(space, &Effect::Resume(Lease { worker, now, grants: &grants }), out);
        }
        claim::reply(space, &grants, false, out);
        return Ok(());
    }
    out.reply.array(tasks.len());
    for task in tasks {
        let nonce = space.task(task).nonce;
        out.reply.bulk_with(|bytes| {
            token::write(space.id_of(task.slot), task.index, nonce.expect("it is running"), bytes)
        });
        match poisoned(space, task, &settings) {
            None => carry_out(space, &Effect::Recover { now, task }, out),
            Some(error) => fail(space, task, now, &error, out),
        }
    }
    Ok(())
}

/// The task was lost once too often.
fn fail(space: &mut Space, task: TaskRef, now: Millis, error: &[u8], out: &mut Outcome) {
    carry_out(space, &Effect::Fail { now, task, error: Some(error), cause: Cause::Recovered }, out);
}
