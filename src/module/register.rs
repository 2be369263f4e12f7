//! The commands, registered from their table: flags, key specification, arity, arguments and
//! summaries for `COMMAND DOCS`, ACL categories.

use std::ffi::{CString, c_char, c_int};
use std::ptr;
use std::sync::LazyLock;

use redis_module::raw;
use smallvec::SmallVec;

use super::api::{OK, api, has};
use super::key::KeyName;
use super::perform;
use super::server::Ctx;
use crate::commands::spec::{self, Access, Arg, Kind, Spec};

/// All commands in the order of the reference; a command's place here is its `entry`'s number.
static COMMANDS: LazyLock<Vec<&'static Spec>> = LazyLock::new(spec::all);

/// The server calls a bare function without data, so each command needs one of its own.
const ENTRIES: [unsafe extern "C" fn(
    *mut raw::RedisModuleCtx,
    *mut *mut raw::RedisModuleString,
    c_int,
) -> c_int; 32] = [
    entry::<0>,
    entry::<1>,
    entry::<2>,
    entry::<3>,
    entry::<4>,
    entry::<5>,
    entry::<6>,
    entry::<7>,
    entry::<8>,
    entry::<9>,
    entry::<10>,
    entry::<11>,
    entry::<12>,
    entry::<13>,
    entry::<14>,
    entry::<15>,
    entry::<16>,
    entry::<17>,
    entry::<18>,
    entry::<19>,
    entry::<20>,
    entry::<21>,
    entry::<22>,
    entry::<23>,
    entry::<24>,
    entry::<25>,
    entry::<26>,
    entry::<27>,
    entry::<28>,
    entry::<29>,
    entry::<30>,
    entry::<31>,
];

unsafe extern "C" fn entry<const N: usize>(
    ctx: *mut raw::RedisModuleCtx,
    argv: *mut *mut raw::RedisModuleString,
    argc: c_int,
) -> c_int {
    // SAFETY: the server's context, and `argc` strings that live as long as the command runs.
    let (ctx, argv): (_, SmallVec<[KeyName<'_>; 16]>) = unsafe {
        let strings = std::slice::from_raw_parts(argv, argc as usize);
        (Ctx::new(ctx), strings.iter().map(|&string| KeyName::new(string)).collect())
    };
    perform::command(&ctx, COMMANDS[N], &argv);
    OK
}

/// Registers all commands; false when the server refuses one.
pub fn register(ctx: &Ctx<'_>) -> bool {
    // From Redis 7.4 and Valkey 8.1 on modules may have a category of their own: `+@workflow`.
    let own_category = has!(RedisModule_AddACLCategory) && {
        // SAFETY: the context is that of loading the module.
        unsafe { api!(RedisModule_AddACLCategory(ctx.raw(), c"workflow".as_ptr())) == OK }
    };
    assert!(COMMANDS.len() <= ENTRIES.len(), "one entry a command");
    let sets_categories = has!(RedisModule_SetCommandACLCategories);
    COMMANDS.iter().zip(ENTRIES).all(|(spec, entry)| {
        let name = text(spec.name);
        let (from, to, step) = (1, 1, 1);
        // SAFETY: the context is valid, the server copies the strings and what they describe.
        unsafe {
            let status = api!(RedisModule_CreateCommand(
                ctx.raw(),
                name.as_ptr(),
                Some(entry),
                text(&flags(spec)).as_ptr(),
                from,
                to,
                step,
            ));
            if status != OK {
                return false;
            }
            let command = api!(RedisModule_GetCommand(ctx.raw(), name.as_ptr()));
            if sets_categories {
                let categories = text(&categories(spec, own_category));
                if api!(RedisModule_SetCommandACLCategories(command, categories.as_ptr())) != OK {
                    return false;
                }
            }
            describe(command, spec)
        }
    })
}

/// The flags in the server's words. All of them exist in 7.0.
fn flags(spec: &Spec) -> String {
    let mut words = vec![match spec.access {
        Access::Read => "readonly",
        Access::Update | Access::Insert | Access::Delete => "write",
    }];
    words.extend(spec.deny_oom.then_some("deny-oom"));
    words.extend(spec.blocking.then_some("blocking"));
    words.extend(spec.fast.then_some("fast"));
    words.extend(spec.internal.then_some("admin deny-script"));
    words.join(" ")
}

/// The categories in full: setting them replaces those that follow from the flags.
fn categories(spec: &Spec, own: bool) -> String {
    let mut words = vec![match spec.access {
        Access::Read => "read",
        Access::Update | Access::Insert | Access::Delete => "write",
    }];
    words.push(if spec.fast { "fast" } else { "slow" });
    words.extend(spec.blocking.then_some("blocking"));
    words.extend(spec.internal.then_some("admin dangerous"));
    words.extend((own && !spec.internal).then_some("workflow"));
    words.join(" ")
}

/// # Safety
/// `command` is a command that was just created.
unsafe fn describe(command: *mut raw::RedisModuleCommand, spec: &Spec) -> bool {
    let summary = text(spec.summary);
    let complexity = text(spec.complexity);
    let since = text(spec.since);
    // A claim hands out random tokens.
    let tips = (spec.blocking && spec.access != Access::Read).then(|| text("nondeterministic_output"));
    let mut key_specs = [key_spec(spec.access), no_key_spec()];
    let key = Arg::text("key", "The space.");
    let mut arguments = Arguments::default();
    let rest = spec.args.iter().map(|arg| (arg, Role::Part));
    let top = arguments.list(std::iter::once((&key, Role::Key)).chain(rest));
    // The header has this as a `static const`, of which there is no symbol to link to.
    let version = raw::RedisModuleCommandInfoVersion {
        version: 1,
        sizeof_historyentry: size_of::<raw::RedisModuleCommandHistoryEntry>(),
        sizeof_keyspec: size_of::<raw::RedisModuleCommandKeySpec>(),
        sizeof_arg: size_of::<raw::RedisModuleCommandArg>(),
    };
    let info = raw::RedisModuleCommandInfo {
        version: &version,
        summary: summary.as_ptr(),
        complexity: complexity.as_ptr(),
        since: since.as_ptr(),
        history: ptr::null_mut(),
        tips: tips.as_ref().map_or(ptr::null(), |tips| tips.as_ptr()),
        arity: spec.arity,
        key_specs: key_specs.as_mut_ptr(),
        args: top,
    };
    // SAFETY: `info` and all it points to live until the call returns; the server copies them.
    unsafe { api!(RedisModule_SetCommandInfo(command, &info)) == OK }
}

/// The key is always the first argument.
fn key_spec(access: Access) -> raw::RedisModuleCommandKeySpec {
    let flags = match access {
        Access::Read => raw::REDISMODULE_CMD_KEY_RO | raw::REDISMODULE_CMD_KEY_ACCESS,
        // Workers get tasks back, so they need the permission to read, too.
        Access::Update => {
            raw::REDISMODULE_CMD_KEY_RW | raw::REDISMODULE_CMD_KEY_ACCESS | raw::REDISMODULE_CMD_KEY_UPDATE
        }
        Access::Insert => raw::REDISMODULE_CMD_KEY_RW | raw::REDISMODULE_CMD_KEY_INSERT,
        Access::Delete => raw::REDISMODULE_CMD_KEY_RW | raw::REDISMODULE_CMD_KEY_DELETE,
    };
    let mut spec = no_key_spec();
    spec.flags = flags.into();
    spec.begin_search_type = raw::RedisModuleKeySpecBeginSearchType_REDISMODULE_KSPEC_BS_INDEX;
    spec.bs.index.pos = 1;
    spec.find_keys_type = raw::RedisModuleKeySpecFindKeysType_REDISMODULE_KSPEC_FK_RANGE;
    spec.fk.range =
        raw::RedisModuleCommandKeySpec__bindgen_ty_2__bindgen_ty_1 { lastkey: 0, keystep: 1, limit: 0 };
    spec
}

/// All zero: the end of a list of key specifications.
fn no_key_spec() -> raw::RedisModuleCommandKeySpec {
    // SAFETY: numbers, enumerations that have a 0, and pointers.
    unsafe { std::mem::zeroed() }
}

/// Where an argument stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It names the key.
    Key,
    /// One of several arguments.
    Part,
    /// One of several to choose from: it is the choice that may be optional.
    Choice,
}

