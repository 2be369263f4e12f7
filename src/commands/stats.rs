//! `WF.STATS`: a space at a glance.

use super::args::Args;
use super::call::{Call, CommandError};
use super::get::counts;
use super::reply::Reply;
use super::spec::{Access, COMMANDS, Page, Spec};
use crate::engine::histogram::Histogram;
use crate::engine::state::{TaskState, WORKFLOW_WORDS};
use crate::engine::types::Type;
use crate::engine::units::Millis;

#[linkme::distributed_slice(COMMANDS)]
static STATS: Spec = Spec {
    name: "WF.STATS",
    place: 110,
    summary: "Shows how much of what a space holds, and how long tasks wait and run",
    complexity: "O(T) for T types",
    since: "0.1.0",
    arity: 2,
    access: Access::Read,
    deny_oom: false,
    blocking: false,
    fast: false,
    internal: false,
    args: &[],
    page: Page {
        about: "Everything is kept up to date as the space changes, so asking costs the same whatever the number of tasks.",
        replies: &[
            ("null", "the key is missing"),
            ("map", "the space; a flat array in RESP2"),
            ("workflows", "map: number of workflows running, paused, completed, failed, cancelled"),
            ("tasks", "map: number of tasks in each state"),
            ("paused", "1 when everything is paused, else 0"),
            ("delayed", "tasks that are due later"),
            ("retrying", "those of them of which an attempt failed"),
            ("dead", "tasks that failed for good"),
            ("signals", "tasks that wait for a signal; `tasks` counts them as ready, `types` does not"),
            (
                "next_due",
                "when something happens by itself next, unix time in milliseconds, or null: a delay ends, a signal is late, a lease or a deadline runs out, a finished workflow is removed",
            ),
            ("lease_expiries", "leases that ran out since the space exists"),
            ("attempts_retried", "attempts that failed and were to be tried again"),
            (
                "tasks_timed_out",
                "attempts that took longer than `timeout_ms`, and signals that did not come in time",
            ),
            ("tasks_poisoned", "tasks that failed because too many deliveries were lost"),
            ("workflows_timed_out", "workflows that failed of their deadline"),
            ("definitions", "workflows that WF.START can start"),
            (
                "events_lost",
                "entries that the stream of `events` did not take since this server loaded the space",
            ),
            ("types", "map of each type to a map, oldest type first"),
            ("type: paused", "1 when the type itself is paused, else 0"),
            (
                "type: ready, running, delayed",
                "tasks in these states now; ready ones without those that wait for a signal",
            ),
            (
                "type: oldest_ready_ms",
                "for how long the oldest ready task has been ready, in milliseconds; null when none is; at most 1/256 of the range too high, more only where the clock stepped back",
            ),
            (
                "type: completed, failed",
                "tasks that ended so since the space exists, also of workflows removed since",
            ),
            (
                "type: wait_p50_ms, wait_p95_ms, wait_p99_ms",
                "percentiles of the time from ready to claimed, in milliseconds, at most 1/8 too high; null before the first",
            ),
            (
                "type: run_p50_ms, run_p95_ms, run_p99_ms",
                "the same of the time from claimed to completed or failed",
            ),
        ],
        errors: &[("WRONGTYPE", "the key holds something else")],
        replicated: "Nothing.",
        example: "> WF.STATS jobs\n1) \"workflows\"\n2)  1) \"running\"\n    2) (integer) 1",
    },
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    Args(call.args).end()?;
    let (now, settings) = (call.now, call.settings);
    let mut reply = std::mem::take(&mut call.out.reply);
    let shown = call.space().map(|space| match space {
        None => reply.null(),
        Some(space) => {
            let totals = space.totals();
            reply.map(16);
            reply.bulk(b"workflows");
            counts(&mut reply, &WORKFLOW_WORDS, &totals.workflows);
            reply.bulk(b"tasks");
            counts(&mut reply, &TaskState::ALL.map(TaskState::name), &totals.tasks);
            reply.bulk(b"paused");
            reply.int(i64::from(space.paused()));
            let lifetime = space.lifetime();
            for (name, value) in [
                ("delayed", Some(totals.tasks[TaskState::Delayed as usize])),
                ("retrying", Some(totals.retrying)),
                ("dead", Some(space.dead().len() as u64)),
                ("signals", Some(space.types().iter().map(|(_, entry)| entry.signals()).sum())),
                ("next_due", space.next_due(settings, Millis(0)).map(|due| due.max(now).0)),
                ("lease_expiries", Some(lifetime.lease_expiries)),
                ("attempts_retried", Some(lifetime.attempts_retried)),
                ("tasks_timed_out", Some(lifetime.tasks_timed_out)),
                ("tasks_poisoned", Some(lifetime.tasks_poisoned)),
                ("workflows_timed_out", Some(lifetime.workflows_timed_out)),
                ("definitions", Some(space.definitions().len() as u64)),
                ("events_lost", Some(space.events_lost())),
            ] {
                reply.bulk(name.as_bytes());
                number(&mut reply, value);
            }
            reply.bulk(b"types");
            reply.map(space.types().len());
            space.types().iter().for_each(|(_, entry)| one_type(&mut reply, entry, now));
        }
    });
    call.out.reply = reply;
    shown
}

fn one_type(reply: &mut Reply, entry: &Type, now: Millis) {
    reply.bulk(&entry.name);
    reply.map(13);
    reply.bulk(b"paused");
    reply.int(i64::from(entry.paused));
    for (state, count) in [
        (TaskState::Ready, entry.ready()),
        (TaskState::Running, entry.tasks[TaskState::Running as usize]),
        (TaskState::Delayed, entry.tasks[TaskState::Delayed as usize]),
    ] {
        reply.bulk(state.name().as_bytes());
        reply.count(count);
    }
    reply.bulk(b"oldest_ready_ms");
    number(reply, entry.ages.oldest().map(|since| now.since(since)));
    reply.bulk(b"completed");
    reply.count(entry.completed);
    reply.bulk(b"failed");
    reply.count(entry.failed);
    percentiles(reply, &entry.waits, ["wait_p50_ms", "wait_p95_ms", "wait_p99_ms"]);
    percentiles(reply, &entry.runs, ["run_p50_ms", "run_p95_ms", "run_p99_ms"]);
}

fn percentiles(reply: &mut Reply, histogram: &Histogram, names: [&str; 3]) {
    let values = histogram.percentiles([50, 95, 99]).map_or([None; 3], |values| values.map(Some));
    for (name, value) in names.into_iter().zip(values) {
        reply.bulk(name.as_bytes());
        number(reply, value);
    }
}

fn number(reply: &mut Reply, number: Option<u64>) {
    match number {
        Some(number) => reply.count(number),
        None => reply.null(),
    }
}
