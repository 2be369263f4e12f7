//! What a run works on: the model, a primary, a replica and a file.
//!
//! The primary runs commands as the server does. The replica sees nothing but the effects that the
//! primary's commands left, sent through `WF.APPLY`. The file is the list of these effects, and
//! replayed now and then. All of it is checked after every step: see `checks`.

use super::awaited::{self, Awaited};
use super::checks;
use super::model::{Answer, Model, Moment};
use super::paging::Paging;
use super::serving::{self, on_key, on_value, run, spec_of};
use super::step::{Act, Step};
use super::tally::Tally;
use super::tree;
use crate::commands::call::{Block, Call, CommandError, Outcome, Value};
use crate::commands::claim::{self, Claim};
use crate::commands::reply::Reply;
use crate::commands::sweep;
use crate::engine::limits::Settings;
use crate::engine::space::Space;
use crate::engine::units::Millis;

/// The arguments of one WF.APPLY.
pub type Effects = Vec<Vec<u8>>;

/// A client that waits.
struct Waiting {
    args: Vec<Vec<u8>>,
    claim: Box<Claim>,
}

/// Everything; see the module's prose.
pub struct World {
    pub settings: Settings,
    pub model: Model,
    pub primary: Option<Box<Space>>,
    pub replica: Option<Box<Space>>,
    pub file: Vec<Effects>,
    pub tally: Tally,
    pub paging: Option<Paging>,
    pub awaited: Awaited,
    waiting: Vec<Waiting>,
    out: Outcome,
}

/// The settings of a run: everyday ones, or ones so tight that their limits are met.
pub fn settings(tight: bool) -> Settings {
    if !tight {
        return Settings::default();
    }
    Settings {
        default_lease_ms: 500,
        max_tasks: 10,
        max_edges: 16,
        max_payload_bytes: 24,
        max_input_bytes: 8,
        max_result_bytes: 8,
        max_error_bytes: 8,
        max_count: 20,
        max_types: 4,
        default_max_attempts: 2,
        default_max_deliveries: 2,
        retain_completed_ms: 5_000,
        retain_failed_ms: 100_000,
        retain_count: 4,
        ..Settings::default()
    }
}

impl World {
    /// Nothing yet.
    pub fn with(settings: Settings) -> World {
        World {
            settings,
            model: Model::default(),
            primary: None,
            replica: None,
            file: Vec::new(),
            tally: Tally::default(),
            paging: None,
            awaited: Awaited::default(),
            waiting: Vec::new(),
            out: Outcome::default(),
        }
    }

    /// Whether the last step left effects.
    pub fn changed(&self) -> bool {
        self.out.changed()
    }

    /// When retention by age removes a workflow, by its place in the model.
    pub fn expires(&self, place: usize) -> Option<u64> {
        self.model.expires(place, &self.settings)
    }

    /// Whether a listing is under way.
    pub fn is_listing(&self) -> bool {
        self.paging.is_some()
    }

    /// Does one step and checks everything; an error says what is wrong.
    pub fn act_and_check(&mut self, step: &Step) -> Result<(), String> {
        self.tally.disturbed(&step.act, &self.model);
        self.act(step)?;
        if let Some(paging) = &mut self.paging {
            paging.watch(&self.model, step);
        }
        awaited::answer(self, step)
    }

    fn act(&mut self, step: &Step) -> Result<(), String> {
        match &step.act {
            Act::Command(words) => self.command(words, step),
            Act::OnWrongType(words) => self.on_wrong_type(words, step),
            Act::List(words) => self.begin_listing(&words[1..], step),
            Act::ListOn => self.next_page(step),
            Act::ListAll(words) => self.list_all(&words[1..], step),
            Act::Sweep => self.sweep(step),
            Act::ClockAhead(by) => self.set_clock_ahead(*by, step),
            Act::Serve(nth) => self.serve(*nth, step),
            Act::Leave(nth) => self.leave(*nth, step),
            Act::ReloadPrimary => {
                self.model.reload();
                self.awaited.wake_all();
                self.reload(|world| &mut world.primary)
            }
            Act::ReloadReplica => self.reload(|world| &mut world.replica),
            Act::Failover => {
                self.model.promote();
                std::mem::swap(&mut self.primary, &mut self.replica);
                self.tally.failovers += 1;
                Ok(())
            }
            Act::Stray(nth, fault) => checks::stray(self, *nth, *fault, step),
            Act::Corrupt(fault) => checks::corrupt(self, *fault),
            Act::Rewrite => self.rewrite(),
            Act::Replay => self.replay(),
            Act::Copy => checks::copy(self, step),
            Act::Drop => {
                let fresh = World::with(self.settings.clone());
                let (tally, waiting) = (std::mem::take(&mut self.tally), std::mem::take(&mut self.waiting));
                let mut awaited = std::mem::take(&mut self.awaited);
                awaited.wake_all();
                *self = World { tally, waiting, awaited, ..fresh };
                Ok(())
            }
        }
    }

