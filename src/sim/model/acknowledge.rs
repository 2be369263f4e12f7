//! WF.COMPLETE, WF.FAIL and WF.EXTEND: what workers say with their tokens.

use super::arguments::{Words, token};
use super::{Kind, Model, Moment, Refusal, State};
use crate::sim::tree::Tree;

/// What a token leads to.
enum Found {
    /// No such workflow or task.
    Unknown,
    /// A task whose newest token is another one.
    Stale,
    /// The task, by the places of workflow and task, whose newest token this is.
    Task(usize, usize),
}

impl Model {
    fn look_up(&self, word: &[u8]) -> Result<Found, Refusal> {
        let token = token(word)?;
        let Some(place) = self.find(&token.id) else { return Ok(Found::Unknown) };
        let Some(task) = self.workflows[place].tasks.get(token.index) else { return Ok(Found::Unknown) };
        Ok(if task.nonce == Some(token.nonce) { Found::Task(place, token.index) } else { Found::Stale })
    }

    /// A worker says that its task ended; what is remembered of the type.
    fn end_by_word(&mut self, place: usize, index: usize, state: State, now: u64) -> &mut Kind {
        let time = self.workflows[place].not_before_push(now);
        let task = &mut self.workflows[place].tasks[index];
        task.go_on();
        task.end(state, time);
        let (Some(started), Some(finished)) = (task.started, task.finished) else { panic!("it ran") };
        let kind = self.kinds.get_mut(&task.kind).expect("its type was pushed");
        kind.runs.push(finished - started);
        kind
    }

    /// `WF.COMPLETE key token [RESULT value] [token [RESULT value] ...]`
    pub fn complete(&mut self, args: &[Vec<u8>], moment: &mut Moment<'_>) -> Result<Tree, Refusal> {
        let pairs = pairs(args, "RESULT", moment.settings.max_result_bytes)?;
        self.one_by_one(&pairs, |model, place, index, result| {
            let task = &mut model.workflows[place].tasks[index];
            match task.state {
                State::Running | State::Ready => {
                    task.result = result.map(<[u8]>::to_vec);
                    model.end_by_word(place, index, State::Completed, moment.now).completed += 1;
                    model.advance(place, moment.now);
                    model.settle(place, moment.now);
                    1
                }
                State::Completed => 2,
                State::Failed | State::Cancelled | State::Waiting => 0,
            }
        })
    }

    /// `WF.FAIL key token [ERROR text] [token [ERROR text] ...]`
    pub fn fail(&mut self, args: &[Vec<u8>], moment: &mut Moment<'_>) -> Result<Tree, Refusal> {
        let pairs = pairs(args, "ERROR", moment.settings.max_error_bytes)?;
        self.one_by_one(&pairs, |model, place, index, error| {
            let task = &mut model.workflows[place].tasks[index];
            match task.state {
                State::Running | State::Ready => {
                    task.error = error.map(<[u8]>::to_vec);
                    model.end_by_word(place, index, State::Failed, moment.now).failed += 1;
                    model.events.insert("task.failed");
                    let time = model.workflows[place].not_before_push(moment.now);
                    for other in &mut model.workflows[place].tasks {
                        if matches!(other.state, State::Waiting | State::Ready) {
                            other.end(State::Cancelled, time);
                        }
                    }
                    model.settle(place, moment.now);
                    1
                }
                State::Failed => 1,
                State::Completed | State::Cancelled | State::Waiting => 0,
            }
        })
    }

    /// `WF.EXTEND key ms token [token ...]`
    pub fn extend(&mut self, args: &[Vec<u8>], moment: &mut Moment<'_>) -> Result<Tree, Refusal> {
        let mut words = Words(args);
        let lease = words.number(1, 30 * 24 * 60 * 60 * 1000)?;
        let mut tokens = vec![(words.need()?, None)];
        while let Some(word) = words.next() {
            tokens.push((word, None));
        }
        self.one_by_one(&tokens, |model, place, index, _| {
            let workflow = &mut model.workflows[place];
            let stop = workflow.failed();
            let ends = workflow.not_before_push(moment.now + lease);
            let task = &mut workflow.tasks[index];
            match task.state {
                State::Running | State::Ready => {
                    task.go_on();
                    task.state = State::Running;
                    task.deadline = ends;
                    if stop { 2 } else { 1 }
                }
                State::Completed | State::Failed | State::Cancelled | State::Waiting => 0,
            }
        })
    }

    /// The codes of a list of tokens, each done before the next is looked at. Nothing is done when
    /// one of them is no token.
    fn one_by_one(
        &mut self,
        pairs: &[(&[u8], Option<&[u8]>)],
        mut one: impl FnMut(&mut Model, usize, usize, Option<&[u8]>) -> i64,
    ) -> Result<Tree, Refusal> {
        for (word, _) in pairs {
            token(word)?;
        }
        let mut codes = Vec::new();
        for (word, text) in pairs {
            codes.push(Tree::Int(match self.look_up(word)? {
                Found::Unknown => -1,
                Found::Stale => 0,
                Found::Task(place, index) => one(self, place, index, *text),
            }));
        }
        Ok(Tree::Array(codes))
    }
}

/// A word of the arguments and, if the keyword followed, the text after that.
type Pair<'a> = (&'a [u8], Option<&'a [u8]>);

fn pairs<'a>(args: &'a [Vec<u8>], keyword: &str, longest: u64) -> Result<Vec<Pair<'a>>, Refusal> {
    let mut words = Words(args);
    let mut pairs = Vec::new();
    while let Some(word) = words.next() {
        let text = if words.keyword(keyword) { Some(words.need()?) } else { None };
        token(word)?;
        pairs.push((word, text));
    }
    if pairs.is_empty() {
        return Err("ERR");
    }
    let fits = |(_, text): &Pair<'_>| text.is_none_or(|text| text.len() as u64 <= longest);
    if pairs.iter().all(fits) { Ok(pairs) } else { Err("LIMIT") }
}