/// The arguments in the server's form, and the memory their pointers point to.
#[derive(Default)]
struct Arguments {
    texts: Vec<CString>,
    lists: Vec<Box<[raw::RedisModuleCommandArg]>>,
}

impl Arguments {
    /// A list with its end mark. Recursion goes as deep as the table of commands does.
    fn list<'s>(&mut self, args: impl Iterator<Item = (&'s Arg, Role)>) -> *mut raw::RedisModuleCommandArg {
        let mut list: Vec<_> = args.map(|(arg, role)| self.argument(arg, role)).collect();
        // SAFETY: numbers, enumerations that have a 0, and pointers.
        list.push(unsafe { std::mem::zeroed() });
        self.lists.push(list.into_boxed_slice());
        self.lists.last_mut().map_or(ptr::null_mut(), |list| list.as_mut_ptr())
    }

    fn argument(&mut self, arg: &Arg, role: Role) -> raw::RedisModuleCommandArg {
        use raw::{
            RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_BLOCK as BLOCK,
            RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_INTEGER as INTEGER,
            RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_KEY as KEY,
            RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_ONEOF as ONEOF,
            RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_PURE_TOKEN as PURE_TOKEN,
            RedisModuleCommandArgType_REDISMODULE_ARG_TYPE_STRING as STRING,
        };
        let (kind, parts, role_of_parts): (_, &[Arg], _) = match arg.kind {
            Kind::Text if role == Role::Key => (KEY, &[], Role::Part),
            Kind::Text => (STRING, &[], Role::Part),
            Kind::Integer => (INTEGER, &[], Role::Part),
            Kind::Flag => (PURE_TOKEN, &[], Role::Part),
            Kind::OneOf(parts) => (ONEOF, parts, Role::Choice),
            Kind::Group(parts) => (BLOCK, parts, Role::Part),
        };
        let mut flags = raw::REDISMODULE_CMD_ARG_NONE;
        if arg.optional && role != Role::Choice {
            flags |= raw::REDISMODULE_CMD_ARG_OPTIONAL;
        }
        if arg.multiple {
            flags |= raw::REDISMODULE_CMD_ARG_MULTIPLE;
        }
        let subargs = match parts {
            [] => ptr::null_mut(),
            parts => self.list(parts.iter().map(|part| (part, role_of_parts))),
        };
        raw::RedisModuleCommandArg {
            name: self.keep(&arg.name.to_ascii_lowercase()),
            type_: kind,
            key_spec_index: 0,
            token: arg.token.map_or(ptr::null(), |token| self.keep(token)),
            summary: self.keep(arg.doc),
            since: ptr::null(),
            flags: flags as c_int,
            deprecated_since: ptr::null(),
            subargs,
            display_text: ptr::null(),
        }
    }

    fn keep(&mut self, words: &str) -> *const c_char {
        let words = text(words);
        let pointer = words.as_ptr();
        self.texts.push(words);
        pointer
    }
}

/// The texts of the table have no NUL.
fn text(words: &str) -> CString {
    CString::new(words).unwrap_or_default()
}
