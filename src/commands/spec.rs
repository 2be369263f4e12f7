//! What a command says about itself. One `Spec` a command is the only source for its
//! registration, arity, flags, key specification, `COMMAND DOCS` and the reference in `docs/`.
//!
//! Each command file puts its own `Spec` into [`COMMANDS`]; nothing else lists the commands.

use super::call::{Call, CommandError};

/// Every command of the module, in link order. [`all`] gives them in the order of the reference.
#[linkme::distributed_slice]
pub static COMMANDS: [Spec];

/// Every command, sorted by its place in the reference.
pub fn all() -> Vec<&'static Spec> {
    let mut specs: Vec<_> = COMMANDS.iter().collect();
    specs.sort_by_key(|spec| spec.place);
    specs
}

/// One command.
pub struct Spec {
    /// Its name as typed, in capitals.
    pub name: &'static str,
    /// Its place in the reference, lowest first.
    pub place: u32,
    /// One sentence for hints and `COMMAND DOCS`.
    pub summary: &'static str,
    /// The cost in big-O words.
    pub complexity: &'static str,
    /// The module version that brought it.
    pub since: &'static str,
    /// Number of arguments including the name; negative: at least that many (Redis' convention).
    pub arity: i32,
    /// What it does to the key.
    pub access: Access,
    /// True when the command adds work and is refused when the server is out of memory.
    pub deny_oom: bool,
    /// True when it may block the client.
    pub blocking: bool,
    /// True when its cost does not grow with what the space holds.
    pub fast: bool,
    /// True for commands that only the server itself may send (`WF.APPLY`).
    pub internal: bool,
    /// The arguments after the key.
    pub args: &'static [Arg],
    /// The rest of the reference page.
    pub page: Page,
    /// Parses, plans, applies, and leaves reply and effects in `call.out`.
    pub run: fn(&mut Call<'_>) -> Result<(), CommandError>,
}

/// What a command does to its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Looks, never changes.
    Read,
    /// Changes a space that exists, never creates one.
    Update,
    /// Adds to a space and creates it when the key is missing.
    Insert,
    /// Removes something inside the space.
    Delete,
}

/// One argument, or a group of arguments.
pub struct Arg {
    /// The name shown in hints.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The keyword in front of it, if any.
    pub token: Option<&'static str>,
    /// May be left out.
    pub optional: bool,
    /// May be repeated (with its keyword only once, in front).
    pub multiple: bool,
    /// For the reference: meaning, unit, range, default.
    pub doc: &'static str,
}

/// The kind of an argument.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Any bytes.
    Text,
    /// A decimal integer.
    Integer,
    /// A keyword alone.
    Flag,
    /// Exactly one of these.
    OneOf(&'static [Arg]),
    /// All of these, in this order.
    Group(&'static [Arg]),
}

/// What the reference says beyond syntax.
pub struct Page {
    /// What the command does, in paragraphs of Markdown.
    pub about: &'static str,
    /// Each reply or reply element and its meaning.
    pub replies: &'static [(&'static str, &'static str)],
    /// Each error's beginning and its reason.
    pub errors: &'static [(&'static str, &'static str)],
    /// What reaches replicas and the AOF.
    pub replicated: &'static str,
    /// A session at redis-cli.
    pub example: &'static str,
}

impl Arg {
    /// A positional argument of any bytes.
    pub const fn text(name: &'static str, doc: &'static str) -> Arg {
        Arg { name, kind: Kind::Text, token: None, optional: false, multiple: false, doc }
    }

    /// A positional integer.
    pub const fn integer(name: &'static str, doc: &'static str) -> Arg {
        Arg { name, kind: Kind::Integer, token: None, optional: false, multiple: false, doc }
    }

    /// A keyword without a value; always optional.
    pub const fn flag(token: &'static str, doc: &'static str) -> Arg {
        Arg { name: token, kind: Kind::Flag, token: Some(token), optional: true, multiple: false, doc }
    }

    /// Exactly one of several.
    pub const fn one_of(name: &'static str, args: &'static [Arg], doc: &'static str) -> Arg {
        Arg { name, kind: Kind::OneOf(args), token: None, optional: false, multiple: false, doc }
    }

    /// A group in fixed order.
    pub const fn group(name: &'static str, args: &'static [Arg], doc: &'static str) -> Arg {
        Arg { name, kind: Kind::Group(args), token: None, optional: false, multiple: false, doc }
    }

    /// The same with a keyword in front.
    pub const fn after(self, token: &'static str) -> Arg {
        Arg { token: Some(token), ..self }
    }

    /// The same, optional.
    pub const fn optional(self) -> Arg {
        Arg { optional: true, ..self }
    }

    /// The same, repeatable.
    pub const fn repeated(self) -> Arg {
        Arg { multiple: true, ..self }
    }
}
