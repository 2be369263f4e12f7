//! What `WF.COMPLETE` and `WF.FAIL` share: a list of tokens, each with an optional text, each
//! judged after the ones before it have been carried out, so that a token that comes twice is a
//! repeat.

use super::args::Args;
use super::call::{Call, CommandError};
use super::carry_out;
use super::token::Token;
use crate::engine::effect::Effect;
use crate::engine::plan::Standing;
use crate::engine::units::{Millis, TaskRef};

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
}

/// Parses and carries out a list of acknowledgements.
pub fn run(call: &mut Call<'_>, word: Word) -> Result<(), CommandError> {
    let (keyword, max, setting) = match word {
        Word::Completed => ("RESULT", call.settings.max_result_bytes, "max-result-bytes"),
        Word::Failed => ("ERROR", call.settings.max_error_bytes, "max-error-bytes"),
    };
    let list = parse(Args(call.args), word, keyword)?;
    if list.iter().any(|item| item.text.is_some_and(|text| text.len() as u64 > max)) {
        return Err(CommandError::OverLimit(keyword, max, setting));
    }
    let now = call.now;
    let Some((space, out)) = call.space_mut()? else {
        call.out.reply.array(list.len());
        list.iter().for_each(|_| call.out.reply.int(-1));
        return Ok(());
    };
    out.reply.array(list.len());
    for item in list {
        let standing = item.token.standing(space);
        if let Standing::Good(task) = standing {
            carry_out(space, &effect(word, now, task, item.text), out);
        }
        out.reply.int(code(word, standing));
    }
    Ok(())
}

fn effect<'a>(word: Word, now: Millis, task: TaskRef, text: Option<&'a [u8]>) -> Effect<'a> {
    match word {
        Word::Completed => Effect::Complete { now, task, result: text },
        Word::Failed => Effect::Fail { now, task, error: text },
    }
}

/// The status code of a token.
fn code(word: Word, standing: Standing) -> i64 {
    match (word, standing) {
        (_, Standing::Unknown) => -1,
        (_, Standing::Good(_)) => 1,
        (_, Standing::Stale) => 0,
        (Word::Completed, Standing::Completed) => 2,
        (Word::Failed, Standing::Failed) => 1,
        (Word::Completed, Standing::Failed) | (Word::Failed, Standing::Completed) => 0,
    }
}

fn parse<'a>(
    mut args: Args<'a>,
    word: Word,
    keyword: &'static str,
) -> Result<Vec<Acknowledgement<'a>>, CommandError> {
    let mut list: Vec<Acknowledgement<'a>> = Vec::with_capacity(args.0.len());
    while !args.0.is_empty() {
        if let Some(last) = list.last_mut() {
            if args.keyword(keyword) {
                if last.text.replace(args.value(keyword)?).is_some() {
                    return Err(CommandError::Repeated(keyword));
                }
                continue;
            }
            if let Word::Failed = word {
                for option in ["RETRY", "NORETRY"] {
                    if args.keyword(option) {
                        return Err(CommandError::NotSupported(option));
                    }
                }
            }
        }
        list.push(Acknowledgement { token: Token::read(args.required()?)?, text: None });
    }
    Ok(list)
}
