//! What a document says of a task beyond name, type, payload and edges, itself or by `defaults`.

use super::Refusal;
use super::arguments::TEN_YEARS;
use super::document::Object;
use serde::de::DeserializeOwned;

const HOUR: u64 = 3_600_000;
/// The longest lease.
const THIRTY_DAYS: u64 = 30 * 24 * HOUR;
/// The fields that may stand in `defaults`.
const DEFAULTS: [&str; 7] =
    ["lease_ms", "max_attempts", "max_deliveries", "backoff", "timeout_ms", "delay_ms", "keep_result"];

/// The options of a task; what nobody gave is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    pub priority: Option<u64>,
    pub lease_ms: Option<u64>,
    pub max_attempts: Option<u64>,
    pub max_deliveries: Option<u64>,
    pub backoff: Backoff,
    pub timeout_ms: Option<u64>,
    pub delay_ms: Option<u64>,
    /// Its result stays when no child wants it any more.
    pub keep_result: bool,
}

/// How long a failed attempt waits for the next.
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    pub growth: Growth,
    pub delay_ms: u64,
    pub max_ms: u64,
    pub jitter_thousandths: u64,
}

/// How the wait grows with the number of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    Fixed,
    Linear,
    Exponential,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { growth: Growth::Exponential, delay_ms: 1_000, max_ms: HOUR, jitter_thousandths: 0 }
    }
}

/// The `defaults` of a document.
pub fn defaults(document: &Object) -> Result<Object, Refusal> {
    let defaults: Object = given(document, "defaults")?.unwrap_or_default();
    if defaults.keys().any(|name| !DEFAULTS.contains(&&**name)) {
        return Err("INVALID");
    }
    // They must be right even if every task says otherwise.
    read(&Object::new(), &defaults)?;
    Ok(defaults)
}

/// The options of a task: its own, else the defaults. Its priority is not among them.
pub fn read(task: &Object, defaults: &Object) -> Result<Options, Refusal> {
    let number = |name: &str, low: u64, high: u64| -> Result<Option<u64>, Refusal> {
        let number = ranged(task, name, low, high)?;
        Ok(number.or(ranged(defaults, name, low, high)?))
    };
    let backoff = match backoff(task)? {
        Some(own) => own,
        None => backoff(defaults)?.unwrap_or_default(),
    };
    Ok(Options {
        priority: None,
        lease_ms: number("lease_ms", 1, THIRTY_DAYS)?,
        max_attempts: number("max_attempts", 1, 65_535)?,
        max_deliveries: number("max_deliveries", 1, 65_535)?,
        backoff,
        timeout_ms: number("timeout_ms", 1, TEN_YEARS)?,
        delay_ms: number("delay_ms", 0, TEN_YEARS)?,
        keep_result: given(task, "keep_result")?.or(given(defaults, "keep_result")?).unwrap_or(false),
    })
}

fn backoff(object: &Object) -> Result<Option<Backoff>, Refusal> {
    let Some(fields) = given::<Object>(object, "backoff")? else { return Ok(None) };
    if fields.keys().any(|name| !["kind", "delay_ms", "max_ms", "jitter"].contains(&&**name)) {
        return Err("INVALID");
    }
    let growth = match given::<String>(&fields, "kind")?.as_deref() {
        Some("fixed") => Growth::Fixed,
        Some("linear") => Growth::Linear,
        Some("exponential") | None => Growth::Exponential,
        Some(_) => return Err("INVALID"),
    };
    let delay_ms = ranged(&fields, "delay_ms", 0, TEN_YEARS)?.unwrap_or(1_000);
    let max_ms = ranged(&fields, "max_ms", 0, TEN_YEARS)?.unwrap_or(delay_ms.max(HOUR));
    let jitter = given::<f64>(&fields, "jitter")?.unwrap_or(0.0);
    if max_ms < delay_ms || !(0.0..=1.0).contains(&jitter) {
        return Err("INVALID");
    }
    Ok(Some(Backoff { growth, delay_ms, max_ms, jitter_thousandths: (jitter * 1_000.0).round() as u64 }))
}

/// A whole number in a range, if it is given.
pub fn ranged(object: &Object, name: &str, low: u64, high: u64) -> Result<Option<u64>, Refusal> {
    let number: Option<u64> = given(object, name)?;
    if number.is_none_or(|number| (low..=high).contains(&number)) { Ok(number) } else { Err("INVALID") }
}

/// The value of a field, if it is given; `null` is not.
fn given<T: DeserializeOwned>(object: &Object, name: &str) -> Result<Option<T>, Refusal> {
    let Some(raw) = object.get(name) else { return Ok(None) };
    serde_json::from_str(raw.get()).map_err(|_| "INVALID")
}
