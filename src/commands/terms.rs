//! The terms on which a workflow comes in: what `WF.PUSH` and `WF.START` have in common.

use super::args::{Args, once};
use super::call::{CommandError, Outcome};
use super::spec::Arg;
use crate::engine::effect::Terms;
use crate::engine::extras::Timeout;
use crate::engine::ids::Id;
use crate::engine::limits::{DEFAULT_PRIORITY, MAX_DURATION_MS, MAX_ID_BYTES, MAX_PRIORITY, Settings};
use crate::engine::plan::Refusal;
use crate::engine::units::Millis;

/// The options, for the reference.
pub const ID: Arg = Arg::text(
    "id",
    "up to 512 bytes; default: one more than the largest integer ever used as an id in the space",
)
.after("ID")
.optional();
/// See [`ID`].
pub const NX: Arg = Arg::flag("NX", "when a workflow with this ID exists, answer null instead of an error");
/// See [`ID`].
pub const INPUT: Arg =
    Arg::text("value", "handed out with every task of the workflow; up to `workflow.max-input-bytes`")
        .after("INPUT")
        .optional();
/// See [`ID`].
pub const PRIORITY: Arg = Arg::integer(
    "priority",
    "0 (most urgent) to 16777215, for tasks without one of their own; default: the document's, else 100",
)
.after("PRIORITY")
.optional();
/// See [`ID`].
pub const PAUSED: Arg = Arg::flag("PAUSED", "no task becomes ready before `WF.RELEASE key ID id`");
/// See [`ID`].
pub const LATER: Arg = Arg::one_of(
    "later",
    &[
        Arg::integer(
            "milliseconds",
            "tasks without parents are delayed by so long, 0 to 315360000000 (10 years)",
        )
        .after("DELAY"),
        Arg::integer(
            "unix-milliseconds",
            "the same until a time, at most 10 years ahead; one that has passed is now",
        )
        .after("AT"),
    ],
    "default: now",
)
.optional();
/// See [`ID`].
pub const TIMEOUT: Arg = Arg::integer(
    "milliseconds",
    "the workflow fails when it is not done so long after it could begin, 1 to 315360000000; default: the document's `timeout_ms`, else never",
)
.after("TIMEOUT")
.optional();
/// See [`ID`].
pub const RETAIN: Arg = Arg::integer(
    "milliseconds",
    "how long it is kept once it is finished, 0 to 315360000000; default: `retain-completed-ms` and `retain-failed-ms` of the space",
)
.after("RETAIN")
.optional();

/// What a client asks for.
#[derive(Default)]
pub struct Options<'a> {
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

impl<'a> Options<'a> {
    /// Reads what is left of the arguments.
    pub fn read(mut args: Args<'a>, now: Millis, settings: &Settings) -> Result<Options<'a>, CommandError> {
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
        if options.input.is_some_and(|input| input.len() as u64 > settings.max_input_bytes) {
            return Err(CommandError::OverLimit("INPUT", settings.max_input_bytes, "max-input-bytes"));
        }
        Ok(options)
    }

    /// The id that was asked for.
    pub fn id(&self) -> Option<Id<'a>> {
        self.id.map(Id::of)
    }

    /// With NX an id that exists is answered with null, and there is nothing more to do.
    pub fn unless_it_exists<T>(
        &self,
        admitted: Result<T, Refusal>,
        out: &mut Outcome,
    ) -> Result<Option<T>, CommandError> {
        match admitted {
            Ok(admitted) => Ok(Some(admitted)),
            Err(Refusal::Exists) if self.nx.is_some() => {
                out.reply.null();
                Ok(None)
            }
            Err(refusal) => Err(CommandError::Refused(refusal, self.id.unwrap_or_default().to_vec())),
        }
    }

    /// The terms, of a workflow under this id whose document says this.
    pub fn terms<'t>(
        &self,
        id: Id<'t>,
        now: Millis,
        priority: Option<u32>,
        timeout_ms: Option<u64>,
    ) -> Terms<'t>
    where
        'a: 't,
    {
        let delayed_until = self.at.map(Millis).or(self.delay.map(|delay| now.plus(delay)));
        let delayed_until = delayed_until.filter(|&due| due > now);
        let timeout = self.timeout.or(timeout_ms).map(|after_ms| Timeout {
            deadline: delayed_until.unwrap_or(now).plus(after_ms),
            after_ms,
            passed: false,
        });
        let priority = self.priority.map(|priority| priority as u32).or(priority);
        Terms {
            id,
            now,
            priority: priority.unwrap_or(DEFAULT_PRIORITY),
            paused: self.paused.is_some(),
            delayed_until,
            timeout,
            retain_ms: self.retain,
            input: self.input,
        }
    }
}
