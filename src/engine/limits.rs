//! Every bound, with its reason, and which of them an operator may set.
//!
//! Limits are checked where work comes in. They are not checked again on replicas and on loading:
//! a space that was legal under other settings stays legal. The bounds that the layout itself
//! needs (`MAX_*`) hold everywhere, and decoding checks them.

/// Tasks of one workflow. 20 bits of the keys of the ordered indexes.
pub const MAX_TASKS: usize = (1 << 20) - 1;
/// Edges of one workflow. Keeps the flat arrays of a shape addressable and a push bounded.
pub const MAX_EDGES: usize = (1 << 24) - 1;
/// Types of one space. 16 bits in a blueprint.
pub const MAX_TYPES: usize = 65_535;
/// The largest id of a blueprint: a space holds 16 million different shapes. Bounds what a file can
/// make the table of pages allocate to 2 MiB.
pub const MAX_BLUEPRINT_ID: u32 = (1 << 24) - 1;
/// Definitions of one space. WF.DEFINITIONS looks at all of them, and their table grows all at once.
pub const MAX_DEFINITIONS: usize = 10_000;
/// Names of workers of one space. 24 bits in the record of a run.
pub const MAX_WORKERS: usize = (1 << 24) - 1;
/// Pushes of one space in its whole life. 44 bits of the keys of the ordered indexes.
pub const MAX_SEQUENCE: u64 = (1 << 44) - 1;
/// The largest id that is an integer; one below the largest that fits, so that "one more" exists.
pub const MAX_INTEGER_ID: u64 = i64::MAX as u64 - 1;
/// Bytes of the name of a workflow, a task, a type, a worker. Names are repeated in replies and
/// effects; what is long belongs into a payload.
pub const MAX_NAME_BYTES: usize = 512;
/// Bytes of a workflow id.
pub const MAX_ID_BYTES: usize = 512;
/// All payloads of a workflow: their places are 32-bit offsets.
pub const MAX_PAYLOADS_BYTES: usize = 1 << 31;
/// Nesting of a workflow document. Real documents nest 5 deep; nothing recurses over it.
pub const MAX_JSON_DEPTH: usize = 100;
/// Priorities are 0..=this; 24 bits of a workflow record.
pub const MAX_PRIORITY: u32 = (1 << 24) - 1;
/// The priority of a task when nobody says otherwise.
pub const DEFAULT_PRIORITY: u32 = 100;
/// TYPES of one claim: a waiting client is enrolled once for each.
pub const MAX_CLAIM_TYPES: usize = 1_024;
/// Workflows of one WF.WAIT: bounds how long one look at all of them takes.
pub const MAX_WAIT_IDS: usize = 1_024;
/// Payloads, INPUT and results of one reply: no claim may fill the memory of the server. One task
/// is always handed out.
pub const MAX_CLAIM_BYTES: usize = 32 << 20;
/// Parents with their results in one reply: two elements each, about 15 ms for all. One task is always
/// handed out.
pub const MAX_CLAIM_PARENTS: usize = 100_000;
/// The longest lease in milliseconds: 30 days.
pub const MAX_LEASE_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// The longest delay, timeout, backoff and retention in milliseconds: 10 years.
pub const MAX_DURATION_MS: u64 = 10 * 365 * 24 * 60 * 60 * 1_000;
/// The largest that `max_attempts` and `max_deliveries` can be: 16 bits of a record of tries.
pub const MAX_TRIES: u64 = u16::MAX as u64;
/// The longest BLOCK in milliseconds: 100 years. Far from any overflow of server time.
pub const MAX_BLOCK_MS: u64 = 100 * 365 * 24 * 60 * 60 * 1_000;
/// The largest that any limit on bytes can be set to: a bulk string of Redis.
pub const MAX_BYTES: u64 = 512 * 1024 * 1024;
/// The largest that `retain-count` can be, which is no limit: slots have 32 bits.
pub const MAX_RETAIN_COUNT: u64 = u32::MAX as u64;
/// The largest that `retain-bytes` can be, which is no limit: a terabyte.
pub const MAX_RETAIN_BYTES: u64 = 1 << 40;
/// The largest that `events-maxlen` can be.
pub const MAX_EVENTS: u64 = u32::MAX as u64;
/// Bytes of an error or a reason that an entry of the stream of events repeats: a stream keeps many, and
/// WF.GET shows all of it.
pub const MAX_EVENT_TEXT_BYTES: usize = 1_024;
/// A task handed out more often than this shows this.
pub const MAX_ATTEMPT: u32 = u16::MAX as u32;
/// What one turn of the event loop does at most of what is due: leases that run out, delays that are
/// over, tasks that are removed with their workflows. About 1 ms of work.
pub const SWEEP_BATCH: usize = 1_000;
/// The most that a file may say was counted: a million a second for nine years. Counting on, and adding
/// counts up, stays far from any overflow.
pub const MAX_COUNTED: u64 = 1 << 48;
/// Bytes of a document that is read while everybody else waits: about 2 ms of work. What is longer is read
/// in the background, where the client can wait for it.
pub const READ_AT_ONCE: usize = 128 * 1024;
/// What one task or edge of a workflow costs when tasks are added to it, in bytes of a document.
pub const GROWTH_WEIGHT: usize = 16;
/// Tasks that WF.WHY shows of a workflow.
pub const MAX_SHOWN_TASKS: usize = 16;
/// Open parents that WF.WHY shows of a task.
pub const MAX_SHOWN_PARENTS: usize = 16;
/// How far WF.WHY counts what is ahead of a task in its queue.
pub const MAX_SHOWN_AHEAD: usize = 1_000;

