//! WF.COMPLETE, WF.FAIL and WF.EXTEND: what workers say with their tokens.

use super::arguments::{TEN_YEARS, Words, token};
use super::attempt::{Fate, Wish};
use super::{Model, Moment, Refusal, State};
use crate::sim::tree::Tree;
use std::collections::BTreeSet;

/// What a token leads to.
pub enum Found {
    /// No such workflow or task.
    Unknown,
    /// A task whose newest token is another one.
    Stale,
    /// The task, by the places of workflow and task, whose newest token this is.
    Task(usize, usize),
}

impl Model {
    /// What a word, which must read as a token, leads to.
    pub fn look_up(&self, word: &[u8]) -> Result<Found, Refusal> {
        let token = token(word)?;
        let Some(place) = self.find(&token.id) else { return Ok(Found::Unknown) };
        let Some(task) = self.workflows[place].tasks.get(token.index) else { return Ok(Found::Unknown) };
        Ok(if task.nonce == Some(token.nonce) { Found::Task(place, token.index) } else { Found::Stale })
    }

    /// `WF.COMPLETE key token [RESULT value] [token [RESULT value] ...] [SKIP child [child ...]]`
    pub fn complete(&mut self, args: &[Vec<u8>], moment: &mut Moment<'_>) -> Result<Tree, Refusal> {
        let (list, names) = words(args, "RESULT", moment.settings.max_result_bytes)?;
        let skipped = self.children_named(list[0].token, names)?;
        self.one_by_one(&list, |model, place, index, word| {
            let task = &mut model.workflows[place].tasks[index];
            match task.state {
                State::Running | State::Ready if !task.spent => {
                    let (failures, lost) = (task.failures > 0, task.lost > 0);
                    model.happened.extend(failures.then_some("a task that completes after failures"));
                    model.happened.extend(lost.then_some("a task that completes after losses"));
                    task.result = word.text.map(<[u8]>::to_vec);
                    task.error = None;
                    let worker = model.worker_of(place, index);
                    worker.completions += 1;
                    worker.see(moment.now);
                    model.note_run(place, index, moment.now);
                    let time = model.workflows[place].not_before_push(moment.now);
                    let task = &mut model.workflows[place].tasks[index];
                    task.end(State::Completed, time);
                    task.chose_to_skip = skipped.clone();
                    model.kinds.get_mut(&task.kind).expect("its type was pushed").completed += 1;
                    if !skipped.is_empty() {
                        model.note_choice(place, index);
                    }
                    model.advance(place, moment.now);
                    model.settle(place, moment.now);
                    1
                }
                State::Completed => {
                    model.note_if(!skipped.is_empty(), "a repeated completion with a choice");
                    2
                }
                _ => {
                    model.note_spent(place, index, "COMPLETE with a spent token");
                    0
                }
            }
        })
    }

    /// `WF.FAIL key token [ERROR text] [RETRY ms | NORETRY] [token ...]`
    pub fn fail(&mut self, args: &[Vec<u8>], moment: &mut Moment<'_>) -> Result<Tree, Refusal> {
        let (list, _) = words(args, "ERROR", moment.settings.max_error_bytes)?;
        self.one_by_one(&list, |model, place, index, word| {
            let task = &model.workflows[place].tasks[index];
            match task.state {
                State::Running | State::Ready if !task.spent => {
                    let error = word.text.map(<[u8]>::to_vec);
                    model.worker_of(place, index).see(moment.now);
                    match model.fail_attempt(place, index, error, word.wish, "reported", moment) {
                        Fate::Final => 1,
                        Fate::Retried => 2,
                    }
                }
                State::Delayed | State::Ready => {
                    model.note("FAIL with a spent token");
                    2
                }
                State::Failed => 1,
                _ => 0,
            }
        })
    }

    /// `WF.EXTEND key ms token [token ...]`
    pub fn extend(&mut self, args: &[Vec<u8>], moment: &mut Moment<'_>) -> Result<Tree, Refusal> {
        let mut rest = Words(args);
        let lease = rest.number(1, 30 * 24 * 60 * 60 * 1000)?;
        let mut list = vec![Word { token: rest.need()?, text: None, wish: Wish::None }];
        while let Some(token) = rest.next() {
            list.push(Word { token, text: None, wish: Wish::None });
        }
        self.one_by_one(&list, |model, place, index, _| {
            let workflow = &mut model.workflows[place];
            let stop = workflow.is_stopped() && !workflow.survives(index);
            let task = &workflow.tasks[index];
            if !matches!(task.state, State::Running | State::Ready) || task.spent {
                model.note_spent(place, index, "EXTEND with a spent token");
                return 0;
            }
            let timeout = task.options.timeout_ms.map(|timeout| task.started.expect("it ran") + timeout);
            if timeout.is_some_and(|end| end <= moment.now) {
                let late = timeout < Some(moment.now);
                model.note(if late { "EXTEND after the timeout" } else { "EXTEND at the very timeout" });
                return 0;
            }
            let ends = workflow.not_before_push(moment.now + lease);
            let task = &mut workflow.tasks[index];
            task.go_on();
            task.state = State::Running;
            task.deadline = timeout.map_or(ends, |timeout| timeout.min(ends));
            let cut = task.deadline < ends;
            model.happened.extend(cut.then_some("EXTEND up to the timeout"));
            if stop { 2 } else { 1 }
        })
    }

