//! A space and what it takes to run commands on it, as the glue to Redis does: the outcome is
//! reused, tokens come from a generator with a fixed seed, time stands still unless it is moved.

use redisworkflow::commands::call::{Call, CommandError, Outcome, Value};
use redisworkflow::commands::reply::Item;
use redisworkflow::commands::spec;
use redisworkflow::engine::limits::Settings;
use redisworkflow::engine::space::Space;
use redisworkflow::engine::units::Millis;

/// Runs something whose instructions count. The profiler looks for this name.
#[inline(never)]
pub fn counted<R>(work: impl FnOnce() -> R) -> R {
    work()
}

/// The space and its caller.
pub struct Bed {
    pub space: Box<Space>,
    pub out: Outcome,
    pub now: Millis,
    settings: Settings,
    seed: u32,
}

/// A command that was looked up.
pub type Run = fn(&mut Call<'_>) -> Result<(), CommandError>;

/// The command of that name.
pub fn command(name: &str) -> Run {
    spec::all().iter().find(|spec| spec.name == name).expect("a command").run
}

impl Bed {
    /// An empty space.
    pub fn new() -> Bed {
        Bed {
            space: Box::default(),
            out: Outcome::default(),
            now: Millis(1_800_000_000_000),
            settings: Settings::default(),
            seed: 1,
        }
    }

    /// Runs a command; what it left stays in `out` until the next.
    pub fn run(&mut self, run: Run, args: &[&[u8]]) {
        let Bed { space, out, now, settings, seed } = self;
        out.clear();
        let mut random = || {
            *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *seed
        };
        let mut call = Call {
            key: b"bed",
            args,
            value: Value::Space(space),
            fresh: None,
            now: *now,
            expire_from: Some(Millis(0)),
            replayed: false,
            may_block: false,
            reads_at_once: usize::MAX,
            prepared: None,
            waits: &|_, _| false,
            may_write: &|_| true,
            random: &mut random,
            settings,
            out,
        };
        run(&mut call).expect("the command succeeds");
    }

    /// The tokens in the reply of a claim.
    pub fn tokens(&self) -> Vec<Vec<u8>> {
        let mut items = self.out.reply.items();
        let Some(Item::Array(tasks)) = items.next() else { panic!("a claim answers with an array") };
        let token = |_| {
            let Some(Item::Array(parts)) = items.next() else { panic!("a task is an array") };
            let Some(Item::Bulk(token)) = items.next() else { panic!("a token comes first") };
            let token = token.to_vec();
            items.by_ref().take(parts - 1).for_each(drop);
            token
        };
        (0..tasks).map(token).collect()
    }

    /// The arguments of the `WF.APPLY` that the last command came to.
    pub fn effects(&self) -> Vec<Vec<u8>> {
        self.out.effects.args().map(<[u8]>::to_vec).collect()
    }
}

/// Borrowed arguments.
pub fn slices(args: &[Vec<u8>]) -> Vec<&[u8]> {
    args.iter().map(Vec::as_slice).collect()
}
