//! `WF.WORKERS`: who works on a space.

use super::args::Args;
use super::call::{Call, CommandError};
use super::get::time;
use super::reply::Reply;
use super::spec::{Access, COMMANDS, Page, Spec};
use crate::engine::units::Millis;
use crate::engine::workers::{Deeds, Worker};

#[linkme::distributed_slice(COMMANDS)]
static WORKERS: Spec = Spec {
    name: "WF.WORKERS",
    place: 114,
    summary: "Lists the workers that a space remembers, and what each has done",
    complexity: "O(W log W) for W workers",
    since: "0.1.0",
    arity: 2,
    access: Access::Read,
    deny_oom: false,
    blocking: false,
    fast: false,
    internal: false,
    args: &[],
    page: Page {
        about: "A space remembers a worker as long as a task that it had last is there; with the last such workflow the name goes, and its counts with it. Under the same name they begin at 0 again. Replicas and files have the same counts.\n\nWF.EXTEND is not counted as a sign of life: it says until when a lease goes on, and no more.",
        replies: &[
            ("array", "a map a worker, by name; empty when the key is missing"),
            ("name", "as given to WF.CLAIM"),
            ("held", "tasks it is running"),
            (
                "last_seen",
                "when it last got a task, acknowledged one, or had one taken back or taken up again by WF.RECOVER, unix time in milliseconds; null when the file of an earlier version did not say",
            ),
            ("claims", "tasks handed to it by WF.CLAIM and WF.RECOVER RESUME"),
            ("completions", "tasks it completed"),
            ("failures", "attempts of its that failed: by WF.FAIL, or because they took too long"),
            (
                "lost",
                "deliveries to it that ended without an acknowledgement: the lease ran out, or WF.RECOVER came first",
            ),
        ],
        errors: &[("WRONGTYPE", "the key holds something else")],
        replicated: "Nothing.",
        example: "> WF.WORKERS jobs\n1)  1) \"name\"\n    2) \"alice\"\n    3) \"held\"\n    4) (integer) 2\n    5) \"last_seen\"\n    6) (integer) 1767225600000\n    7) \"claims\"\n    8) (integer) 120\n    9) \"completions\"\n   10) (integer) 117\n   11) \"failures\"\n   12) (integer) 1\n   13) \"lost\"\n   14) (integer) 0",
    },
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    Args(call.args).end()?;
    let mut reply = std::mem::take(&mut call.out.reply);
    let shown = call.space().map(|space| {
        let workers = space.into_iter().flat_map(|space| space.workers().iter());
        let mut workers: Vec<&Worker> = workers.map(|(_, worker)| worker).collect();
        workers.sort_unstable_by_key(|worker| &*worker.name);
        reply.array(workers.len());
        workers.into_iter().for_each(|worker| one(&mut reply, worker));
    });
    call.out.reply = reply;
    shown
}

fn one(reply: &mut Reply, worker: &Worker) {
    let Deeds { seen, claims, completions, failures, lost } = worker.deeds;
    reply.map(7);
    reply.bulk(b"name");
    reply.bulk(&worker.name);
    reply.bulk(b"held");
    reply.count(worker.held.len() as u64);
    reply.bulk(b"last_seen");
    time(reply, Some(seen).filter(|&seen| seen > Millis(0)));
    for (name, count) in
        [("claims", claims), ("completions", completions), ("failures", failures), ("lost", lost)]
    {
        reply.bulk(name.as_bytes());
        reply.count(count);
    }
}
