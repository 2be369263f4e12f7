//! Definitions in a file. A number that may be missing is one more than it is, 0: it is missing.

use crate::encoding::bytes::{DecodeError, Source, put_text};
use crate::engine::definitions::{Definition, Parts};
use crate::engine::packed::put_varint;
use crate::engine::restore::Impossible;
use crate::engine::space::Space;
use crate::engine::units::{BlueprintId, Millis};

/// Appends a definition of so many tasks.
pub fn write(definition: &Definition, tasks: usize, bytes: &mut Vec<u8>) {
    let optional = |number: Option<u64>| number.map_or(0, |number| number + 1);
    put_text(bytes, &definition.name);
    put_varint(bytes, definition.version);
    put_text(bytes, &definition.workflow);
    for number in [
        optional(definition.priority.map(u64::from)),
        optional(definition.timeout_ms),
        definition.defined.0,
        definition.started,
        optional(definition.last_started.map(|time| time.0)),
        u64::from(definition.blueprint.0),
    ] {
        put_varint(bytes, number);
    }
    bytes.extend_from_slice(definition.payloads(tasks).bytes());
}

/// Reads one back. Its blueprint came before.
pub fn read(space: &mut Space, source: &mut Source<'_>) -> Result<(), DecodeError> {
    let name = source.text()?;
    let version = source.int()?;
    let workflow = source.text()?;
    let priority = source.int32()?.checked_sub(1);
    let timeout_ms = source.int()?.checked_sub(1);
    let defined = Millis(source.int()?);
    let started = source.int()?;
    let last_started = source.int()?.checked_sub(1).map(Millis);
    let blueprint = BlueprintId(source.int32()?);
    if !space.blueprints().contains(blueprint) {
        return Err(Impossible("a definition without a blueprint").into());
    }
    let payloads = source.row(space.blueprints().get(blueprint).shape.len())?.bytes().into();
    let parts = Parts { name, version, workflow, priority, timeout_ms, defined, payloads };
    Ok(space.restore_definition(parts, blueprint, started, last_started)?)
}

#[cfg(test)]
mod tests {
    use crate::encoding::bytes::{DecodeError, put_text};
    use crate::encoding::snapshot::Loader;

    /// A definition `d` with one thing in it that is not as it should be.
    struct Forged {
        name: &'static [u8],
        version: u8,
        priority: &'static [u8],
        timeout: &'static [u8],
        defined: u8,
        started: u8,
        last_started: u8,
        blueprint: u8,
        payloads: &'static [u8],
        count: u8,
    }

    const GOOD: Forged = Forged {
        name: b"d",
        version: 1,
        priority: b"\x08",
        timeout: b"\x00",
        defined: 10,
        started: 2,
        last_started: 11,
        blueprint: 0,
        payloads: b"\x01p",
        count: 1,
    };

    impl Forged {
        fn write(&self, chunk: &mut Vec<u8>) {
            put_text(chunk, self.name);
            chunk.push(self.version);
            put_text(chunk, b"nightly");
            chunk.extend([self.priority, self.timeout].concat());
            chunk.extend([self.defined, self.started, self.last_started, self.blueprint]);
            chunk.extend(self.payloads);
        }
    }

    /// Loads a space whose latest time is 10, with one blueprint of one task, and these definitions.
    fn load(forged: &[Forged]) -> Result<(), DecodeError> {
        let mut definitions = vec![b'D', forged.len() as u8];
        forged.iter().for_each(|one| one.write(&mut definitions));
        let count = forged.iter().map(|one| one.count).sum();
        let chunks: [&[u8]; 6] = [
            b"H\x03\x01\x00\x0a\x00\x00",
            b"S\x00\x00\x00\x00\x00\x00",
            b"T\x01\x01t\x00\x00\x00\x00\x00",
            b"b\x01\x00\x00\x01\x00\x01a\x00\x00",
            &definitions,
            &[b'E', 1, 0, 1, 0, 0, 0, 0, count],
        ];
        let mut loader = Loader::new();
        chunks.iter().try_for_each(|chunk| loader.chunk(chunk))?;
        loader.finish().map(drop)
    }

    #[test]
    fn a_definition_reads_back_and_a_forged_one_does_not() {
        assert_eq!(load(&[GOOD]), Ok(()));
        assert_eq!(load(&[GOOD, Forged { name: b"e", started: 0, last_started: 0, ..GOOD }]), Ok(()));
        for (forged, why) in [
            (Forged { name: b"", ..GOOD }, "no name"),
            (Forged { version: 0, ..GOOD }, "no version"),
            (Forged { priority: b"\x82\x80\x80\x08", ..GOOD }, "a priority out of range"),
            (Forged { timeout: b"\x01", ..GOOD }, "a timeout of nothing"),
            (Forged { defined: 11, ..GOOD }, "from the future"),
            (Forged { last_started: 12, ..GOOD }, "started in the future"),
            (Forged { started: 0, ..GOOD }, "a time of no start"),
            (Forged { last_started: 0, ..GOOD }, "no time of a start"),
            (Forged { blueprint: 1, ..GOOD }, "a shape that is not there"),
            (Forged { payloads: b"", ..GOOD }, "no payload"),
            (Forged { payloads: b"\x05p", ..GOOD }, "a payload that is cut off"),
            (Forged { payloads: b"\x01p\x00", ..GOOD }, "more payloads than tasks"),
            (Forged { count: 2, ..GOOD }, "another number of definitions"),
        ] {
            assert!(load(&[forged]).is_err(), "{why}");
        }
        assert!(load(&[GOOD, GOOD]).is_err(), "one name twice");
    }

    /// Nothing but the definition uses its shape: without it the shape is one too many. The first shape
    /// of a space was taken though nothing used it, and stayed for ever.
    #[test]
    fn a_shape_that_nothing_uses_is_refused() {
        let forged: [Forged; 0] = [];
        assert!(matches!(load(&forged), Err(DecodeError::Broken(_))));
    }
}
