//! `WF.CLAIM`: a worker takes tasks, or waits for them.

use super::args::{Args, once};
use super::call::{Block, Call, CommandError, Outcome, Writing};
use super::reply::Reply;
use super::spec::{Access, Arg, COMMANDS, Page, Spec};
use super::sweep::Sweep;
use super::{carry_out, token};
use crate::engine::effect::{Effect, Grant, Lease};
use crate::engine::limits::{
    MAX_BLOCK_MS, MAX_CLAIM_BYTES, MAX_CLAIM_PARENTS, MAX_CLAIM_TYPES, MAX_LEASE_MS, MAX_PRIORITY, Settings,
};
use crate::engine::plan::{Wanted, claimable, has_room_for_worker};
use crate::engine::space::Space;
use crate::engine::units::{Millis, Nonce, TaskRef, TypeId};
use crate::engine::verdict::first_deadline;

#[linkme::distributed_slice(COMMANDS)]
static CLAIM: Spec = Spec {
    name: "WF.CLAIM",
    place: 20,
    summary: "Leases ready tasks to a worker, or waits for one",
    complexity: "O(T + C log T) for T types asked for and C tasks claimed; without TYPES, T is the number of types of the space",
    since: "0.1.0",
    arity: -3,
    access: Access::Update,
    deny_oom: false,
    blocking: true,
    fast: false,
    internal: false,
    args: &[
        Arg::text("worker", "the name of who runs the task, chosen by the client; survives reconnects; 1 to 512 bytes"),
        Arg::group(
            "types",
            &[
                Arg::integer("numtypes", "how many types follow, 1 to 1024"),
                Arg::text("type", "a type whose tasks the worker can run").repeated(),
            ],
            "only tasks of these types; default: of any type",
        )
        .after("TYPES")
        .optional(),
        Arg::integer("count", "at most so many tasks, 1 to `workflow.max-count`; default 1; fewer when payloads, INPUT and results would add up to more than 32 MiB, or parents WITHRESULTS to more than 100000").after("COUNT").optional(),
        Arg::integer("milliseconds", "when there is nothing to claim, wait so long for a task; 0: for ever; up to 100 years")
            .after("BLOCK")
            .optional(),
        Arg::integer("milliseconds", "the lease, 1 to 2592000000 (30 days); default: the task's `lease_ms`, else `workflow.default-lease-ms`")
            .after("LEASE")
            .optional(),
        Arg::integer("priority", "only tasks whose priority value is at most this").after("MAXPRIORITY").optional(),
        Arg::flag("WITHRESULTS", "append to each task the names and results of its parents"),
    ],
    page: Page {
        about: "Tasks are handed out in the order of (priority, age of the workflow, place in the workflow), lowest first. A claimed task is leased: unless it is completed, failed or extended before the deadline, it becomes ready again, and when that has happened `max_deliveries` times it fails for good. The deadline is never after the task's `timeout_ms`; when that passes, the attempt has failed.\n\nClients that wait are served in order of arrival among those that can take the task. In MULTI and in scripts nothing blocks. A key that is missing has nothing to claim and is not created.",
        replies: &[
            ("array", "the claimed tasks; empty when there is none, also after BLOCK ran out"),
            ("task[0]", "token: proves the lease; for WF.COMPLETE, WF.FAIL and WF.EXTEND"),
            ("task[1]", "id of the workflow"),
            ("task[2]", "name of the task"),
            ("task[3]", "type of the task"),
            ("task[4]", "attempt: how often the task was handed out, this time included"),
            ("task[5]", "deadline of the lease, unix time in milliseconds"),
            ("task[6]", "payload"),
            ("task[7]", "INPUT of the workflow, or null"),
            ("task[8]", "with WITHRESULTS: for each parent its name and its result or null, in one flat array"),
        ],
        errors: &[("ERR", "an argument is out of its range"), ("LIMIT", "a name is too long")],
        replicated: "`claim` with worker, time, tokens and deadlines; before it what was found to be due: `due`, `signal-timeout`, `expire`, `retry-timeout`, `timeout`, `poison`, `deadline`, `delete`. Nothing when nothing was claimed and nothing was due.",
        example: "> WF.CLAIM jobs alice TYPES 1 etl BLOCK 5000 LEASE 30000\n1) 1) \"1-0-9f8e7d6c\"\n   2) \"1\"\n   3) \"extract\"\n   4) \"etl\"\n   5) (integer) 1\n   6) (integer) 1767225630000\n   7) \"\"\n   8) (nil)",
    },
    run,
};

