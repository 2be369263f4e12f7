//! `WF.PUSH`: a workflow comes in.

use super::args::{Args, once};
use super::call::{Call, CommandError, Outcome};
use super::carry_out;
use super::spec::{Access, Arg, COMMANDS, Page, Spec};
use crate::encoding::document::{self, Filling};
use crate::engine::effect::{Effect, Push};
use crate::engine::extras::Timeout;
use crate::engine::ids::Id;
use crate::engine::limits::{DEFAULT_PRIORITY, MAX_DURATION_MS, MAX_ID_BYTES, MAX_PRIORITY, Settings};
use crate::engine::plan::{Admission, Refusal, admit, admit_id};
use crate::engine::space::Space;
use crate::engine::units::Millis;

#[linkme::distributed_slice(COMMANDS)]
static PUSH: Spec = Spec {
    name: "WF.PUSH",
    place: 10,
    summary: "Adds a workflow; its tasks without parents become ready",
    complexity: "O(N+E) for N tasks and E edges",
    since: "0.1.0",
    arity: -3,
    access: Access::Insert,
    deny_oom: true,
    blocking: false,
    fast: false,
    internal: false,
    args: &[
        Arg::text("workflow", "the workflow as a JSON document, see \"The workflow document\""),
        Arg::text("id", "up to 512 bytes; default: one more than the largest integer ever used as an id in the space")
            .after("ID")
            .optional(),
        Arg::flag("NX", "when a workflow with this ID exists, answer null instead of an error"),
        Arg::text("value", "handed out with every task of the workflow; up to `workflow.max-input-bytes`")
            .after("INPUT")
            .optional(),
        Arg::integer("priority", "0 (most urgent) to 16777215, for tasks without one of their own; default: the document's, else 100")
            .after("PRIORITY")
            .optional(),
        Arg::flag("PAUSED", "no task becomes ready before `WF.RELEASE key ID id`"),
        Arg::one_of(
            "later",
            &[
                Arg::integer("milliseconds", "tasks without parents are delayed by so long, 0 to 315360000000 (10 years)")
                    .after("DELAY"),
                Arg::integer("unix-milliseconds", "the same until a time, at most 10 years ahead; one that has passed is now")
                    .after("AT"),
            ],
            "default: now",
        )
        .optional(),
        Arg::integer("milliseconds", "the workflow fails when it is not done so long after it could begin, 1 to 315360000000; default: the document's `timeout_ms`, else never")
            .after("TIMEOUT")
            .optional(),
        Arg::integer("milliseconds", "how long it is kept once it is finished, 0 to 315360000000; default: `retain-completed-ms` and `retain-failed-ms` of the space")
            .after("RETAIN")
            .optional(),
    ],
    page: Page {
        about: "The document is checked before anything changes: names are unique and not empty, edges are known, no task waits for itself, there is no cycle, limits hold. The key is created when it is missing.\n\nDelayed tasks become ready on time whether anybody asks or not. A workflow that is pushed `PAUSED` and delayed waits for both.",
        replies: &[
            ("bulk string", "the id of the workflow"),
            ("null", "with `NX`, when a workflow with this id exists"),
        ],
        errors: &[
            ("INVALID", "the document is not a workflow; the error names the task and the reason"),
            ("EXISTS", "a workflow with this id exists and `NX` was not given"),
            ("LIMIT", "the document, `ID` or `INPUT` is larger than allowed; the error names the limit"),
            ("OOM", "the server has reached `maxmemory`"),
        ],
        replicated: "`push` with the id, the time and the payloads, and the shape when the space does not have it yet.",
        example: "> WF.PUSH jobs '{\"tasks\": [{\"name\": \"extract\", \"type\": \"etl\"}, {\"name\": \"load\", \"type\": \"etl\", \"parents\": [\"extract\"]}]}'\n\"1\"",
    },
    run,
};

#[derive(Default)]
struct Options<'a> {
    id: Option<&'a [u8]>,
    nx: Option<()>,
    input: Option<&'a [u8]>,
    priority: Option<u64>,
    paused: Option<()>,
    delay: Option<u64>,
    at: Option<u64>,
    timeout: Option<u64>,
    retain: Option<u64>,
}

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut args = Args(call.args);
    let text = args.required()?;
    let options = parse(args, call.now)?;
    let settings = call.settings;
    if options.input.is_some_and(|input| input.len() as u64 > settings.max_input_bytes) {
        return Err(CommandError::OverLimit("INPUT", settings.max_input_bytes, "max-input-bytes"));
    }
    let (id, now) = (options.id.map(Id::of), call.now);
    if let Some(filling) = call.space()?.and_then(|space| familiar(space, text, settings)) {
        let (space, out) = call.space_or_new()?;
        let Some(id) = unless_it_exists(admit_id(space, id), &options, out)? else { return Ok(()) };
        let admission = Admission { id, blueprint: filling.blueprint, new: None };
        take_in(space, &admission, &filling, &options, now, out);
        return Ok(());
    }
    let draft = document::read(text, settings).map_err(CommandError::Document)?;
    let (space, out) = call.space_or_new()?;
    let admitted = unless_it_exists(admit(space, &draft, id, settings), &options, out)?;
    let Some(admission) = admitted else { return Ok(()) };
    let filling = Filling {
        blueprint: admission.blueprint,
        name: draft.name.as_deref().unwrap_or_default().as_bytes(),
        priority: draft.priority,
        timeout_ms: draft.timeout_ms,
        payloads: draft.tasks.iter().map(|task| task.payload.as_bytes()).collect(),
    };
    take_in(space, &admission, &filling, &options, now, out);
    // A shape that comes for the second time may come again, spelled alike.
    if admission.new.is_none()
        && let Some(form) = document::form_of(text, &draft, admission.blueprint)
    {
        space.keep_form(form);
    }
    Ok(())
}

