//! What a client asks a server, and what the answer says happened.

use super::record::{Handed, Seen, Shape, Task, Verb};
use crate::commands::spec::Access;
use crate::sim::serving::spec_of;
use crate::sim::tree::Tree;
use std::rc::Rc;

/// A command, and what its client knows of it besides its words.
#[derive(Clone, Debug)]
pub struct Request {
    /// The words, without the key.
    pub words: Vec<Vec<u8>>,
    /// The rest.
    pub about: About,
}

/// What a client knows of its request.
#[derive(Clone, Debug)]
pub enum About {
    /// Nothing.
    Nothing,
    /// The tasks of the workflow that it pushes or defines.
    Shape(Rc<Shape>),
    /// The tasks that it adds.
    Tasks(Rc<Vec<Task>>),
    /// The key as a whole: DEL, COPY, DUMP and RESTORE.
    Key,
}

/// What a server answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// This.
    Reply(Tree),
    /// An error: its first word.
    Error(&'static str),
    /// Nothing yet.
    Waits,
    /// It is not a primary, or does not run: nothing happened.
    NotHere,
    /// Nobody knows.
    Unknown,
}

/// Words of a command.
pub fn words(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// Bytes for people and for the record.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The workflow and the index of a token's task.
pub fn task_of(token: &str) -> Option<(&str, usize)> {
    let (rest, _) = token.rsplit_once('-')?;
    let (id, index) = rest.rsplit_once('-')?;
    Some((id, index.parse().ok()?))
}

impl Request {
    /// A request that is nothing but its words.
    pub fn of(list: &[&str]) -> Request {
        Request { words: words(list), about: About::Nothing }
    }

    /// The name of its command.
    pub fn name(&self) -> &str {
        std::str::from_utf8(&self.words[0]).expect("a command's name")
    }

    /// Whether a replica answers it.
    pub fn only_looks(&self) -> bool {
        !matches!(self.about, About::Key) && spec_of(self.name()).access == Access::Read
    }

    fn word(&self, place: usize) -> String {
        text(&self.words[place])
    }

    /// What the reply says happened.
    pub fn seen(&self, reply: &Tree) -> Vec<Seen> {
        let number = if let Tree::Int(number) = reply { *number } else { 0 };
        match (self.name(), &self.about) {
            ("WF.PUSH", About::Shape(shape)) => match reply {
                Tree::Bulk(id) => vec![Seen::Pushed { id: text(id), shape: shape.clone() }],
                _ => Vec::new(),
            },
            ("WF.DEFINE", About::Shape(shape)) => {
                vec![Seen::Defined { name: self.word(1), shape: shape.clone() }]
            }
            ("WF.START", _) => match reply {
                Tree::Bulk(id) => vec![Seen::Started { id: text(id), name: self.word(1) }],
                _ => Vec::new(),
            },
            ("WF.CLAIM", _) => handed(reply, &self.word(1), false),
            ("WF.RECOVER", _) if self.words.len() > 2 => handed(reply, &self.word(1), true),
            ("WF.RECOVER", _) => {
                let tokens = reply.elements().iter();
                tokens.map(|token| Seen::TakenBack { token: bulk(token) }).collect()
            }
            ("WF.COMPLETE", _) => self.settled(Verb::Complete, 1, reply),
            ("WF.FAIL", _) => self.settled(Verb::Fail, 1, reply),
            ("WF.EXTEND", _) => {
                let ms = self.word(1).parse().expect("milliseconds");
                self.settled(Verb::Extend(ms), 2, reply)
            }
            ("WF.SIGNAL", _) => {
                // One that fails its task completes nothing.
                let code = if self.words.len() > 3 { 0 } else { number };
                let mut seen = vec![Seen::Signalled { id: self.word(1), name: self.word(2), code }];
                if self.words.len() > 3 {
                    seen.push(Seen::Cancelled { id: self.word(1) });
                }
                seen
            }
            ("WF.ADD", About::Tasks(tasks)) if number > 0 => {
                vec![Seen::Added { token: self.word(1), tasks: tasks.clone() }]
            }
            ("WF.CANCEL", _) if number > 0 => vec![Seen::Cancelled { id: self.word(1) }],
            ("WF.RETRY", _) if number > 0 => vec![Seen::Retried { id: self.word(1) }],
            ("WF.DELETE", _) if number > 0 => vec![Seen::Deleted { id: self.word(1) }],
            _ => Vec::new(),
        }
    }

    /// The tokens that it names, with what it says of them.
    fn settled(&self, verb: Verb, from: usize, reply: &Tree) -> Vec<Seen> {
        let is_token = |word: &&Vec<u8>| task_of(&text(word)).is_some();
        let tokens = self.words[from..].iter().filter(is_token);
        let codes = reply.integers();
        tokens.zip(codes).map(|(token, code)| Seen::Settled { verb, token: text(token), code }).collect()
    }
}

fn bulk(tree: &Tree) -> String {
    if let Tree::Bulk(bytes) = tree { text(bytes) } else { format!("{tree:?}") }
}

/// The tasks of a reply.
pub fn handed(reply: &Tree, worker: &str, resumed: bool) -> Vec<Seen> {
    let int = |tree: &Tree| if let Tree::Int(number) = tree { *number } else { -1 };
    let task = |tree: &Tree| {
        let fields = tree.elements();
        Seen::Handed(Handed {
            token: bulk(&fields[0]),
            name: bulk(&fields[2]),
            attempt: int(&fields[4]),
            deadline: int(&fields[5]) as u64,
            worker: worker.to_owned(),
            resumed,
        })
    };
    reply.elements().iter().map(task).collect()
}
