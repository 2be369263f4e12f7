//! `WF.PUSH`: a workflow comes in.

use super::args::Args;
use super::call::{Call, CommandError, Outcome};
use super::carry_out;
use super::spec::{Access, Arg, COMMANDS, Page, Spec};
use super::terms::{self, Options};
use crate::encoding::document::{self, Filling};
use crate::encoding::prepared::{Prepared, Unread};
use crate::engine::effect::{Content, Effect, Push, Told};
use crate::engine::limits::Settings;
use crate::engine::plan::{Admission, admit, admit_checked, admit_id};
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
        terms::ID,
        terms::NX,
        terms::INPUT,
        terms::PRIORITY,
        terms::PAUSED,
        terms::LATER,
        terms::TIMEOUT,
        terms::RETAIN,
    ],
    page: Page {
        about: "The document is checked before anything changes: names are unique and not empty, edges are known, no task waits for itself, there is no cycle, limits hold. The key is created when it is missing.\n\nDelayed tasks become ready on time whether anybody asks or not. A workflow that is pushed `PAUSED` and delayed waits for both.\n\nA document of more than 128 KiB is read in the background: its client waits, everybody else is served, and the push happens as a whole when it has been read, with the time, the space and the permissions as they are then. In MULTI and in scripts it is read at once, and everybody waits.",
        replies: &[
            ("bulk string", "the id of the workflow"),
            ("null", "with `NX`, when a workflow with this id exists"),
        ],
        errors: &[
            ("INVALID", "the document is not a workflow; the error names the task and the reason"),
            ("EXISTS", "a workflow with this id exists and `NX` was not given"),
            ("LIMIT", "the document, `ID` or `INPUT` is larger than allowed; the error names the limit"),
            ("OOM", "the server has reached `maxmemory`"),
            ("UNBLOCKED", "the client was unblocked while a large document was read; nothing was added"),
        ],
        replicated: "`push` with the id, the time and the payloads, and the shape when the space does not have it yet.",
        example: "> WF.PUSH jobs '{\"tasks\": [{\"name\": \"extract\", \"type\": \"etl\"}, {\"name\": \"load\", \"type\": \"etl\", \"parents\": [\"extract\"]}]}'\n\"1\"",
    },
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut args = Args(call.args);
    let text = args.required()?;
    let (now, settings) = (call.now, call.settings);
    let options = Options::read(args, now, settings)?;
    if let Some(prepared) = call.prepared.take() {
        return push_prepared(call, *prepared, &options);
    }
    if call.puts_off(text.len()) {
        return call.put_off(0, Unread::Workflow);
    }
    let id = options.id();
    if let Some(filling) = call.space()?.and_then(|space| familiar(space, text, settings)) {
        let (space, out) = call.space_or_new()?;
        let Some(id) = options.unless_it_exists(admit_id(space, id), out)? else { return Ok(()) };
        let admission = Admission { id, blueprint: filling.blueprint, new: None };
        take_in(space, &admission, &filling, None, &options, now, out);
        return Ok(());
    }
    let draft = document::read(text, settings).map_err(CommandError::Document)?;
    let (space, out) = call.space_or_new()?;
    let admitted = options.unless_it_exists(admit(space, &draft, id, settings), out)?;
    let Some(admission) = admitted else { return Ok(()) };
    let filling = Filling {
        blueprint: admission.blueprint,
        name: draft.name.as_deref().unwrap_or_default().as_bytes(),
        priority: draft.priority,
        timeout_ms: draft.timeout_ms,
        payloads: draft.tasks.iter().map(|task| task.payload.as_bytes()).collect(),
    };
    take_in(space, &admission, &filling, None, &options, now, out);
    // A shape that comes for the second time may come again, spelled alike.
    if admission.new.is_none()
        && let Some(form) = document::form_of(text, &draft, admission.blueprint)
    {
        space.keep_form(form);
    }
    Ok(())
}

fn push_prepared(call: &mut Call<'_>, prepared: Prepared, options: &Options<'_>) -> Result<(), CommandError> {
    let (now, settings) = (call.now, call.settings);
    let (document, checked) = prepared.into_read().map_err(CommandError::Document)?;
    let (space, out) = call.space_or_new()?;
    let admitted = options.unless_it_exists(admit_checked(space, checked, options.id(), settings), out)?;
    let Some(admission) = admitted else { return Ok(()) };
    let filling = Filling {
        blueprint: admission.blueprint,
        name: &document.name,
        priority: document.priority,
        timeout_ms: document.timeout_ms,
        payloads: document.payloads(),
    };
    take_in(space, &admission, &filling, Some(document.told()), options, now, out);
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

fn take_in(
    space: &mut Space,
    admission: &Admission<'_>,
    filling: &Filling<'_>,
    told: Option<Told<'_>>,
    options: &Options<'_>,
    now: Millis,
    out: &mut Outcome,
) {
    let push = Push {
        terms: options.terms(admission.id, now, filling.priority, filling.timeout_ms),
        content: Content {
            name: filling.name,
            blueprint: admission.blueprint,
            new: admission.new.as_ref(),
            payloads: &filling.payloads,
            told,
        },
    };
    carry_out(space, &Effect::Push(push), out);
    out.reply.bulk_with(|bytes| admission.id.write(bytes));
}
