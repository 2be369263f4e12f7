//! `WF.PAUSE`: handing out stops. What it shares with `WF.RELEASE` stands here too.

use super::args::Args;
use super::call::{Call, CommandError, Outcome};
use super::carry_out;
use super::spec::{Access, Arg, COMMANDS, Page, Spec};
use crate::engine::effect::{Effect, Target};
use crate::engine::ids::Id;
use crate::engine::limits::MAX_NAME_BYTES;
use crate::engine::plan::Refusal;
use crate::engine::space::Space;
use crate::engine::state::WorkflowState;

/// What is to be paused or released.
pub const WHAT: &[Arg] = &[
    Arg::text("id", "a workflow").after("ID").repeated(),
    Arg::text("type", "a type").after("TYPE").repeated(),
    Arg { optional: false, ..Arg::flag("ALL", "the whole space") },
];

#[linkme::distributed_slice(COMMANDS)]
static PAUSE: Spec = Spec {
    name: "WF.PAUSE",
    place: 60,
    summary: "Stops handing out tasks of workflows, of types, or of the whole space",
    complexity: "O(N) for the N tasks of the workflows, O(1) for a type or ALL",
    since: "0.1.0",
    arity: -3,
    access: Access::Update,
    deny_oom: false,
    blocking: false,
    fast: false,
    internal: false,
    args: &[Arg::one_of("what", WHAT, "what is paused")],
    page: Page {
        about: "Running tasks run down: their completions are accepted. In a paused workflow nothing becomes ready; what would have becomes ready when it is released.\n\nThe pauses of a workflow, of a type, and of everything are three independent flags, each undone by its own release. A workflow that has ended cannot be paused. A type may be paused before the first task of it comes in. A missing key is not created.",
        replies: &[("integer", "number of workflows or types that changed; for ALL 1 or 0")],
        errors: &[
            ("ERR", "none of ID, TYPE and ALL is given"),
            ("LIMIT", "a type is too long, or one too many"),
        ],
        replicated: "`pause` with what changed.",
        example: "> WF.PAUSE jobs TYPE etl\n(integer) 1",
    },
    run: |call| run(call, Change::Pause),
};

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Stop.
    Pause,
    /// Go on.
    Release,
}

enum What<'a> {
    Ids(&'a [&'a [u8]]),
    Types(&'a [&'a [u8]]),
    All,
}

/// Pauses or releases.
pub fn run(call: &mut Call<'_>, change: Change) -> Result<(), CommandError> {
    let what = parse(Args(call.args))?;
    let (now, max_types) = (call.now, call.settings.max_types);
    let Some((space, out)) = call.space_mut()? else {
        call.out.reply.int(0);
        return Ok(());
    };
    let pausing = change == Change::Pause;
    let mut changed = 0;
    let mut carry = |space: &mut Space, out: &mut Outcome, target: Target<'_>| {
        let effect = match change {
            Change::Pause => Effect::Pause { target },
            Change::Release => Effect::Release { now, target },
        };
        carry_out(space, &effect, out);
        changed += 1;
    };
    match what {
        What::All if space.paused() != pausing => carry(space, out, Target::All),
        What::All => {}
        What::Types(names) => {
            let mut unknown: Vec<_> = names.iter().filter(|name| space.type_id(name).is_none()).collect();
            unknown.sort_unstable();
            unknown.dedup();
            if pausing && !unknown.is_empty() && (space.types().len() + unknown.len()) as u64 > max_types {
                let refusal = Refusal::TooManyTypes { max: max_types };
                return Err(CommandError::Refused(refusal, Vec::new()));
            }
            for name in names {
                let paused = space.type_id(name).is_some_and(|id| space.types().at(id).paused);
                if paused != pausing {
                    carry(space, out, Target::Type(name));
                }
            }
        }
        What::Ids(ids) => {
            for slot in ids.iter().filter_map(|id| space.find(Id::of(id))).collect::<Vec<_>>() {
                let workflow = space.workflows().at(slot);
                if workflow.state() == WorkflowState::Running && workflow.paused() != pausing {
                    carry(space, out, Target::Workflow(slot));
                }
            }
        }
    }
    out.reply.int(changed);
    Ok(())
}

fn parse<'a>(mut args: Args<'a>) -> Result<What<'a>, CommandError> {
    if args.keyword("ALL") {
        args.end()?;
        return Ok(What::All);
    }
    let ids = args.keyword("ID");
    if !ids && !args.keyword("TYPE") {
        return Err(CommandError::UnknownOption(args.required()?.to_vec()));
    }
    if args.0.is_empty() {
        return Err(CommandError::MissingValue(if ids { "ID" } else { "TYPE" }));
    }
    if ids {
        return Ok(What::Ids(args.0));
    }
    if args.0.iter().any(|name| name.len() > MAX_NAME_BYTES) {
        return Err(CommandError::TooLong("TYPE", MAX_NAME_BYTES));
    }
    Ok(What::Types(args.0))
}
