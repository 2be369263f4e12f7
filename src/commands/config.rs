//! `WF.CONFIG`: settings of one space.

use super::args::{Args, number};
use super::call::{Call, CommandError, Value};
use super::carry_out;
use super::glob;
use super::spec::{Access, Arg, COMMANDS, Page, Spec};
use crate::engine::effect::Effect;
use crate::engine::limits::{SETTINGS, SettingSpec};
use crate::engine::overrides;

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
                    Arg::text("name", "`default-lease-ms`, `default-max-attempts`, `default-max-deliveries`, `retain-completed-ms`, `retain-failed-ms`, `retain-count` or `retain-bytes`"),
                    Arg::text("value", "a whole number in the range of `workflow.<name>`, or `default`: what the server's configuration says"),
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
        about: "A space has the settings of the server's configuration, `workflow.<name>`, except those that it was given itself. They are part of the data: they are replicated, saved, and copied with the key. All are set or none. `SET` creates the key when it is missing. The command counts as one that writes, so a replica that is read-only refuses `GET` as well.",
        replies: &[
            ("OK", "of SET"),
            ("map", "of GET: each matching name and the value in force; a flat array in RESP2"),
        ],
        errors: &[("ERR", "a name is not known, or a value is out of its range; nothing is set")],
        replicated: "`config` with each name and value. Nothing for GET.",
        example: "> WF.CONFIG jobs SET default-max-attempts 3 retain-completed-ms 3600000\nOK\n> WF.CONFIG jobs GET retain-c*\n1) \"retain-completed-ms\"\n2) (integer) 3600000\n3) \"retain-count\"\n4) (integer) 4294967295",
    },
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), CommandError> {
    let mut args = Args(call.args);
    if args.keyword("GET") {
        let pattern = args.value("GET")?;
        args.end()?;
        let settings = call.settings;
        let own = call.space()?.map(|space| space.settings(settings));
        let settings = own.as_deref().unwrap_or(settings);
        let known = SETTINGS.iter().filter(|spec| spec.per_space);
        let shown: Vec<_> = known.filter(|spec| glob::matches(pattern, spec.name.as_bytes())).collect();
        let reply = &mut call.out.reply;
        reply.map(shown.len());
        for spec in shown {
            reply.bulk(spec.name.as_bytes());
            reply.count((spec.get)(settings));
        }
        return Ok(());
    }
    if !args.keyword("SET") {
        return Err(CommandError::UnknownOption(args.required()?.to_vec()));
    }
    let changes = parse(args)?;
    let is_new = matches!(call.value, Value::Missing);
    let (space, out) = call.space_or_new()?;
    let own: Vec<_> = space.overrides().iter().collect();
    for (setting, value) in changes {
        let before = own.iter().find(|(name, _)| *name == setting.name).map(|(_, value)| *value);
        if before == value && !is_new {
            continue;
        }
        carry_out(space, &Effect::Configure { setting, value }, out);
    }
    out.reply.ok();
    Ok(())
}

fn parse(mut args: Args<'_>) -> Result<Vec<(&'static SettingSpec, Option<u64>)>, CommandError> {
    let mut changes: Vec<(&'static SettingSpec, Option<u64>)> = Vec::new();
    loop {
        let name = args.value("SET")?;
        let setting = overrides::find(name).ok_or_else(|| CommandError::UnknownSetting(name.to_vec()))?;
        if changes.iter().any(|change| std::ptr::eq(change.0, setting)) {
            return Err(CommandError::Repeated(setting.name));
        }
        let value = args.value(setting.name)?;
        let value = match value.eq_ignore_ascii_case(b"default") {
            true => None,
            // Whatever is wrong with it, the range says what would be right.
            false => Some(
                number(setting.name, value, setting.min, setting.max)
                    .map_err(|_| CommandError::OutOfRange(setting.name, setting.min, setting.max))?,
            ),
        };
        changes.push((setting, value));
        if args.0.is_empty() {
            return Ok(changes);
        }
    }
}
