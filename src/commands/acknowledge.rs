//! What `WF.COMPLETE` and `WF.FAIL` share: a list of tokens, each with an optional text, each
//! judged after the ones before it have been carried out, so that a token that comes twice is a
//! repeat.

use super::args::Args;
use super::call::{Call, CommandError, Writing};
use super::carry_out;
use super::token::Token;
use crate::engine::effect::{Cause, Effect};
use crate::engine::limits::MAX_DURATION_MS;
use crate::engine::space::Space;
use crate::engine::units::TaskIndex;
use crate::engine::verdict::{Standing, Wish, retry_at};

/// What an acknowledgement says of its task.
#[derive(Clone, Copy)]
pub enum Word {
    /// It completed.
    Completed,
    /// It failed.
    Failed,
}

/// A token and the text that came with it.
struct Acknowledgement<'a> {
    token: Token<'a>,
    text: Option<&'a [u8]>,
    wish: Wish,
}

/// What a call says.
struct Acknowledgements<'a> {
    list: Vec<Acknowledgement<'a>>,
    /// Names of children that its only task chose to skip.
    skip: &'a [&'a [u8]],
}

/// Parses and carries out a list of acknowledgements.
pub fn run(call: &mut Call<'_>, word: Word) -> Result<(), CommandError> {
    let (keyword, max, setting) = match word {
        Word::Completed => ("RESULT", call.settings.max_result_bytes, "max-result-bytes"),
        Word::Failed => ("ERROR", call.settings.max_error_bytes, "max-error-bytes"),
    };
    let Acknowledgements { list, skip } = parse(Args(call.args), word, keyword)?;
    if list.iter().any(|item| item.text.is_some_and(|text| text.len() as u64 > max)) {
        return Err(CommandError::OverLimit(keyword, max, setting));
    }
    let (now, settings) = (call.now, call.settings);
    let Some(Writing { space, out, random }) = call.writing()? else {
        call.out.reply.array(list.len());
        list.iter().for_each(|_| call.out.reply.int(-1));
        return Ok(());
    };
    let skipped = if skip.is_empty() { Vec::new() } else { children(space, &list[0], skip)? };
    out.reply.array(list.len());
    for item in list {
        let standing = item.token.standing(space);
        let mut code = code(word, standing);
        if let Standing::Good(task) = standing {
            let (error, cause) = (item.text, Cause::Reported);
            let effect = match word {
                Word::Completed => {
                    Effect::Complete { now, task, result: item.text, skipped: &skipped, frees: true }
                }
                Word::Failed => {
                    let settings = space.settings(settings);
                    match retry_at(space, task, now, item.wish, &settings, random) {
                        Some(due) => Effect::Retry { now, task, due, error, cause },
                        None => Effect::Fail { now, task, error, cause },
                    }
                }
            };
            if let Effect::Retry { .. } = effect {
                code = 2;
            }
            carry_out(space, &effect, out);
        }
        out.reply.int(code);
    }
    Ok(())
}

/// The status code of a token.
fn code(word: Word, standing: Standing) -> i64 {
    match (word, standing) {
        (_, Standing::Unknown) => -1,
        (_, Standing::Good(_)) => 1,
        (_, Standing::Stale) => 0,
        (Word::Completed, Standing::Completed) => 2,
        (Word::Failed, Standing::Failed) => 1,
        (Word::Failed, Standing::Retried) => 2,
        (Word::Completed, Standing::Retried) => 0,
        (Word::Completed, Standing::Failed) | (Word::Failed, Standing::Completed) => 0,
    }
}

/// The children that a completion names. One that does not count may name anything.
fn children(
    space: &Space,
    item: &Acknowledgement<'_>,
    names: &[&[u8]],
) -> Result<Vec<TaskIndex>, CommandError> {
    let Standing::Good(task) = item.token.standing(space) else { return Ok(Vec::new()) };
    space.children_named(task, names).map_err(|place| {
        let parent = space.workflow(task.slot).1.shape.name(task.index);
        CommandError::NoChild(parent.to_vec(), names[place].to_vec())
    })
}

/// What the next arguments say about trying again, if they do.
fn wish(args: &mut Args<'_>) -> Result<Option<Wish>, CommandError> {
    if args.keyword("NORETRY") {
        return Ok(Some(Wish::Never));
    }
    if args.keyword("RETRY") {
        return Ok(Some(Wish::After(args.number("RETRY", 0, MAX_DURATION_MS)?)));
    }
    Ok(None)
}

fn keyword_of(wish: Wish) -> &'static str {
    if wish == Wish::Never { "NORETRY" } else { "RETRY" }
}

fn parse<'a>(
    mut args: Args<'a>,
    word: Word,
    keyword: &'static str,
) -> Result<Acknowledgements<'a>, CommandError> {
    let mut list: Vec<Acknowledgement<'a>> = Vec::with_capacity(args.0.len());
    while !args.0.is_empty() {
        if let Some(last) = list.last_mut() {
            if let Word::Completed = word
                && args.keyword("SKIP")
            {
                return match (list.len(), args.0) {
                    (_, []) => Err(CommandError::MissingValue("SKIP")),
                    (1, skip) => Ok(Acknowledgements { list, skip }),
                    _ => Err(CommandError::NotAlone("SKIP")),
                };
            }
            if args.keyword(keyword) {
                if last.text.replace(args.value(keyword)?).is_some() {
                    return Err(CommandError::Repeated(keyword));
                }
                continue;
            }
            if let Word::Failed = word
                && let Some(wish) = wish(&mut args)?
            {
                match std::mem::replace(&mut last.wish, wish) {
                    Wish::AsSet => continue,
                    before if keyword_of(before) == keyword_of(wish) => {
                        return Err(CommandError::Repeated(keyword_of(wish)));
                    }
                    _ => return Err(CommandError::Excludes("RETRY", "NORETRY")),
                }
            }
        }
        list.push(Acknowledgement { token: Token::read(args.required()?)?, text: None, wish: Wish::AsSet });
    }
    Ok(Acknowledgements { list, skip: &[] })
}