    /// The children of the task, which is about to complete, that have these names.
    fn children_named(&self, word: &[u8], names: &[Vec<u8>]) -> Result<BTreeSet<usize>, Refusal> {
        let Found::Task(place, index) = self.look_up(word)? else { return Ok(BTreeSet::new()) };
        let workflow = &self.workflows[place];
        let task = &workflow.tasks[index];
        if task.state == State::Completed {
            // Only a repeat: whether it chooses is all that is told of it.
            return Ok(names.iter().map(|_| 0).collect());
        }
        if task.spent || !matches!(task.state, State::Running | State::Ready) {
            return Ok(BTreeSet::new());
        }
        let child = |name: &Vec<u8>| {
            let place = workflow.tasks.iter().position(|task| task.name == *name);
            place.filter(|&place| workflow.tasks[place].parents.contains(&index)).ok_or("ERR")
        };
        names.iter().map(child).collect()
    }

    fn note_choice(&mut self, place: usize, index: usize) {
        let workflow = &self.workflows[place];
        let (flow, stopped) = (workflow.is_flow(), workflow.is_stopped());
        let children = workflow.tasks.iter().filter(|task| task.parents.contains(&index)).count();
        let all = workflow.tasks[index].chose_to_skip.len() == children;
        self.note(if flow { "a choice in a flow" } else { "a choice in a plain workflow" });
        self.note_if(stopped, "a choice in a stopped workflow");
        self.note(if all { "a choice of nothing" } else { "a choice of some" });
    }

    fn note_spent(&mut self, place: usize, index: usize, what: &'static str) {
        let task = &self.workflows[place].tasks[index];
        let spent = task.spent && matches!(task.state, State::Delayed | State::Ready);
        self.note_if(spent, what);
    }

    /// The codes of a list of tokens, each done before the next is looked at. Nothing is done when
    /// one of them is no token.
    fn one_by_one(
        &mut self,
        list: &[Word<'_>],
        mut one: impl FnMut(&mut Model, usize, usize, &Word<'_>) -> i64,
    ) -> Result<Tree, Refusal> {
        for word in list {
            token(word.token)?;
        }
        let mut codes = Vec::new();
        for word in list {
            codes.push(Tree::Int(match self.look_up(word.token)? {
                Found::Unknown => -1,
                Found::Stale => 0,
                Found::Task(place, index) => one(self, place, index, word),
            }));
        }
        Ok(Tree::Array(codes))
    }
}

/// A token and what was said with it.
struct Word<'a> {
    token: &'a [u8],
    text: Option<&'a [u8]>,
    wish: Wish,
}

/// Reads tokens, each with its options: a text after the keyword and, where things fail, what is to
/// follow. Where things complete, names may come behind the only token.
fn words<'a>(
    args: &'a [Vec<u8>],
    keyword: &str,
    longest: u64,
) -> Result<(Vec<Word<'a>>, &'a [Vec<u8>]), Refusal> {
    let mut rest = Words(args);
    let mut list: Vec<Word<'a>> = Vec::new();
    while !rest.0.is_empty() {
        let fails = keyword == "ERROR";
        match list.last_mut() {
            Some(word) if rest.keyword(keyword) => {
                if word.text.replace(rest.need()?).is_some() {
                    return Err("ERR");
                }
            }
            Some(_) if !fails && rest.has("SKIP") => break,
            Some(word) if fails && (rest.has("RETRY") || rest.has("NORETRY")) => {
                let wish = if rest.keyword("NORETRY") { Wish::NoRetry } else { rest.retry()? };
                if std::mem::replace(&mut word.wish, wish) != Wish::None {
                    return Err("ERR");
                }
            }
            _ => {
                let word = rest.need()?;
                token(word)?;
                list.push(Word { token: word, text: None, wish: Wish::None });
            }
        }
    }
    if list.is_empty() {
        return Err("ERR");
    }
    let skips = rest.keyword("SKIP");
    if skips && (list.len() > 1 || rest.0.is_empty()) {
        return Err("ERR");
    }
    let fits = |word: &Word<'_>| word.text.is_none_or(|text| text.len() as u64 <= longest);
    if list.iter().all(fits) { Ok((list, rest.0)) } else { Err("LIMIT") }
}

impl Words<'_> {
    /// `RETRY ms`
    fn retry(&mut self) -> Result<Wish, Refusal> {
        self.keyword("RETRY");
        Ok(Wish::Retry(self.number(0, TEN_YEARS)?))
    }
}