/// A claim, parsed; owns its bytes so that it can wait.
#[derive(Clone, Debug)]
pub struct Claim {
    worker: Box<[u8]>,
    /// Types wanted, each once; empty: any.
    pub types: Vec<Box<[u8]>>,
    count: usize,
    /// How long to wait: 0 for ever, `None` not at all.
    pub block_ms: Option<u64>,
    lease_ms: Option<u64>,
    /// The highest priority value wanted.
    pub max_priority: Option<u32>,
    with_results: bool,
}

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    let claim = parse(Args(call.args), call.settings)?;
    if serve(&claim, call)? {
        return Ok(());
    }
    if claim.block_ms.is_some() && call.may_block {
        call.out.block = Some(Block::Claim(Box::new(claim)));
    } else {
        empty_reply(&mut call.out.reply);
    }
    Ok(())
}

fn parse(mut args: Args<'_>, settings: &Settings) -> Result<Claim, CommandError> {
    let worker = args.name("worker")?;
    if worker.is_empty() {
        return Err(CommandError::Empty("worker"));
    }
    let (mut types, mut count, mut block, mut lease) = (None, None, None, None);
    let (mut priority, mut results) = (None, None);
    while !args.0.is_empty() {
        if args.keyword("TYPES") {
            let number = args.number("TYPES", 1, MAX_CLAIM_TYPES as u64)?;
            let mut names: Vec<Box<[u8]>> = Vec::with_capacity(number as usize);
            for _ in 0..number {
                names.push(args.name("TYPES")?.into());
            }
            names.sort_unstable();
            names.dedup();
            once(&mut types, "TYPES", names)?;
        } else if args.keyword("COUNT") {
            once(&mut count, "COUNT", args.number("COUNT", 1, settings.max_count)?)?;
        } else if args.keyword("BLOCK") {
            once(&mut block, "BLOCK", args.number("BLOCK", 0, MAX_BLOCK_MS)?)?;
        } else if args.keyword("LEASE") {
            once(&mut lease, "LEASE", args.number("LEASE", 1, MAX_LEASE_MS)?)?;
        } else if args.keyword("MAXPRIORITY") {
            once(&mut priority, "MAXPRIORITY", args.number("MAXPRIORITY", 0, u64::from(MAX_PRIORITY))?)?;
        } else if args.keyword("WITHRESULTS") {
            once(&mut results, "WITHRESULTS", ())?;
        } else {
            args.end()?;
        }
    }
    Ok(Claim {
        worker: worker.into(),
        types: types.unwrap_or_default(),
        count: count.unwrap_or(1) as usize,
        block_ms: block,
        lease_ms: lease,
        max_priority: priority.map(|priority| priority as u32),
        with_results: results.is_some(),
    })
}

/// The reply when there is nothing to claim.
pub fn empty_reply(reply: &mut Reply) {
    reply.array(0);
}

/// Claims for a client that asks or has been waiting; leases that ran out are taken back first.
/// False when there is nothing to claim, and then there is no reply.
pub fn serve(claim: &Claim, call: &mut Call<'_>) -> Result<bool, CommandError> {
    let (now, settings) = (call.now, call.settings);
    let sweep = Sweep { now, expire_from: call.expire_from, settings };
    let Some(Writing { space, out, random }) = call.writing()? else { return Ok(false) };
    sweep.run(space, out, random);
    let mut picked = pick(space, claim, now);
    keep_what_fits(space, &mut picked, claim.with_results);
    if picked.is_empty() {
        return Ok(false);
    }
    if !has_room_for_worker(space, &claim.worker) {
        return Err(CommandError::TooManyWorkers);
    }
    let settings = space.settings(settings);
    let grants = grants(space, &picked, claim.lease_ms, now, &settings, random);
    let lease = Lease { worker: &claim.worker, now, grants: &grants };
    carry_out(space, &Effect::Claim(lease), out);
    reply(space, &grants, claim.with_results, out);
    Ok(true)
}

