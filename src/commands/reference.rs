//! `docs/commands.md`, made from the commands' own [`Spec`]s. A test fails when the file is stale.

use super::spec::{Access, Arg, Kind, Spec, all};
use crate::engine::limits::SETTINGS;
use std::fmt::Write;

const HEAD: &str = "\
# Commands

Made from the commands' own descriptions by `make docs`; edit those, not this file.

`key` is always the first argument and holds a space: any number of workflows, their queues and
workers. Options are keywords in any order and any case. All texts are binary safe. Times are unix
time in milliseconds, durations milliseconds. Everything works in MULTI and in scripts; there,
nothing blocks. Replies shown as maps are flat arrays in RESP2.
";

/// The whole file.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n| command | |\n|---|---|\n");
    for spec in all() {
        let link = spec.name.to_lowercase().replace('.', "");
        let _ = writeln!(page, "| [{}](#{link}) | {} |", spec.name, spec.summary);
    }
    all().into_iter().for_each(|spec| command(&mut page, spec));
    page.push_str("\n## Settings\n\n`CONFIG SET workflow.<name> value`, or a line `workflow.<name> value` in redis.conf.\n\n");
    page.push_str("| name | default | range | |\n|---|---|---|---|\n");
    for setting in SETTINGS {
        let (name, default, min, max, doc) =
            (setting.name, setting.default, setting.min, setting.max, setting.doc);
        let _ = writeln!(page, "| `workflow.{name}` | {default} | {min} to {max} | {doc} |");
    }
    page
}

fn command(page: &mut String, spec: &Spec) {
    let _ = writeln!(page, "\n## {}\n\n```\n{} key{}\n```\n", spec.name, spec.name, syntax(spec.args));
    let _ = writeln!(page, "{}. Since {}. {}.\n", spec.summary, spec.since, spec.complexity);
    let _ = writeln!(page, "{}\n", spec.page.about);
    if !spec.args.is_empty() {
        page.push_str("Arguments:\n\n");
        spec.args.iter().for_each(|arg| argument(page, arg, 0));
        page.push('\n');
    }
    page.push_str("Reply:\n\n");
    for (reply, meaning) in spec.page.replies {
        let _ = writeln!(page, "- `{reply}`: {meaning}");
    }
    page.push_str("\nErrors:\n\n");
    let wrong_type = ("WRONGTYPE", "the key holds something else");
    let listed = spec.page.errors.iter().any(|error| error.0 == wrong_type.0);
    for (error, reason) in spec.page.errors.iter().chain((!listed).then_some(&wrong_type)) {
        let _ = writeln!(page, "- `{error}`: {reason}");
    }
    let _ = writeln!(page, "\nReplicated: {}", spec.page.replicated);
    let key = match spec.access {
        Access::Read => "is only read",
        Access::Update => "is changed, never created",
        Access::Insert => "is created when it is missing",
        Access::Delete => "is changed, never created or removed",
    };
    let _ = writeln!(page, "The key {key}.\n\n```\n{}\n```", spec.page.example);
}

fn argument(page: &mut String, arg: &Arg, depth: usize) {
    let indent = "  ".repeat(depth);
    let name = match (arg.token, arg.kind) {
        (Some(token), Kind::Flag) => format!("`{token}`"),
        (Some(token), Kind::Group(_)) => format!("`{token}`"),
        (Some(token), _) => format!("`{token} {}`", arg.name),
        (None, _) => format!("`{}`", arg.name),
    };
    let _ = writeln!(page, "{indent}- {name}: {}", arg.doc);
    if let Kind::OneOf(args) | Kind::Group(args) = arg.kind {
        args.iter().for_each(|arg| argument(page, arg, depth + 1));
    }
}

/// The syntax line, each argument with a space in front.
pub fn syntax(args: &[Arg]) -> String {
    args.iter().fold(String::new(), |mut line, arg| {
        let mut words = Vec::new();
        if let Some(token) = arg.token {
            words.push(token.to_owned());
        }
        match arg.kind {
            Kind::Flag => {}
            Kind::Text | Kind::Integer => words.push(arg.name.to_owned()),
            Kind::OneOf(choices) => {
                let choices =
                    choices.iter().map(|choice| syntax(std::slice::from_ref(choice)).trim().to_owned());
                let choices = choices.collect::<Vec<_>>().join(" | ");
                // The brackets of what may be left out hold them together already.
                words.push(if arg.optional { choices } else { format!("<{choices}>") });
            }
            Kind::Group(parts) => words.push(syntax(parts).trim().to_owned()),
        }
        let words = words.join(" ");
        // What is repeated after a keyword is what follows the keyword, not the keyword itself.
        let value = arg.token.and_then(|token| words.strip_prefix(token)).map(str::trim);
        let repeated = format!("{words} [{} ...]", value.unwrap_or(&words));
        let words = if arg.multiple { repeated } else { words };
        let _ = if arg.optional { write!(line, " [{words}]") } else { write!(line, " {words}") };
        line
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax_lines_read_as_the_contract_has_them() {
        let line = |name: &str| {
            let spec = all().into_iter().find(|spec| spec.name == name).unwrap();
            syntax(spec.args)
        };
        assert_eq!(
            line("WF.PUSH"),
            " workflow [ID id] [NX] [INPUT value] [PRIORITY priority] [PAUSED] \
             [DELAY milliseconds | AT unix-milliseconds] [TIMEOUT milliseconds] [RETAIN milliseconds]"
        );
        assert_eq!(
            line("WF.FAIL"),
            " token [ERROR text] [RETRY milliseconds | NORETRY] \
             [token [ERROR text] [RETRY milliseconds | NORETRY] ...]"
        );
        assert_eq!(line("WF.CONFIG"), " <SET name value [name value ...] | GET pattern>");
        assert_eq!(
            line("WF.COMPLETE"),
            " token [RESULT value] [token [RESULT value] ...] [SKIP child [child ...]]"
        );
        assert_eq!(line("WF.PAUSE"), " <ID id [id ...] | TYPE type [type ...] | ALL>");
        assert_eq!(line("WF.EXTEND"), " ms token [token ...]");
    }

    #[test]
    fn every_command_is_there_once_and_fully_described() {
        let specs = all();
        assert_eq!(specs.len(), 26);
        for pair in specs.windows(2) {
            assert!(pair[0].place < pair[1].place, "{} and {}", pair[0].name, pair[1].name);
        }
        for spec in specs {
            let fixed = spec.args.iter().filter(|arg| !arg.optional).count() as i32 + 2;
            assert!(spec.arity.abs() >= fixed, "{}", spec.name);
            for text in
                [spec.summary, spec.complexity, spec.page.about, spec.page.replicated, spec.page.example]
            {
                assert!(!text.is_empty(), "{}", spec.name);
            }
            assert!(!spec.page.replies.is_empty() && !spec.page.errors.is_empty(), "{}", spec.name);
        }
    }

    #[test]
    fn the_reference_is_not_stale() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/commands.md");
        let fresh = markdown();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &fresh).unwrap();
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert!(stored == fresh, "docs/commands.md is stale: run `make docs`");
    }
}
