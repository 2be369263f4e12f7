//! Settings that a space has of its own, by WF.CONFIG. The module's settings hold where it has none.

use super::limits::{SETTINGS, SettingSpec, Settings};
use std::borrow::Cow;

/// The settings; nearly always none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    numbers: Vec<(&'static str, u64)>,
    /// The key of the stream that is told what happens. Only a space can have it, never the module.
    events: Option<Box<[u8]>>,
}

/// The setting of that name, if a space can have it.
pub fn find(name: &[u8]) -> Option<&'static SettingSpec> {
    SETTINGS.iter().find(|spec| spec.per_space && spec.name.as_bytes().eq_ignore_ascii_case(name))
}

impl Overrides {
    /// Sets one, or with `None` goes back to the module's.
    pub fn set(&mut self, spec: &'static SettingSpec, value: Option<u64>) {
        self.numbers.retain(|(name, _)| *name != spec.name);
        self.numbers.extend(value.map(|value| (spec.name, value)));
        self.numbers.sort_unstable();
        self.numbers.shrink_to_fit();
    }

    /// Sets the key of the stream, or with `None` goes back to none.
    pub fn set_events(&mut self, stream: Option<&[u8]>) {
        self.events = stream.map(Box::from);
    }

    /// All numbers, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'static str, u64)> {
        self.numbers.iter().copied()
    }

    /// The key of the stream that is told what happens, if there is one.
    pub fn events(&self) -> Option<&[u8]> {
        self.events.as_deref()
    }

    /// The settings in force.
    pub fn over<'s>(&self, settings: &'s Settings) -> Cow<'s, Settings> {
        if self.numbers.is_empty() {
            return Cow::Borrowed(settings);
        }
        let mut own = settings.clone();
        for (name, value) in self.iter() {
            let spec = find(name.as_bytes()).expect("only known settings are set");
            (spec.set)(&mut own, value);
        }
        Cow::Owned(own)
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.numbers.capacity() * size_of::<(&str, u64)>() + self.events.as_ref().map_or(0, |key| key.len())
    }
}
