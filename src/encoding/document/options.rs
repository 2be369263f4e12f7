//! The options of a task, in the task itself or in the `defaults` of the document.

use super::DocumentError;
use super::fields::{Fields, Origin, Text};
use crate::engine::limits::{MAX_DURATION_MS, MAX_LEASE_MS, MAX_TRIES};
use crate::engine::options::{Backoff, BackoffKind, DEFAULT_MAX_BACKOFF_MS, TaskOptions};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The first bit of the options among the fields that came.
const FIRST_BIT: u32 = 16;

/// Reads one field into the options; false when it is none of them.
pub(super) fn field<'de, A: MapAccess<'de>>(
    fields: &mut Fields<'_, '_>,
    map: &mut A,
    field: &str,
    options: &mut TaskOptions,
    name: &str,
) -> Result<bool, A::Error> {
    let mut number = |bit: u32, field: &'static str, min: u64, max: u64| {
        fields.once(FIRST_BIT + bit, field, name)?;
        fields.number(map, field, false, (min, max), name)
    };
    match field {
        "lease_ms" => options.lease_ms = number(0, "lease_ms", 1, MAX_LEASE_MS)?,
        "max_attempts" => {
            options.max_attempts = number(1, "max_attempts", 1, MAX_TRIES)?.map(|tries| tries as u16);
        }
        "max_deliveries" => {
            options.max_deliveries = number(2, "max_deliveries", 1, MAX_TRIES)?.map(|tries| tries as u16);
        }
        "timeout_ms" => options.timeout_ms = number(3, "timeout_ms", 1, MAX_DURATION_MS)?,
        "delay_ms" => options.delay_ms = number(4, "delay_ms", 0, MAX_DURATION_MS)?,
        "backoff" => {
            fields.once(FIRST_BIT + 5, "backoff", name)?;
            let origin = Origin::Inside(fields.place(name), "backoff");
            let inner = Fields { faults: &mut *fields.faults, origin, seen: 0 };
            let backoff = map.next_value_seed(BackoffSeed { fields: inner });
            options.backoff = backoff.inspect_err(|_| fields.suspect("backoff", "an object", name))?;
        }
        "keep_result" => {
            fields.once(FIRST_BIT + 6, "keep_result", name)?;
            options.keep_result = fields.value(map, "keep_result", "true or false", name)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// What a task does not say for itself, it has from the document's defaults. A delay of nothing wins
/// over theirs, and then is the same as none, and so does a result that is not kept: it must be the same
/// shape.
pub(super) fn inherit(options: &mut TaskOptions, defaults: &TaskOptions) {
    let TaskOptions {
        priority: _,
        lease_ms,
        max_attempts,
        max_deliveries,
        backoff,
        timeout_ms,
        delay_ms,
        tolerated: _,
        keep_result,
        signal,
    } = options;
    *delay_ms = delay_ms.or(defaults.delay_ms).filter(|&delay| delay > 0);
    *keep_result = keep_result.or(defaults.keep_result).filter(|&keep| keep);
    // The others speak of workers and how long they take.
    if *signal {
        return;
    }
    *lease_ms = lease_ms.or(defaults.lease_ms);
    *max_attempts = max_attempts.or(defaults.max_attempts);
    *max_deliveries = max_deliveries.or(defaults.max_deliveries);
    *backoff = backoff.or(defaults.backoff);
    *timeout_ms = timeout_ms.or(defaults.timeout_ms);
}

/// An option that is given and only means something where a worker runs the task.
pub(super) fn of_workers(options: &TaskOptions) -> Option<&'static str> {
    let given = [
        ("lease_ms", options.lease_ms.is_some()),
        ("max_attempts", options.max_attempts.is_some()),
        ("max_deliveries", options.max_deliveries.is_some()),
        ("backoff", options.backoff.is_some()),
    ];
    given.into_iter().find(|(_, given)| *given).map(|(field, _)| field)
}

/// The `defaults` of a document.
pub(super) fn defaults<'de, A: MapAccess<'de>>(
    document: &mut Fields<'_, '_>,
    map: &mut A,
) -> Result<TaskOptions, A::Error> {
    let origin = Origin::Inside(document.place(""), "defaults");
    let inner = Fields { faults: &mut *document.faults, origin, seen: 0 };
    let defaults = map.next_value_seed(DefaultsSeed { fields: inner });
    defaults.inspect_err(|_| document.suspect("defaults", "an object", ""))
}

struct DefaultsSeed<'f, 's> {
    fields: Fields<'f, 's>,
}

impl<'de> DeserializeSeed<'de> for DefaultsSeed<'_, '_> {
    type Value = TaskOptions;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<TaskOptions, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for DefaultsSeed<'_, '_> {
    type Value = TaskOptions;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<TaskOptions, E> {
        Ok(TaskOptions::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TaskOptions, A::Error> {
        let mut options = TaskOptions::default();
        let mut fields = self.fields;
        while let Some(Text(key)) = map.next_key()? {
            if !field(&mut fields, &mut map, &key, &mut options, "")? {
                let place = fields.place("");
                return Err(fields.faults.fail(DocumentError::UnknownField(place, key.into_owned())));
            }
        }
        Ok(options)
    }
}

struct BackoffSeed<'f, 's> {
    fields: Fields<'f, 's>,
}

impl<'de> DeserializeSeed<'de> for BackoffSeed<'_, '_> {
    type Value = Option<Backoff>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for BackoffSeed<'_, '_> {
    type Value = Option<Backoff>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = self.fields;
        let mut backoff = Backoff::default();
        let mut max_ms = None;
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "kind" => {
                    fields.once(1, "kind", "")?;
                    let kind: Option<Text<'de>> = fields.value(&mut map, "kind", KINDS, "")?;
                    if let Some(Text(kind)) = kind {
                        let known = BackoffKind::ALL.into_iter().find(|known| known.name() == kind);
                        let wrong = DocumentError::WrongKind(fields.place(""), "kind", KINDS);
                        backoff.kind = known.ok_or_else(|| fields.faults.fail(wrong))?;
                    }
                }
                "delay_ms" => {
                    fields.once(2, "delay_ms", "")?;
                    let delay = fields.number(&mut map, "delay_ms", false, (0, MAX_DURATION_MS), "")?;
                    backoff.delay_ms = delay.unwrap_or(backoff.delay_ms);
                }
                "max_ms" => {
                    fields.once(3, "max_ms", "")?;
                    max_ms = fields.number(&mut map, "max_ms", false, (0, MAX_DURATION_MS), "")?;
                }
                "jitter" => {
                    fields.once(4, "jitter", "")?;
                    let raw: &'de RawValue = map.next_value()?;
                    if raw.get() != "null" {
                        let jitter = raw.get().parse::<f64>().ok().filter(|part| (0.0..=1.0).contains(part));
                        let wrong =
                            DocumentError::WrongKind(fields.place(""), "jitter", "a number from 0 to 1");
                        let jitter = jitter.ok_or_else(|| fields.faults.fail(wrong))?;
                        backoff.jitter = (jitter * 1_000.0).round() as u16;
                    }
                }
                _ => {
                    let place = fields.place("");
                    return Err(fields.faults.fail(DocumentError::UnknownField(place, key.into_owned())));
                }
            }
        }
        backoff.max_ms = max_ms.unwrap_or(DEFAULT_MAX_BACKOFF_MS.max(backoff.delay_ms));
        if backoff.max_ms < backoff.delay_ms {
            let error =
                DocumentError::OutOfRange(fields.place(""), "max_ms", backoff.delay_ms, MAX_DURATION_MS);
            return Err(fields.faults.fail(error));
        }
        Ok(Some(backoff))
    }
}

const KINDS: &str = "\"fixed\", \"linear\" or \"exponential\"";
