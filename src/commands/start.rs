//! `WF.START`: a workflow comes in by the name of its definition.

use super::args::Args;
use super::call::{Call, CommandError};
use super::carry_out;
use super::spec::{Access, Arg, COMMANDS, Page, Spec};
use super::terms::{self, Options};
use crate::engine::effect::Effect;
use crate::engine::plan::admit_id;

#[linkme::distributed_slice(COMMANDS)]
static START: Spec = Spec {
    name: "WF.START",
    place: 14,
    summary: "Adds a workflow by the name of its definition, as WF.PUSH does",
    complexity: "O(N) for N tasks",
    since: "0.1.0",
    arity: -3,
    access: Access::Update,
    deny_oom: true,
    blocking: false,
    fast: false,
    internal: false,
    args: &[
        Arg::text("name", "the name given to WF.DEFINE"),
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
        about: "The workflow is the one that WF.PUSH would have added of the same document with the same options. It has nothing to do with the definition any more: defining the name again or removing it changes nothing of it.\n\nThe limits on documents are checked by WF.DEFINE and not again; that on INPUT is checked at each start.",
        replies: &[
            ("bulk string", "the id of the workflow"),
            ("null", "with `NX`, when a workflow with this id exists"),
        ],
        errors: &[
            ("UNDEFINED", "there is no definition of this name, or the key is missing; the error names it"),
            ("EXISTS", "a workflow with this id exists and `NX` was not given"),
            ("LIMIT", "`ID` or `INPUT` is larger than allowed; the error names the limit"),
            ("ERR", "an option is not known or out of range"),
            ("OOM", "the server has reached `maxmemory`"),
        ],
        replicated: "`start` with the name of the definition, the id, the time and the options: no document, no shape, no payloads.",
        example: "> WF.START jobs nightly ID monday INPUT '{\"day\": 1}'\n\"monday\"",
    },
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut args = Args(call.args);
    let name = args.required()?;
    let now = call.now;
    let options = Options::read(args, now, call.settings)?;
    let undefined = || CommandError::Undefined(name.to_vec());
    let (space, out) = call.space_mut()?.ok_or_else(undefined)?;
    let definition = space.definitions().get(name).ok_or_else(undefined)?;
    let Some(id) = options.unless_it_exists(admit_id(space, options.id()), out)? else { return Ok(()) };
    let terms = options.terms(id, now, definition.priority, definition.timeout_ms);
    carry_out(space, &Effect::Start { definition: name, terms }, out);
    out.reply.bulk_with(|bytes| id.write(bytes));
    Ok(())
}
