//! Settings that a space has of its own, by WF.CONFIG. The module's settings hold where it has none.

use super::limits::{SETTINGS, SettingSpec, Settings};
use std::borrow::Cow;

/// The settings; nearly always none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides(Vec<(&'static str, u64)>);

/// The setting of that name, if a space can have it.
pub fn find(name: &[u8]) -> Option<&'static SettingSpec> {
    SETTINGS.iter().find(|spec| spec.per_space && spec.name.as_bytes().eq_ignore_ascii_case(name))
}

impl Overrides {
    /// Sets one, or with `None` goes back to the module's.
    pub fn set(&mut self, spec: &'static SettingSpec, value: Option<u64>) {
        self.0.retain(|(name, _)| *name != spec.name);
        self.0.extend(value.map(|value| (spec.name, value)));
        self.0.sort_unstable();
        self.0.shrink_to_fit();
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'static str, u64)> {
        self.0.iter().copied()
    }

    /// The settings in force.
    pub fn over<'s>(&self, settings: &'s Settings) -> Cow<'s, Settings> {
        if self.0.is_empty() {
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
        self.0.capacity() * size_of::<(&str, u64)>()
    }
}