    fn command(&mut self, words: &[Vec<u8>], step: &Step) -> Result<(), String> {
        let (name, args) = (command_name(words), &words[1..]);
        let before = checks::Before::new(self);
        let mut nonces = serving::nonces(step.nonces);
        let expected = self.model.run(name, args, &mut moment(step, &self.settings, &mut nonces));
        let result = run(name, args, &mut self.primary, &step.conditions(&self.settings), &mut self.out);
        let found = match (&result, self.out.block.take()) {
            (Err(error), _) => Answer::Error(first_word(error)),
            (Ok(()), Some(block)) => {
                if self.out.reply.items().next().is_some() {
                    return Err("a reply to a client that waits".to_owned());
                }
                match block {
                    Block::Claim(claim) => self.waiting.push(Waiting { args: args.to_vec(), claim }),
                    Block::Wait(wait) => self.awaited.enrol(*wait),
                    Block::Read(_) => return Err("a document was put off twice".to_owned()),
                }
                Answer::Blocks
            }
            (Ok(()), None) => Answer::Reply(tree::read(&self.out.reply)?),
        };
        self.tally.answer(name, &found);
        compare(&expected, &found, result.err())?;
        self.after(before, step)
    }

    fn on_wrong_type(&mut self, words: &[Vec<u8>], step: &Step) -> Result<(), String> {
        let (name, args) = (command_name(words), &words[1..]);
        let mut nonces = serving::nonces(step.nonces);
        let alone = Model::default().run(name, args, &mut moment(step, &self.settings, &mut nonces));
        let conditions = step.conditions(&self.settings);
        let body = spec_of(name).run;
        let (result, fresh) = on_value(Value::WrongType, args, &conditions, &mut self.out, body);
        if fresh.is_some() || self.out.changed() {
            return Err("a key of another type was written over".to_owned());
        }
        let word = match &result {
            Err(error) => first_word(error),
            Ok(()) => "no error",
        };
        self.tally.error(name, word);
        match alone {
            Answer::Error(expected) if expected == word => Ok(()),
            _ if word == "WRONGTYPE" => Ok(()),
            _ => Err(format!("on a key of another type: {word}")),
        }
    }

    fn sweep(&mut self, step: &Step) -> Result<(), String> {
        let before = checks::Before::new(self);
        let mut nonces = serving::nonces(step.nonces);
        self.model.sweep(&mut moment(step, &self.settings, &mut nonces));
        let conditions = step.conditions(&self.settings);
        match on_key(&mut self.primary, &[], &conditions, &mut self.out, sweep::sweep) {
            Ok(false) => {}
            other => return Err(format!("the sweep says {other:?}")),
        }
        self.after(before, step)
    }

    fn set_clock_ahead(&mut self, by: u64, step: &Step) -> Result<(), String> {
        let before = checks::Before::new(self);
        let from = step.now - by;
        self.model.set_clock_ahead(from, by);
        let conditions = step.conditions(&self.settings);
        on_key(&mut self.primary, &[], &conditions, &mut self.out, |call| {
            sweep::shift(call, Millis(from), by)
        })
        .map_err(|error| format!("{error:?}"))?;
        self.after(before, step)
    }