/// What an operator may set, in the units of the names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The lease of a task that says nothing about it.
    pub default_lease_ms: u64,
    /// How long nothing expires after a restart or a promotion.
    pub grace_ms: u64,
    /// Tasks of one workflow.
    pub max_tasks: u64,
    /// Edges of one workflow.
    pub max_edges: u64,
    /// Bytes of the payload of one task.
    pub max_payload_bytes: u64,
    /// Bytes of INPUT.
    pub max_input_bytes: u64,
    /// Bytes of one RESULT.
    pub max_result_bytes: u64,
    /// Bytes of one ERROR.
    pub max_error_bytes: u64,
    /// COUNT of one claim.
    pub max_count: u64,
    /// Types of one space.
    pub max_types: u64,
    /// Failures after which a task that says nothing about it has failed for good.
    pub default_max_attempts: u64,
    /// Lost deliveries after which a task that says nothing about it has failed for good.
    pub default_max_deliveries: u64,
    /// How long completed workflows are kept.
    pub retain_completed_ms: u64,
    /// How long failed and cancelled workflows are kept.
    pub retain_failed_ms: u64,
    /// Finished workflows that are kept.
    pub retain_count: u64,
    /// Bytes of the finished workflows that are kept.
    pub retain_bytes: u64,
    /// Entries that the stream of events keeps.
    pub events_maxlen: u64,
}

/// One setting: `CONFIG SET workflow.<name>`.
pub struct SettingSpec {
    /// The name without the prefix.
    pub name: &'static str,
    /// The smallest value.
    pub min: u64,
    /// The largest value.
    pub max: u64,
    /// The value at start.
    pub default: u64,
    /// Whether a space may have a value of its own, by WF.CONFIG.
    pub per_space: bool,
    /// What it means.
    pub doc: &'static str,
    /// Reads it.
    pub get: fn(&Settings) -> u64,
    /// Writes it.
    pub set: fn(&mut Settings, u64),
}

impl std::fmt::Debug for SettingSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! setting {
    ($name:literal, $field:ident, $min:expr, $max:expr, $default:expr, $doc:literal) => {
        setting!($name, $field, $min, $max, $default, false, $doc)
    };
    (per space: $name:literal, $field:ident, $min:expr, $max:expr, $default:expr, $doc:literal) => {
        setting!($name, $field, $min, $max, $default, true, $doc)
    };
    ($name:literal, $field:ident, $min:expr, $max:expr, $default:expr, $per_space:literal, $doc:literal) => {
        SettingSpec {
            name: $name,
            min: $min,
            max: $max,
            default: $default,
            per_space: $per_space,
            doc: $doc,
            get: |settings| settings.$field,
            set: |settings, value| settings.$field = value,
        }
    };
}

