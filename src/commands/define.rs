//! `WF.DEFINE`: a workflow that can be started by name.

use super::args::Args;
use super::call::{Call, CommandError};
use super::carry_out;
use super::spec::{Access, Arg, COMMANDS, Page, Spec};
use crate::encoding::document;
use crate::encoding::prepared::Unread;
use crate::engine::effect::{Content, Define, Effect, Told};
use crate::engine::limits::MAX_NAME_BYTES;
use crate::engine::plan::{Refusal, admit_checked_definition, admit_definition};
use crate::engine::shape::Checked;
use crate::engine::units::BlueprintId;

#[linkme::distributed_slice(COMMANDS)]
static DEFINE: Spec = Spec {
    name: "WF.DEFINE",
    place: 12,
    summary: "Defines a workflow, or a new version of it, for WF.START to start by name",
    complexity: "O(N+E) for N tasks and E edges",
    since: "0.1.0",
    arity: 4,
    access: Access::Insert,
    deny_oom: true,
    blocking: false,
    fast: false,
    internal: false,
    args: &[
        Arg::text("name", "what it is started by, 1 to 512 bytes; any bytes, and the case counts"),
        Arg::text("workflow", "the workflow as a JSON document, as for WF.PUSH"),
    ],
    page: Page {
        about: "A definition is a template: the document is read and checked once, as WF.PUSH checks it, and kept with all it says: payloads, priorities, delays, backoff, timeouts. A start sends none of it and costs a fraction of a push. The types of its tasks become types of the space. The key is created when it is missing.\n\nDefining a name again, even alike, makes the next version, and what starts from then on is of that version. What was started before goes on as it was; no workflow depends on a definition once it is started. After WF.UNDEFINE versions begin at 1 again.\n\nA large document is read in the background, as by WF.PUSH.",
        replies: &[("integer", "the version: 1, or one more than the version it replaces")],
        errors: &[
            ("INVALID", "the document is not a workflow; the error names the task and the reason"),
            (
                "LIMIT",
                "the document or the name is larger than allowed, or the space has 10,000 definitions; the error names the limit",
            ),
            ("ERR", "the name is empty"),
            ("OOM", "the server has reached `maxmemory`"),
            ("UNBLOCKED", "the client was unblocked while a large document was read; nothing was defined"),
        ],
        replicated: "`define` with the version, the time and the payloads, and the shape when the space does not have it yet.",
        example: "> WF.DEFINE jobs nightly '{\"tasks\": [{\"name\": \"extract\", \"type\": \"etl\"}, {\"name\": \"load\", \"type\": \"etl\", \"parents\": [\"extract\"]}]}'\n(integer) 1",
    },
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut args = Args(call.args);
    let (name, text) = (args.required()?, args.required()?);
    args.end()?;
    if name.is_empty() {
        return Err(CommandError::Empty("name"));
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(CommandError::TooLong("name", MAX_NAME_BYTES));
    }
    let settings = call.settings;
    if let Some(prepared) = call.prepared.take() {
        let (document, checked) = prepared.into_read().map_err(CommandError::Document)?;
        let (space, _) = call.space_or_new()?;
        let said = Said {
            workflow: &document.name,
            priority: document.priority,
            timeout_ms: document.timeout_ms,
            payloads: document.payloads(),
            told: Some(document.told()),
        };
        let admitted = admit_checked_definition(space, name, checked, settings);
        return take_in(call, name, admitted, &said);
    }
    if call.puts_off(text.len()) {
        return call.put_off(1, Unread::Workflow);
    }
    let draft = document::read(text, settings).map_err(CommandError::Document)?;
    let (space, _) = call.space_or_new()?;
    let said = Said {
        workflow: draft.name.as_deref().unwrap_or_default().as_bytes(),
        priority: draft.priority,
        timeout_ms: draft.timeout_ms,
        payloads: draft.tasks.iter().map(|task| task.payload.as_bytes()).collect(),
        told: None,
    };
    let admitted = admit_definition(space, name, &draft, settings);
    take_in(call, name, admitted, &said)
}

/// What a document says beside its shape.
struct Said<'a> {
    workflow: &'a [u8],
    priority: Option<u32>,
    timeout_ms: Option<u64>,
    payloads: Vec<&'a [u8]>,
    told: Option<Told<'a>>,
}

fn take_in(
    call: &mut Call<'_>,
    name: &[u8],
    admitted: Result<(BlueprintId, Option<Checked>), Refusal>,
    said: &Said<'_>,
) -> Result<(), CommandError> {
    let (blueprint, new) = admitted.map_err(|refusal| CommandError::Refused(refusal, Vec::new()))?;
    let now = call.now;
    let (space, out) = call.space_or_new()?;
    let version = space.definitions().next_version(name);
    let define = Define {
        name,
        version,
        now,
        priority: said.priority,
        timeout_ms: said.timeout_ms,
        content: Content {
            name: said.workflow,
            blueprint,
            new: new.as_ref(),
            payloads: &said.payloads,
            told: said.told,
        },
    };
    carry_out(space, &Effect::Define(define), out);
    out.reply.count(version);
    Ok(())
}
