//! `WF.EXTEND`: the heartbeat of long tasks.

use super::args::Args;
use super::call::{Call, CommandError};
use super::carry_out;
use super::spec::{Access, Arg, COMMANDS, Page, Spec};
use super::token::Token;
use crate::engine::effect::Effect;
use crate::engine::limits::MAX_LEASE_MS;
use crate::engine::verdict::{Standing, is_wanted, next_deadline};

#[linkme::distributed_slice(COMMANDS)]
static EXTEND: Spec = Spec {
    name: "WF.EXTEND",
    place: 50,
    summary: "Extends leases: the heartbeat of long tasks",
    complexity: "O(K log R) for K tokens and R running tasks",
    since: "0.1.0",
    arity: -4,
    access: Access::Update,
    deny_oom: false,
    blocking: false,
    fast: true,
    internal: false,
    args: &[
        Arg::integer("ms", "the leases end so many milliseconds from now, 1 to 2592000000 (30 days)"),
        Arg::text("token", "the token that WF.CLAIM gave").repeated(),
    ],
    page: Page {
        about: "A lease that ran out is taken up again, as long as nobody else has claimed the task. The new deadline counts from now and may be earlier than the old one; it is never after the `timeout_ms` of the task.",
        replies: &[
            ("array", "an integer for each token, in order"),
            ("1", "extended"),
            (
                "2",
                "extended, but please stop: the workflow has failed or is being cancelled, and this task is not what is to run even then",
            ),
            ("0", "stale or timed out: stop"),
            ("-1", "no such workflow or task"),
        ],
        errors: &[(
            "ERR",
            "`ms` is out of range, or an argument is not of a token's form; nothing is extended",
        )],
        replicated: "`extend` with the new deadlines.",
        example: "> WF.EXTEND jobs 30000 1-0-9f8e7d6c\n1) (integer) 1",
    },
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut args = Args(call.args);
    let lease = args.number("ms", 1, MAX_LEASE_MS)?;
    let tokens: Vec<Token<'_>> = args.0.iter().map(|token| Token::read(token)).collect::<Result<_, _>>()?;
    let now = call.now;
    let Some((space, out)) = call.space_mut()? else {
        call.out.reply.array(tokens.len());
        tokens.iter().for_each(|_| call.out.reply.int(-1));
        return Ok(());
    };
    out.reply.array(tokens.len());
    for token in tokens {
        let code = match token.standing(space) {
            Standing::Unknown => -1,
            Standing::Stale | Standing::Retried | Standing::Completed | Standing::Failed => 0,
            Standing::Good(task) => match next_deadline(space, task, now, lease) {
                // The attempt has timed out; only nobody has noticed yet.
                None => 0,
                Some(deadline) => {
                    carry_out(space, &Effect::Extend { task, deadline }, out);
                    if is_wanted(space, task) { 1 } else { 2 }
                }
            },
        };
        out.reply.int(code);
    }
    Ok(())
}