fn pick(space: &mut Space, claim: &Claim, now: Millis) -> Vec<TaskRef> {
    let max_priority = claim.max_priority.unwrap_or(MAX_PRIORITY);
    if claim.types.is_empty() {
        space.note_asked(None, now);
        return claimable(space, Wanted::Any, claim.count, max_priority);
    }
    let ids: Vec<TypeId> = claim.types.iter().filter_map(|name| space.type_id(name)).collect();
    ids.iter().for_each(|&id| space.note_asked(Some(id), now));
    claimable(space, Wanted::Types(&ids), claim.count, max_priority)
}

/// Cuts a list of tasks to what one reply may hold; the first is always kept.
pub fn keep_what_fits(space: &Space, tasks: &mut Vec<TaskRef>, with_results: bool) {
    // The block of a workflow is at least as large as a payload and its INPUT; nearly always that
    // is all there is to look at.
    let at_most = |task: &TaskRef| space.workflows().at(task.slot).heap_bytes();
    if !with_results && tasks.iter().map(at_most).sum::<usize>() <= MAX_CLAIM_BYTES {
        return;
    }
    let (mut left, mut parents_left) = (MAX_CLAIM_BYTES, MAX_CLAIM_PARENTS);
    let fits = tasks.iter().take_while(|task| {
        let (workflow, blueprint) = space.workflow(task.slot);
        let shape = &blueprint.shape;
        let mut bytes =
            workflow.payload(shape, task.index).len() + workflow.input(shape).map_or(0, <[u8]>::len);
        let enough = left == 0 || parents_left == 0;
        if with_results && !enough {
            parents_left = parents_left.saturating_sub(shape.parents(task.index).len());
            let results = shape.parents(task.index).map(|parent| {
                let parent = TaskRef { slot: task.slot, index: parent };
                shape.name(parent.index).len() + space.result_of(parent).map_or(0, <[u8]>::len)
            });
            bytes += results.sum::<usize>();
        }
        left = left.saturating_sub(bytes);
        !enough
    });
    let fits = fits.count();
    tasks.truncate(fits);
}

/// Leases on tasks: LEASE of the command, else the task's, else the configuration's.
pub fn grants(
    space: &Space,
    tasks: &[TaskRef],
    lease_ms: Option<u64>,
    now: Millis,
    settings: &Settings,
    random: &mut dyn FnMut() -> u32,
) -> Vec<Grant> {
    let grant = |&task: &TaskRef| {
        let own = || space.workflow(task.slot).1.shape.options(task.index).lease_ms;
        let lease = lease_ms.or_else(own).unwrap_or(settings.default_lease_ms);
        Grant { task, nonce: Nonce(random()), deadline: first_deadline(space, task, now, lease) }
    };
    tasks.iter().map(grant).collect()
}

/// Claimed tasks as the client gets them.
pub fn reply(space: &Space, grants: &[Grant], with_results: bool, out: &mut Outcome) {
    let reply = &mut out.reply;
    reply.array(grants.len());
    for grant in grants {
        let task = grant.task;
        let (workflow, blueprint) = space.workflow(task.slot);
        let shape = &blueprint.shape;
        reply.array(if with_results { 9 } else { 8 });
        reply.bulk_with(|bytes| token::write(space.id_of(task.slot), task.index, grant.nonce, bytes));
        // A token begins with the id and goes on with dash, index, dash and eight digits.
        reply.bulk_again(|token| token[..token.len() - 9].iter().rposition(|&byte| byte == b'-'));
        reply.bulk(shape.name(task.index));
        reply.bulk(space.type_name(blueprint.type_id(task.index)));
        reply.count(u64::from(workflow.attempts(shape, task.index)));
        reply.count(grant.deadline.0);
        reply.bulk(workflow.payload(shape, task.index));
        match workflow.input(shape) {
            Some(input) => reply.bulk(input),
            None => reply.null(),
        }
        if with_results {
            reply.array(shape.parents(task.index).len() * 2);
            for parent in shape.parents(task.index) {
                reply.bulk(shape.name(parent));
                match space.result_of(TaskRef { slot: task.slot, index: parent }) {
                    Some(result) => reply.bulk(result),
                    None => reply.null(),
                }
            }
        }
    }
}
