//! A reply as a tree, for comparing what the module said with what the model expects.
//!
//! The module's replies are flat lists of items; [`read`] turns one into a tree and refuses one that
//! is not exactly one whole reply. Maps are compared without regard to order. A model that knows a
//! number only within a documented error says [`Tree::Between`], one that leaves a reply to others
//! says [`Tree::Whatever`].

use crate::commands::reply::{Item, Reply};
use std::fmt;

/// One reply, or what is expected of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tree {
    /// An integer.
    Int(i64),
    /// Bytes.
    Bulk(Vec<u8>),
    /// Nothing.
    Null,
    /// Elements in order.
    Array(Vec<Tree>),
    /// Pairs in any order.
    Map(Vec<(Tree, Tree)>),
    /// Only in expectations: an integer from the first to the second.
    Between(i64, i64),
    /// Only in expectations: anything.
    Whatever,
}

impl Tree {
    /// A bulk string.
    pub fn text(text: impl AsRef<[u8]>) -> Tree {
        Tree::Bulk(text.as_ref().to_vec())
    }

    /// A number.
    pub fn number(number: u64) -> Tree {
        Tree::Int(number as i64)
    }

    /// What `tree` makes of something that is there, null otherwise.
    pub fn maybe<T>(value: Option<T>, tree: impl FnOnce(T) -> Tree) -> Tree {
        value.map_or(Tree::Null, tree)
    }

    /// A map from field names.
    pub fn map<'a>(pairs: impl IntoIterator<Item = (&'a str, Tree)>) -> Tree {
        Tree::Map(pairs.into_iter().map(|(name, value)| (Tree::text(name), value)).collect())
    }

    /// A time, or now if it has passed.
    pub fn not_before(self, now: u64) -> Tree {
        if let Tree::Int(time) = self { Tree::Int(time.max(now as i64)) } else { self }
    }

    /// The value of a field of a map.
    pub fn field(&self, name: &str) -> Option<&Tree> {
        let Tree::Map(pairs) = self else { return None };
        pairs.iter().find(|(field, _)| *field == Tree::text(name)).map(|(_, value)| value)
    }

    /// The elements of an array.
    pub fn elements(&self) -> &[Tree] {
        if let Tree::Array(items) = self { items } else { &[] }
    }

    /// The integers of an array of integers, for counting codes.
    pub fn integers(&self) -> Vec<i64> {
        match self {
            Tree::Array(items) => items.iter().flat_map(Tree::integers).collect(),
            Tree::Int(value) => vec![*value],
            _ => Vec::new(),
        }
    }
}

/// Reads a whole reply.
pub fn read(reply: &Reply) -> Result<Tree, String> {
    let mut items = reply.items();
    let tree = read_one(&mut items)?;
    match items.next() {
        Some(extra) => Err(format!("the reply goes on after its end with {extra:?}")),
        None => Ok(tree),
    }
}

fn read_one<'a>(items: &mut impl Iterator<Item = Item<'a>>) -> Result<Tree, String> {
    match items.next().ok_or("the reply ends too early")? {
        Item::Int(value) => Ok(Tree::Int(value)),
        Item::Bulk(bytes) => Ok(Tree::text(bytes)),
        Item::Ok => Ok(Tree::text(b"OK")),
        Item::Null => Ok(Tree::Null),
        Item::Array(len) => Ok(Tree::Array((0..len).map(|_| read_one(items)).collect::<Result<_, _>>()?)),
        Item::Map(len) => {
            let mut pairs = Vec::new();
            for _ in 0..len {
                pairs.push((read_one(items)?, read_one(items)?));
            }
            Ok(Tree::Map(pairs))
        }
    }
}

/// Where `found` is not what was expected: the path to the first difference, and both sides.
pub fn difference(expected: &Tree, found: &Tree) -> Option<String> {
    match (expected, found) {
        (Tree::Whatever, _) => None,
        (Tree::Between(low, high), Tree::Int(value)) if (low..=high).contains(&value) => None,
        (Tree::Array(left), Tree::Array(right)) if left.len() == right.len() => {
            left.iter().zip(right).enumerate().find_map(|(place, (left, right))| {
                difference(left, right).map(|inner| format!("[{place}]{inner}"))
            })
        }
        (Tree::Map(left), Tree::Map(right)) if left.len() == right.len() => {
            let (mut left, mut right) = (left.clone(), right.clone());
            left.sort();
            right.sort();
            left.iter().zip(&right).find_map(|(left, right)| {
                difference(&left.0, &right.0)
                    .map(|inner| format!(" field{inner}"))
                    .or_else(|| difference(&left.1, &right.1).map(|inner| format!(".{:?}{inner}", left.0)))
            })
        }
        (expected, found) if expected == found => None,
        (expected, found) => Some(format!(" expected {expected:?}, found {found:?}")),
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tree::Int(value) => write!(out, "{value}"),
            Tree::Bulk(bytes) => write!(out, "\"{}\"", bytes.escape_ascii()),
            Tree::Null => write!(out, "nil"),
            Tree::Array(items) => out.debug_list().entries(items).finish(),
            Tree::Map(pairs) => {
                out.debug_map().entries(pairs.iter().map(|(name, value)| (name, value))).finish()
            }
            Tree::Between(low, high) => write!(out, "{low}..={high}"),
            Tree::Whatever => write!(out, "anything"),
        }
    }
}