/// All settings.
pub const SETTINGS: &[SettingSpec] = &[
    setting!(
        per space: "default-lease-ms",
        default_lease_ms,
        1,
        MAX_LEASE_MS,
        60_000,
        "Lease of a task when neither LEASE of the claim nor `lease_ms` of the task says otherwise, in milliseconds."
    ),
    setting!(
        "grace-ms",
        grace_ms,
        0,
        3_600_000,
        10_000,
        "How long no lease expires after a restart or a promotion, in milliseconds: workers need a moment to reconnect and extend."
    ),
    setting!("max-tasks", max_tasks, 1, MAX_TASKS as u64, 200_000, "Tasks of one workflow."),
    setting!("max-edges", max_edges, 0, MAX_EDGES as u64, 1_000_000, "Edges of one workflow."),
    setting!(
        "max-payload-bytes",
        max_payload_bytes,
        0,
        MAX_BYTES,
        1 << 20,
        "Bytes of the payload of one task."
    ),
    setting!(
        "max-input-bytes",
        max_input_bytes,
        0,
        MAX_BYTES,
        1 << 20,
        "Bytes of the INPUT of one workflow."
    ),
    setting!("max-result-bytes", max_result_bytes, 0, MAX_BYTES, 1 << 20, "Bytes of the RESULT of one task."),
    setting!("max-error-bytes", max_error_bytes, 0, MAX_BYTES, 1 << 16, "Bytes of the ERROR of one task."),
    setting!(
        "max-count",
        max_count,
        1,
        1_000_000,
        10_000,
        "COUNT of one claim: bounds the time and the reply of one command."
    ),
    setting!(
        "max-types",
        max_types,
        1,
        MAX_TYPES as u64,
        10_000,
        "Types of one space: each has its own queue and statistics for as long as the space lives."
    ),
    setting!(
        per space: "default-max-attempts",
        default_max_attempts,
        1,
        MAX_TRIES,
        1,
        "Failures after which a task has failed for good, when it has no `max_attempts`."
    ),
    setting!(
        per space: "default-max-deliveries",
        default_max_deliveries,
        1,
        MAX_TRIES,
        5,
        "Deliveries lost without an acknowledgement after which a task has failed for good, when it has no `max_deliveries`."
    ),
    setting!(
        per space: "retain-completed-ms",
        retain_completed_ms,
        0,
        MAX_DURATION_MS,
        24 * 60 * 60 * 1_000,
        "How long a completed workflow is kept when its push had no RETAIN, in milliseconds; 0: it is removed at once."
    ),
    setting!(
        per space: "retain-failed-ms",
        retain_failed_ms,
        0,
        MAX_DURATION_MS,
        7 * 24 * 60 * 60 * 1_000,
        "The same of a workflow that failed or was cancelled."
    ),
    setting!(
        per space: "retain-count",
        retain_count,
        0,
        MAX_RETAIN_COUNT,
        MAX_RETAIN_COUNT,
        "Finished workflows that a space keeps; beyond it the oldest are removed."
    ),
    setting!(
        per space: "retain-bytes",
        retain_bytes,
        0,
        MAX_RETAIN_BYTES,
        MAX_RETAIN_BYTES,
        "Bytes of memory that finished workflows of a space may take; beyond it the oldest are removed."
    ),
    setting!(
        per space: "events-maxlen",
        events_maxlen,
        0,
        MAX_EVENTS,
        100_000,
        "Entries that the stream of a space's events keeps, about; beyond it the oldest are removed. 0: all are kept."
    ),
];

impl Settings {
    /// The widest limits that the layout allows, for what was legal when it was accepted.
    pub fn widest() -> Settings {
        let mut settings = Settings::default();
        for spec in SETTINGS {
            (spec.set)(&mut settings, spec.max);
        }
        settings
    }
}

impl Default for Settings {
    fn default() -> Settings {
        let mut settings = Settings {
            default_lease_ms: 0,
            grace_ms: 0,
            max_tasks: 0,
            max_edges: 0,
            max_payload_bytes: 0,
            max_input_bytes: 0,
            max_result_bytes: 0,
            max_error_bytes: 0,
            max_count: 0,
            max_types: 0,
            default_max_attempts: 0,
            default_max_deliveries: 0,
            retain_completed_ms: 0,
            retain_failed_ms: 0,
            retain_count: 0,
            retain_bytes: 0,
            events_maxlen: 0,
        };
        for spec in SETTINGS {
            (spec.set)(&mut settings, spec.default);
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_reads_what_was_written_and_its_default_is_in_range() {
        for (place, spec) in SETTINGS.iter().enumerate() {
            let mut settings = Settings::default();
            assert_eq!((spec.get)(&settings), spec.default, "{}", spec.name);
            assert!((spec.min..=spec.max).contains(&spec.default), "{}", spec.name);
            (spec.set)(&mut settings, spec.max);
            for (other_place, other) in SETTINGS.iter().enumerate() {
                let expected = if other_place == place { spec.max } else { other.default };
                assert_eq!((other.get)(&settings), expected, "{} after {}", other.name, spec.name);
            }
        }
    }
}