/// What a document says that is spelled like an earlier one.
fn familiar<'a>(space: &Space, text: &'a [u8], settings: &Settings) -> Option<Filling<'a>> {
    let blueprints = space.blueprints();
    blueprints.forms().find_map(|form| {
        let shape = &blueprints.get(form.blueprint).shape;
        let fits = shape.len() as u64 <= settings.max_tasks && shape.edges() as u64 <= settings.max_edges;
        if fits { document::fill(form, text, shape.len(), settings) } else { None }
    })
}

/// With NX an id that exists is answered with null.
fn unless_it_exists<T>(
    admitted: Result<T, Refusal>,
    options: &Options<'_>,
    out: &mut Outcome,
) -> Result<Option<T>, CommandError> {
    match admitted {
        Ok(admitted) => Ok(Some(admitted)),
        Err(Refusal::Exists) if options.nx.is_some() => {
            out.reply.null();
            Ok(None)
        }
        Err(refusal) => Err(CommandError::Refused(refusal, options.id.unwrap_or_default().to_vec())),
    }
}

fn take_in(
    space: &mut Space,
    admission: &Admission<'_>,
    filling: &Filling<'_>,
    options: &Options<'_>,
    now: Millis,
    out: &mut Outcome,
) {
    let delayed_until = options.at.map(Millis).or(options.delay.map(|delay| now.plus(delay)));
    let delayed_until = delayed_until.filter(|&due| due > now);
    let timeout = options.timeout.or(filling.timeout_ms).map(|after_ms| Timeout {
        deadline: delayed_until.unwrap_or(now).plus(after_ms),
        after_ms,
        passed: false,
    });
    let priority = options.priority.map(|priority| priority as u32).or(filling.priority);
    let push = Push {
        id: admission.id,
        now,
        priority: priority.unwrap_or(DEFAULT_PRIORITY),
        paused: options.paused.is_some(),
        delayed_until,
        timeout,
        retain_ms: options.retain,
        name: filling.name,
        input: options.input,
        blueprint: admission.blueprint,
        new: admission.new.as_ref(),
        payloads: &filling.payloads,
    };
    carry_out(space, &Effect::Push(push), out);
    out.reply.bulk_with(|bytes| admission.id.write(bytes));
}

fn parse<'a>(mut args: Args<'a>, now: Millis) -> Result<Options<'a>, CommandError> {
    let mut options = Options::default();
    while !args.0.is_empty() {
        if args.keyword("ID") {
            let id = args.value("ID")?;
            if id.is_empty() {
                return Err(CommandError::Empty("ID"));
            }
            if id.len() > MAX_ID_BYTES {
                return Err(CommandError::TooLong("ID", MAX_ID_BYTES));
            }
            once(&mut options.id, "ID", id)?;
        } else if args.keyword("NX") {
            once(&mut options.nx, "NX", ())?;
        } else if args.keyword("INPUT") {
            once(&mut options.input, "INPUT", args.value("INPUT")?)?;
        } else if args.keyword("PRIORITY") {
            let priority = args.number("PRIORITY", 0, u64::from(MAX_PRIORITY))?;
            once(&mut options.priority, "PRIORITY", priority)?;
        } else if args.keyword("PAUSED") {
            once(&mut options.paused, "PAUSED", ())?;
        } else if args.keyword("DELAY") {
            once(&mut options.delay, "DELAY", args.number("DELAY", 0, MAX_DURATION_MS)?)?;
        } else if args.keyword("AT") {
            let latest = now.plus(MAX_DURATION_MS);
            once(&mut options.at, "AT", args.number("AT", 0, latest.0)?)?;
        } else if args.keyword("TIMEOUT") {
            once(&mut options.timeout, "TIMEOUT", args.number("TIMEOUT", 1, MAX_DURATION_MS)?)?;
        } else if args.keyword("RETAIN") {
            once(&mut options.retain, "RETAIN", args.number("RETAIN", 0, MAX_DURATION_MS)?)?;
        } else {
            args.end()?;
        }
    }
    if options.delay.is_some() && options.at.is_some() {
        return Err(CommandError::Excludes("DELAY", "AT"));
    }
    Ok(options)
}
