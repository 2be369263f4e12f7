//! Shapes as documents.

use crate::engine::edge::On;
use crate::engine::options::{Backoff, TaskOptions};
use crate::engine::shape::Shape;
use crate::engine::units::TaskIndex;

/// The document of the tasks of a shape from the `first` on, without payloads; [`document::read`] reads
/// it back. What waits for one of them and is not among them is one of its children.
pub fn write_shape<'t>(
    shape: &Shape,
    first: usize,
    type_of: impl Fn(TaskIndex) -> &'t [u8],
    out: &mut Vec<u8>,
) {
    // Names and types came in as JSON strings, so they are UTF-8.
    let text = |out: &mut Vec<u8>, bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        serde_json::to_writer(out, &text).expect("writing to memory");
    };
    out.extend_from_slice(if shape.goes_on() {
        b"{\"fail_fast\":false,\"tasks\":["
    } else {
        b"{\"tasks\":["
    });
    for task in shape.indexes().skip(first) {
        out.extend_from_slice(if task.at() == first { b"{\"name\":" } else { b",{\"name\":" });
        text(out, shape.name(task));
        out.extend_from_slice(b",\"type\":");
        text(out, type_of(task));
        for (place, parent) in shape.parents(task).enumerate() {
            out.extend_from_slice(if place == 0 { b",\"parents\":[" } else { b"," });
            let on = shape.condition(parent, task);
            if on == On::Success {
                text(out, shape.name(parent));
                continue;
            }
            out.extend_from_slice(b"{\"task\":");
            text(out, shape.name(parent));
            out.extend_from_slice(format!(",\"on\":\"{}\"}}", on.name()).as_bytes());
        }
        if shape.parents(task).len() > 0 {
            out.push(b']');
        }
        // Children are in order, so those from before come first.
        for (place, child) in shape.children(task).take_while(|child| child.at() < first).enumerate() {
            out.extend_from_slice(if place == 0 { b",\"children\":[" } else { b"," });
            text(out, shape.name(child));
        }
        if shape.children(task).next().is_some_and(|child| child.at() < first) {
            out.push(b']');
        }
        write_options(&shape.options(task), out);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
}

/// The fields of a task's options, as a document has them.
fn write_options(options: &TaskOptions, out: &mut Vec<u8>) {
    let numbers = [
        ("priority", options.priority.map(u64::from)),
        ("lease_ms", options.lease_ms),
        ("max_attempts", options.max_attempts.map(u64::from)),
        ("max_deliveries", options.max_deliveries.map(u64::from)),
        ("timeout_ms", options.timeout_ms),
        ("delay_ms", options.delay_ms),
    ];
    for (field, number) in numbers {
        if let Some(number) = number {
            out.extend_from_slice(format!(",\"{field}\":{number}").as_bytes());
        }
    }
    if options.tolerated {
        out.extend_from_slice(b",\"on_failure\":\"continue\"");
    }
    if options.keep_result.is_some() {
        out.extend_from_slice(b",\"keep_result\":true");
    }
    if options.signal {
        out.extend_from_slice(b",\"signal\":true");
    }
    if let Some(backoff) = options.backoff {
        let Backoff { kind, delay_ms, max_ms, jitter } = backoff;
        let (whole, thousandths) = (jitter / 1_000, jitter % 1_000);
        let text = format!(
            ",\"backoff\":{{\"kind\":\"{}\",\"delay_ms\":{delay_ms},\"max_ms\":{max_ms},\"jitter\":{whole}.{thousandths:03}}}",
            kind.name()
        );
        out.extend_from_slice(text.as_bytes());
    }
}
