//! `WF.CONFIG`: settings of one space.

use super::args::{Args, number};
use super::call::{Call, CommandError, Value};
use super::carry_out;
use super::glob;
use super::hash_slot;
use super::spec::{Access, Arg, COMMANDS, Page, Spec};
use crate::engine::effect::Effect;
use crate::engine::limits::{SETTINGS, SettingSpec};
use crate::engine::overrides;
use crate::engine::space::Space;

#[linkme::distributed_slice(COMMANDS)]
static CONFIG: Spec = Spec {
    name: "WF.CONFIG",
    place: 120,
    summary: "Sets or shows the settings of one space",
    complexity: "O(N) for N settings",
    since: "0.1.0",
    arity: -4,
    access: Access::Insert,
    deny_oom: false,
    blocking: false,
    fast: true,
    internal: false,
    args: &[Arg::one_of(
        "what",
        &[
            Arg::group(
                "setting",
                &[
                    Arg::text("name", "`default-lease-ms`, `default-max-attempts`, `default-max-deliveries`, `retain-completed-ms`, `retain-failed-ms`, `retain-count`, `retain-bytes`, `events-maxlen` or `events`"),
                    Arg::text("value", "a whole number in the range of `workflow.<name>`, or `default`: what the server's configuration says; of `events` the key of a stream, up to 512 bytes, or `default` or nothing: no stream"),
                ],
                "set these",
            )
            .after("SET")
            .repeated(),
            Arg::text("pattern", "show the settings whose names match, as CONFIG GET does").after("GET"),
        ],
        "set or show",
    )],
    page: Page {
        about: "A space has the settings of the server's configuration, `workflow.<name>`, except those that it was given itself. They are part of the data: they are replicated, saved, and copied with the key. All are set or none. `SET` creates the key when it is missing. The command counts as one that writes, so a replica that is read-only refuses `GET` as well.\n\nWith `events` the space appends to a stream what happens to its workflows, exactly once and also when it happens by itself: [events.md](events.md). The stream's key must hash to the slot of the space, also on a server that is no cluster: give both one hash tag, as in `{jobs}` and `{jobs}events`. `events-maxlen` bounds the stream.",
        replies: &[
            ("OK", "of SET"),
            ("map", "of GET: each matching name and the value in force; a flat array in RESP2"),
        ],
        errors: &[
            ("ERR", "a name is not known, a value is out of its range, or the stream is in another slot; nothing is set"),
            ("LIMIT", "the stream's key is too long; nothing is set"),
            ("NOPERM", "the user may not write to the stream; nothing is set"),
        ],
        replicated: "`config` with each name and value, `events` with the stream. Nothing for GET.",
        example: "> WF.CONFIG jobs SET default-max-attempts 3 retain-completed-ms 3600000\nOK\n> WF.CONFIG jobs GET retain-c*\n1) \"retain-completed-ms\"\n2) (integer) 3600000\n3) \"retain-count\"\n4) (integer) 4294967295",
    },
    run,
};

/// The one setting that is no number, and that the module does not have.
const EVENTS: &str = "events";

/// What is to be set.
enum Change<'a> {
    Number(&'static SettingSpec, Option<u64>),
    Events(Option<&'a [u8]>),
}

impl Change<'_> {
    fn name(&self) -> &'static str {
        match self {
            Change::Number(setting, _) => setting.name,
            Change::Events(_) => EVENTS,
        }
    }

    /// Whether the space has it so already.
    fn is_so(&self, space: &Space) -> bool {
        let overrides = space.overrides();
        match *self {
            Change::Number(setting, value) => {
                overrides.iter().find(|(name, _)| *name == setting.name).map(|(_, value)| value) == value
            }
            Change::Events(stream) => overrides.events() == stream,
        }
    }
}

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut args = Args(call.args);
    if args.keyword("GET") {
        return get(call, args);
    }
    if !args.keyword("SET") {
        return Err(CommandError::UnknownOption(args.required()?.to_vec()));
    }
    let changes = parse(args)?;
    if let Some(stream) = changes.iter().find_map(|change| match change {
        Change::Events(stream) => *stream,
        Change::Number(..) => None,
    }) {
        check_stream(call, stream)?;
    }
    let is_new = matches!(call.value, Value::Missing);
    let (space, out) = call.space_or_new()?;
    for change in changes {
        if change.is_so(space) && !is_new {
            continue;
        }
        let effect = match change {
            Change::Number(setting, value) => Effect::Configure { setting, value },
            Change::Events(key) => Effect::Stream { key },
        };
        carry_out(space, &effect, out);
    }
    out.reply.ok();
    Ok(())
}

fn get(call: &mut Call<'_>, mut args: Args<'_>) -> Result<(), CommandError> {
    let pattern = args.value("GET")?;
    args.end()?;
    let settings = call.settings;
    let mut reply = std::mem::take(&mut call.out.reply);
    let shown = call.space().map(|space| {
        let own = space.map(|space| space.settings(settings));
        let settings = own.as_deref().unwrap_or(settings);
        let known = SETTINGS.iter().filter(|spec| spec.per_space);
        let numbers: Vec<_> = known.filter(|spec| glob::matches(pattern, spec.name.as_bytes())).collect();
        let events = glob::matches(pattern, EVENTS.as_bytes());
        reply.map(numbers.len() + usize::from(events));
        for spec in numbers {
            reply.bulk(spec.name.as_bytes());
            reply.count((spec.get)(settings));
        }
        if events {
            reply.bulk(EVENTS.as_bytes());
            reply.bulk(space.and_then(|space| space.overrides().events()).unwrap_or_default());
        }
    });
    call.out.reply = reply;
    shown
}

fn parse(mut args: Args<'_>) -> Result<Vec<Change<'_>>, CommandError> {
    let mut changes: Vec<Change<'_>> = Vec::new();
    loop {
        let name = args.value("SET")?;
        let change = if name.eq_ignore_ascii_case(EVENTS.as_bytes()) {
            let stream = args.name(EVENTS)?;
            let unset = stream.is_empty() || stream.eq_ignore_ascii_case(b"default");
            Change::Events((!unset).then_some(stream))
        } else {
            let setting = overrides::find(name).ok_or_else(|| CommandError::UnknownSetting(name.to_vec()))?;
            Change::Number(setting, value(setting, args.value(setting.name)?)?)
        };
        if changes.iter().any(|other| other.name() == change.name()) {
            return Err(CommandError::Repeated(change.name()));
        }
        changes.push(change);
        if args.0.is_empty() {
            return Ok(changes);
        }
    }
}

fn value(setting: &SettingSpec, text: &[u8]) -> Result<Option<u64>, CommandError> {
    if text.eq_ignore_ascii_case(b"default") {
        return Ok(None);
    }
    // Whatever is wrong with it, the range says what would be right.
    number(setting.name, text, setting.min, setting.max)
        .map(Some)
        .map_err(|_| CommandError::OutOfRange(setting.name, setting.min, setting.max))
}

/// The stream must be where the space is on every server that will ever hold it, so a cluster's rule
/// holds without one. Who may not write to it may not have it written to.
fn check_stream(call: &Call<'_>, stream: &[u8]) -> Result<(), CommandError> {
    if hash_slot::of(stream) != hash_slot::of(call.key) {
        return Err(CommandError::OtherSlot(call.key.to_vec(), stream.to_vec()));
    }
    if stream == call.key {
        return Err(CommandError::OwnKey);
    }
    if !(call.may_write)(stream) {
        return Err(CommandError::MayNotWrite(EVENTS, stream.to_vec()));
    }
    Ok(())
}
