//! Listings page by page, while the space changes between the pages.
//!
//! Which page shows what is the module's choice. What must hold: everything on a page is there, is
//! wanted and is told as it is; what is there and wanted from the first page to the last is listed, and
//! nothing is listed twice, unless it is workflows and the server restarted in between; dead letters
//! come newest first.

use super::model::{Answer, Filter, Model};
use super::serving::{self, run};
use super::step::{Act, Step};
use super::tree::{self, Tree};
use super::world::{World, compare, moment};
use crate::commands::call::Outcome;
use std::collections::{BTreeMap, BTreeSet};

/// Pages after which a listing that shows nothing new is taken to go round in circles.
const ENDLESS: u64 = 2_000;

type Key = (u64, usize, u64);

/// A listing under way.
pub struct Paging {
    words: Vec<Vec<u8>>,
    filter: Filter,
    cursor: Vec<u8>,
    /// How often each thing was listed.
    listed: BTreeMap<Key, u64>,
    /// What has been there since the first page.
    present: BTreeSet<Key>,
    /// What has been there and wanted since the first page.
    wanted: BTreeSet<Key>,
    restarted: bool,
    changed: bool,
    pages: u64,
    /// When the last dead letter listed had failed.
    last_failed: u64,
}

impl Paging {
    fn new(words: &[Vec<u8>], filter: Filter, model: &Model, now: u64) -> Paging {
        let present: BTreeSet<Key> =
            model.entries(filter.failed).into_iter().map(|entry| entry.key).collect();
        let wanted = present.iter().copied().filter(|&key| model.is_wanted(&filter, key, now));
        Paging {
            words: words.to_vec(),
            cursor: b"0".to_vec(),
            listed: BTreeMap::new(),
            wanted: wanted.collect(),
            present,
            filter,
            restarted: false,
            changed: false,
            pages: 0,
            last_failed: u64::MAX,
        }
    }

    /// Notes what is not there or not wanted any more.
    pub fn watch(&mut self, model: &Model, step: &Step) {
        let there: BTreeSet<Key> =
            model.entries(self.filter.failed).into_iter().map(|entry| entry.key).collect();
        self.changed |= there != self.present;
        self.present.retain(|key| there.contains(key));
        self.wanted.retain(|&key| model.is_wanted(&self.filter, key, step.now));
        self.restarted |= matches!(step.act, Act::ReloadPrimary | Act::Failover);
    }

    /// Looks at what one page lists.
    fn take(&mut self, items: &[Tree], model: &Model, now: u64) -> Result<(), String> {
        if items.len() as u64 > self.filter.count {
            return Err(format!("{} on a page of {}", items.len(), self.filter.count));
        }
        let entries = model.entries(self.filter.failed);
        for item in items {
            let entry = entries.iter().find(|entry| tree::difference(&entry.map, item).is_none());
            let Some(entry) = entry else { return Err(format!("lists {item:?}, which is not so")) };
            if !model.is_wanted(&self.filter, entry.key, now) {
                return Err(format!("lists {item:?}, which is not asked for"));
            }
            let (_, index, time) = entry.key;
            if index != usize::MAX {
                if time > self.last_failed {
                    return Err(format!("lists {item:?} after one that failed at {}", self.last_failed));
                }
                self.last_failed = time;
            }
            *self.listed.entry(entry.key).or_default() += 1;
        }
        Ok(())
    }

    /// Looks back at the whole listing.
    fn end(&self) -> Result<(), String> {
        if self.restarted && !self.filter.failed {
            return Ok(());
        }
        if let Some(key) = self.wanted.iter().find(|key| !self.listed.contains_key(key)) {
            return Err(format!("workflow {} of all, task {}, is not listed", key.0, key.1));
        }
        let twice = self.present.iter().find(|key| self.listed.get(key).is_some_and(|&times| times > 1));
        match twice {
            Some(key) => Err(format!("workflow {} of all, task {}, is listed twice", key.0, key.1)),
            None => Ok(()),
        }
    }
}

impl World {
    /// A listing begins, and another one is given up.
    pub fn begin_listing(&mut self, words: &[Vec<u8>], step: &Step) -> Result<(), String> {
        self.paging = self.listing(words, step)?;
        self.next_page(step)
    }

    /// The listing goes on.
    pub fn next_page(&mut self, step: &Step) -> Result<(), String> {
        let Some(mut paging) = self.paging.take() else { return Ok(()) };
        if self.page(&mut paging, step)? {
            self.paging = Some(paging);
        }
        Ok(())
    }

    /// A listing from its beginning to its end.
    pub fn list_all(&mut self, words: &[Vec<u8>], step: &Step) -> Result<(), String> {
        let Some(mut paging) = self.listing(words, step)? else { return Ok(()) };
        while self.page(&mut paging, step)? {}
        Ok(())
    }

    /// A listing that has not begun. On a missing key there is none; whether that says so is checked.
    fn listing(&mut self, words: &[Vec<u8>], step: &Step) -> Result<Option<Paging>, String> {
        let mut nonces = serving::nonces(step.nonces);
        let filter = Filter::read(words, &moment(step, &self.settings, &mut nonces));
        let filter = filter.map_err(|word| format!("the generator made up a bad listing: {word}"))?;
        if self.model.exists {
            return Ok(Some(Paging::new(words, filter, &self.model, step.now)));
        }
        let expected = Tree::Array(vec![Tree::text("0"), Tree::Array(Vec::new())]);
        let found = self.list(words, step)?;
        compare(&Answer::Reply(expected), &Answer::Reply(found), None)?;
        self.tally.listed("on a missing key");
        Ok(None)
    }

    /// One page; false when it was the last.
    fn page(&mut self, paging: &mut Paging, step: &Step) -> Result<bool, String> {
        paging.watch(&self.model, step);
        let cursor = [b"cursor".to_vec(), paging.cursor.clone()];
        let words = [&paging.words[..], &cursor[..]].concat();
        let reply = self.list(&words, step)?;
        let [Tree::Bulk(cursor), Tree::Array(items)] = reply.elements() else {
            return Err(format!("not a page: {reply:?}"));
        };
        paging.take(items, &self.model, step.now)?;
        paging.pages += 1;
        paging.cursor.clone_from(cursor);
        if paging.pages > ENDLESS {
            return Err("a listing has no end".to_owned());
        }
        if cursor != b"0" {
            return Ok(true);
        }
        paging.end()?;
        let what = if paging.filter.failed { "dead letters" } else { "workflows" };
        self.tally.listed(what);
        if paging.pages > 1 && !paging.listed.is_empty() {
            if paging.changed {
                self.tally.listed("several pages while things changed");
            }
            if paging.restarted {
                self.tally.listed("several pages and a restart");
            }
        }
        Ok(false)
    }

    fn list(&mut self, words: &[Vec<u8>], step: &Step) -> Result<Tree, String> {
        let mut out = Outcome::default();
        run("WF.LIST", words, &mut self.primary, &step.conditions(&self.settings), &mut out)
            .map_err(|error| format!("WF.LIST: {}", error.to_bytes().escape_ascii()))?;
        if out.changed() {
            return Err("a listing left effects".to_owned());
        }
        let reply = tree::read(&out.reply)?;
        self.tally.answer("WF.LIST", &Answer::Reply(reply.clone()));
        Ok(reply)
    }
}
