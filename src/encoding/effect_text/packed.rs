//! The shape of a large workflow in bytes. Its document would be readable, and take a replica, which cannot
//! put it off, five times as long to read.
//!
//! ```text
//! 1                      this layout; a document begins with {
//! goes on                1: a failure does not stop what does not depend on it, else 0
//! types                  their number, then length and bytes of each
//! tasks                  their number, then for each:
//!   type                 its place among the types
//!   name                 length and bytes
//!   parents              their number, then for each four times its place, and the condition
//!   options              as in a snapshot
//! ```
//!
//! Numbers are varints.

use crate::encoding::bytes::{DecodeError, Source, put_text};
use crate::encoding::snapshot::{conditional, options};
use crate::engine::limits::{MAX_EDGES, MAX_NAME_BYTES};
use crate::engine::packed::put_varint;
use crate::engine::shape::{Checked, Shape, distinct};

/// The first byte. Layouts stay below the first byte of any document.
const LAYOUT: u8 = 1;
const MAX_LAYOUT: u8 = 8;

/// Whether a shape is written so.
pub fn is_packed(text: &[u8]) -> bool {
    text.first().is_some_and(|&byte| byte <= MAX_LAYOUT)
}

/// Appends a shape.
pub fn write(shape: &Shape, types: &[Box<[u8]>], out: &mut Vec<u8>) {
    out.extend([LAYOUT, u8::from(shape.goes_on())]);
    put_varint(out, types.len() as u64);
    types.iter().for_each(|name| put_text(out, name));
    put_varint(out, shape.len() as u64);
    for (task, name) in shape.indexes().zip(shape.names()) {
        put_varint(out, shape.type_of(task) as u64);
        put_text(out, name);
        put_varint(out, shape.parents(task).len() as u64);
        for parent in shape.parents(task) {
            put_varint(out, u64::from(parent.0) << 2 | shape.condition(parent, task) as u64);
        }
        options::write(&shape.options(task), out);
    }
}

/// Reads a shape, and checks it as a document is checked.
pub fn read(text: &[u8]) -> Result<Checked, DecodeError> {
    let mut source = Source(text);
    let layout = source.byte()?;
    if layout != LAYOUT {
        return Err(DecodeError::unknown("the layout of a shape", &[layout]));
    }
    let goes_on = match source.byte()? {
        0 => false,
        1 => true,
        _ => return Err(DecodeError::Impossible("a shape that goes on perhaps")),
    };
    let all_types: Vec<&[u8]> = (0..source.count(1)?).map(|_| source.text()).collect::<Result<_, _>>()?;
    if all_types.iter().any(|name| name.len() > MAX_NAME_BYTES) {
        return Err(DecodeError::Impossible("a type with a long name"));
    }
    let count = source.count(4)?;
    let mut names = Vec::with_capacity(count);
    let mut type_of = Vec::with_capacity(count);
    let mut all_options = Vec::with_capacity(count);
    let mut edges = Vec::new();
    for task in 0..count as u32 {
        let name = usize::try_from(source.int()?).ok().and_then(|place| all_types.get(place).copied());
        type_of.push(name.ok_or(DecodeError::Impossible("a task of an unknown type"))?);
        names.push(source.text()?);
        for _ in 0..source.count(1)? {
            let (parent, on) = conditional(&mut source)?;
            edges.push((parent, task, on));
        }
        if edges.len() > MAX_EDGES {
            return Err(DecodeError::Impossible("more edges than a shape can have"));
        }
        all_options.push(options::read(&mut source)?);
    }
    if !source.is_empty() {
        return Err(DecodeError::Impossible("more than a shape"));
    }
    let (types, type_of) = distinct(type_of.into_iter());
    let shape = Shape::rebuild(&names, &type_of, &all_options, edges, goes_on)?;
    Ok(Checked::new(shape, &types))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::document;
    use crate::engine::limits::Settings;

    const DOCUMENT: &str = r#"{"fail_fast": false, "tasks": [{"name": "a", "type": "t"},
        {"name": "b", "type": "u", "parents": [{"task": "a", "on": "failure"}], "max_attempts": 3},
        {"name": "c", "type": "t", "parents": ["a", "b"], "priority": 7}]}"#;

    fn checked() -> Checked {
        let settings = Settings::default();
        Shape::check(&document::read(DOCUMENT.as_bytes(), &settings).unwrap(), &settings).unwrap()
    }

    fn written() -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&checked().shape, &checked().types, &mut bytes);
        bytes
    }

    #[test]
    fn a_shape_reads_as_it_was_written() {
        assert!(is_packed(&written()) && !is_packed(DOCUMENT.as_bytes()));
        assert_eq!(read(&written()), Ok(checked()));
    }

    #[test]
    fn bytes_that_are_no_shape_are_refused() {
        let bytes = written();
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "{length}");
        }
        assert!(read(&[&bytes[..], b"\0"].concat()).is_err());
        for place in 0..bytes.len() {
            for byte in 0..=u8::MAX {
                let mut broken = bytes.clone();
                broken[place] = byte;
                // Whatever it says by now, it is a shape or it is none.
                if let Ok(checked) = read(&broken) {
                    assert_eq!(checked.shape.len(), 3);
                }
            }
        }
    }
}