    fn serve(&mut self, nth: usize, step: &Step) -> Result<(), String> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let nth = nth % self.waiting.len();
        let before = checks::Before::new(self);
        let mut nonces = serving::nonces(step.nonces);
        let patient = Step { may_block: true, ..step.clone() };
        let mut moment = moment(&patient, &self.settings, &mut nonces);
        let expected = self.model.run("WF.CLAIM", &self.waiting[nth].args, &mut moment);
        let conditions = step.conditions(&self.settings);
        let claim = &self.waiting[nth].claim;
        let serve = |call: &mut Call<'_>| claim::serve(claim, call);
        let served = on_key(&mut self.primary, &[], &conditions, &mut self.out, serve);
        let found = match served {
            Err(error) => return Err(format!("{error:?}")),
            Ok(true) => Answer::Reply(tree::read(&self.out.reply)?),
            Ok(false) if self.out.reply.items().next().is_none() => Answer::Blocks,
            Ok(false) => return Err("a reply to a client that goes on waiting".to_owned()),
        };
        compare(&expected, &found, None)?;
        if found != Answer::Blocks {
            self.waiting.remove(nth);
            self.tally.served += 1;
        }
        self.after(before, step)
    }

    /// A client stops waiting. One that waits for workflows has run out of time.
    fn leave(&mut self, nth: usize, step: &Step) -> Result<(), String> {
        let waiting = self.waiting.len() + self.awaited.len();
        match nth % waiting.max(1) {
            _ if waiting == 0 => Ok(()),
            nth if nth < self.waiting.len() => {
                self.waiting.remove(nth);
                Ok(())
            }
            nth => {
                let wait = self.awaited.leave(nth - self.waiting.len());
                self.tally.waited("time is up");
                awaited::tell(self, &wait, step)
            }
        }
    }

    /// What something that only looks replies.
    pub fn ask(
        &mut self,
        step: &Step,
        body: impl FnOnce(&mut Call<'_>) -> Result<(), CommandError>,
    ) -> Result<Reply, String> {
        let mut out = Outcome::default();
        let conditions = step.conditions(&self.settings);
        on_key(&mut self.primary, &[], &conditions, &mut out, body).map_err(|error| format!("{error:?}"))?;
        Ok(out.reply)
    }

    /// Carries effects over to the replica and the file, and checks everything.
    fn after(&mut self, before: checks::Before, step: &Step) -> Result<(), String> {
        let effects: Effects = self.out.effects.args().map(<[u8]>::to_vec).collect();
        self.adopt(step)?;
        self.tally.happened(&self.model);
        checks::report(self, &before, &self.out.report)?;
        let journal = std::mem::take(&mut self.out.journal);
        checks::entries(self, &journal)?;
        for event in self.out.report.events.iter() {
            self.tally.event(event);
        }
        self.tally.expired += self.out.report.expired;
        self.awaited.wake(&self.out.report.ended);
        if !effects.is_empty() {
            self.apply_to_replica(&effects, step)?;
            self.file.push(effects);
        }
        checks::state(self, &before, step)
    }
}

/// The circumstances of a step for the model.
pub fn moment<'a>(step: &Step, settings: &'a Settings, random: &'a mut dyn FnMut() -> u32) -> Moment<'a> {
    Moment { now: step.now, expire_from: step.expire_from, may_block: step.may_block, random, settings }
}

fn command_name(words: &[Vec<u8>]) -> &str {
    std::str::from_utf8(&words[0]).expect("a command's name")
}

/// The first word of an error, which is what programs look at.
pub fn first_word(error: &CommandError) -> &'static str {
    let line = error.to_bytes();
    assert!(
        line.iter().all(|byte| (b' '..=b'~').contains(byte)),
        "an error that is not printable: {error:?}"
    );
    let words = ["ERR", "INVALID", "EXISTS", "LIMIT", "UNDEFINED", "WRONGTYPE"];
    words
        .into_iter()
        .find(|word| line.starts_with(format!("{word} ").as_bytes()))
        .unwrap_or("an unknown word")
}

/// The answer is the expected one.
pub fn compare(expected: &Answer, found: &Answer, error: Option<CommandError>) -> Result<(), String> {
    let difference = match (expected, found) {
        (Answer::Reply(expected), Answer::Reply(found)) => tree::difference(expected, found),
        _ if expected == found => None,
        _ => Some(format!(" expected {expected:?}, found {found:?}")),
    };
    match difference {
        None => Ok(()),
        Some(difference) => match error {
            Some(error) => Err(format!("reply{difference} ({})", error.to_bytes().escape_ascii())),
            None => Err(format!("reply{difference}")),
        },
    }
}

/// Effects for people.
pub fn shown(effects: &Effects) -> String {
    let words: Vec<String> = effects.iter().map(|word| format!("\"{}\"", word.escape_ascii())).collect();
    words.join(" ")
}
