//! A whole space as a row of chunks: what RDB files, DUMP payloads and the rewritten AOF hold.
//!
//! ```text
//! chunk     := tag (1 byte), content
//! header    'H'  layout, next id, next sequence, latest time, paused, not whole
//! space     'S'  what happened in its life, then settings of its own: count, then each: name, value
//! events    'V'  the key of the stream that is told what happens; not there when there is none
//! types     'T'  count, then each: name, paused, completed, failed, waits, runs
//! workers   'w'  count, then each: name, when it was last seen, claims, completions, failures, losses;
//!                numbered from 0 over all such chunks
//! shapes    'P' count, then each: id, name, whether it goes on after a failure, its tasks as type,
//!                name, parents with the condition in the lowest two bits, options
//! workflows 'F'  count, then one column after the other: see `write`
//! notes     'N'  count, then each: sequence of the workflow, task, kind, text
//! tries     'R'  count, then each: sequence of the workflow, task, failures, lost deliveries
//! extras    'X'  count, then each: sequence of the workflow, timeout, retention, reason
//! definitions 'D' count, then each: name, version, name of the workflows, priority, timeout, when it
//!                came, how many were started and when the last was, blueprint, its payloads
//! end       'E'  number of types, workers, blueprints, workflows, notes, tries, extras, definitions
//! ```
//!
//! Numbers are varints, texts are a length and bytes. Chunks of one kind follow each other in
//! pieces of about [`CHUNK`] bytes, so neither writer nor reader holds a second copy of the space.
//! What can be worked out is not stored: queues, leases by deadline, counters of open parents,
//! totals, and the states of a workflow nothing has happened to.
//!
//! Layouts are named by what made them necessary:
//!
//! | layout | reason |
//! |---|---|
//! | 1 | the first; workers are 'W' with a name only, shapes 'B' with a priority and a lease only, and there are no 'S', 'R', 'X' |
//! | 2 | retries, delays, timeouts, retention; what each worker did; shapes are 'b', whose edges all ask for success; no 'D', no 'V' |
//! | 3 | edges with conditions, definitions, signals, results that are kept, the stream of events |

mod definitions;
pub(super) mod options;
mod read;
mod write;

pub(super) use read::conditional;
pub use read::{Loader, take_chunk};
pub use write::save;

/// The layout that this version writes; it reads all up to it.
pub const VERSION: u32 = 3;

/// The size at which a chunk is closed.
const CHUNK: usize = 128 * 1024;

/// What a byte in front of a workflow's tasks says about them.
mod kind {
    /// As pushed: nothing was claimed, released, or ended.
    pub const FRESH: u8 = 0;
    /// States, no runs.
    pub const STATES: u8 = 1;
    /// States and runs.
    pub const RUNS: u8 = 2;
    /// Completed: runs only.
    pub const COMPLETED: u8 = 3;
}

/// Bits of the byte of flags of a workflow.
mod flag {
    pub const PAUSED: u8 = 1 << 0;
    pub const INPUT: u8 = 1 << 1;
    pub const OWN_NAME: u8 = 1 << 2;
    pub const TEXT_ID: u8 = 1 << 3;
    pub const ALL: u8 = PAUSED | INPUT | OWN_NAME | TEXT_ID;
}

/// The bit of a state byte that says that the task's newest token is void.
const VOID: u8 = 1 << 3;

/// In the byte of a workflow's timeout: the text of a reason follows. The first files of layout 2
/// have none.
const EXTRA_REASON: u8 = 1 << 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::bytes::{DecodeError, put_text};
    use crate::engine::packed::put_varint;
    use crate::engine::state::TaskState;

    fn finish(chunks: &[&[u8]]) -> Result<(), DecodeError> {
        let mut loader = Loader::new();
        chunks.iter().try_for_each(|chunk| loader.chunk(chunk))?;
        loader.finish().map(drop)
    }

    #[test]
    fn an_empty_space_reads_back_and_half_of_it_does_not() {
        let space = crate::engine::space::Space::new();
        let mut chunks: Vec<Vec<u8>> = Vec::new();
        save(&space, &mut |chunk| chunks.push(chunk.to_vec()));
        let all: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        assert_eq!(finish(&all), Ok(()));
        assert_eq!(finish(&all[..all.len() - 1]), Err(DecodeError::CutOff));
        assert_eq!(
            finish(&all[1..]),
            Err(DecodeError::Impossible("a section before the header or after the end"))
        );
    }

    #[test]
    fn a_newer_layout_is_refused_by_its_number() {
        assert_eq!(finish(&[b"H\x04"]), Err(DecodeError::Newer(4)));
        assert_eq!(finish(&[b"Y"]), Err(DecodeError::Impossible("a section that is not known")));
    }

    fn text(bytes: &mut Vec<u8>, text: &[u8]) {
        put_text(bytes, text);
    }

    /// A space with one type and one task, whose workflow says `tasks` of it.
    fn one_task(tasks: &[u8]) -> Result<(), DecodeError> {
        let mut types = b"T\x01".to_vec();
        text(&mut types, b"t");
        types.extend([0, 0, 0, 0, 0]);
        let mut blueprint = b"B\x01\0\0\x01\0".to_vec();
        text(&mut blueprint, b"a");
        blueprint.extend([0, 0, 0]);
        let mut workflow = b"F\x01\0\0\x01\x14\0\x64\0".to_vec();
        workflow.extend_from_slice(tasks);
        let header = b"H\x01\x02\x01\x0a\0\0";
        finish(&[header, &types, b"W\x01\x01w", &blueprint, &workflow, b"E\x01\x01\x01\x01\0"])
    }

    /// A task that was handed out without ever having started: a late acknowledgement asked when it
    /// had started and ended the server.
    #[test]
    fn a_task_that_was_handed_out_has_started() {
        let ready = |started: u8| {
            let run = [1, 1, 7, 7, 7, 7, 0, started, 0];
            one_task(&[&[super::kind::RUNS, TaskState::Ready as u8, 0][..], &run].concat())
        };
        assert_eq!(ready(1), Ok(()));
        assert!(matches!(ready(0), Err(DecodeError::Broken(_))), "{:?}", ready(0));
    }

    /// The highest bit of a stored id says that it is a text: such an integer led to a text that was not there.
    #[test]
    fn an_integer_id_that_was_never_given_is_refused() {
        let with_id = |id: u64| {
            let mut workflow = b"F\x01\0\0".to_vec();
            put_varint(&mut workflow, id);
            workflow.extend(
                *b"b\0d\0\x07{\"n\":1}\0\x02\x04\x02\0\0\x01\x01\xc1\x5c\x02\x89\0\x01\x0b\0\x0b\0\0\0\0",
            );
            finish(&[
                b"H\x03\x02\x011\0\0",
                b"T\x02\0\0\x01\0\x01\x01\x0b\0\0\0\0\0\0\0\0\0\0\x01\x03etl\0\0\0\0\0",
                b"w\x01\x05alice1\x01\x01\0\0",
                b"P\x01\0\0\0\x03\0\x01a\0\0\x01\x01b\0\0\0\x01c\x02\0\x04\0",
                &workflow,
                b"N\x01\0\0\0\x04done",
                b"E\x02\x01\x01\x01\x01",
            ])
        };
        assert_eq!(with_id(1), Ok(()));
        for id in [2, 1 << 62, 1 << 63, u64::MAX] {
            let never = DecodeError::Impossible("an id or a name that no workflow has");
            assert_eq!(with_id(id), Err(never), "{id}");
        }
    }

    /// A name was copied for each edge that led from it: 200 kB of edges became 2 GB.
    #[test]
    fn a_long_name_with_many_edges_is_refused() {
        let mut blueprint = b"B\x01\0\0\x02\0".to_vec();
        text(&mut blueprint, &vec![b'n'; 10_000]);
        blueprint.extend([0, 0, 0, 0]);
        text(&mut blueprint, b"child");
        blueprint.extend([0xc0, 0x9a, 0x0c]);
        blueprint.extend(vec![0; 200_000]);
        blueprint.extend([0, 0]);
        let long = DecodeError::Impossible("a task without a name, or with a long one");
        let header = b"H\x01\x01\0\0\0\0";
        assert_eq!(finish(&[header, b"T\x01\x01t\0\0\0\0\0", &blueprint]), Err(long));
    }

    /// A rewritten AOF that ended in the middle of a space: what was loaded of it became whole by
    /// being saved and loaded again.
    #[test]
    fn a_space_that_was_loaded_in_part_stays_so() {
        let mut space = crate::engine::space::Space::new();
        take_chunk(&mut space, b"H\x01\x01\0\0\0\0").unwrap();
        take_chunk(&mut space, b"T\x01\x01t\0\0\0\0\0").unwrap();
        for _ in 0..2 {
            let mut loader = Loader::new();
            save(&space, &mut |chunk| loader.chunk(chunk).unwrap());
            space = *loader.finish().unwrap();
            assert!(space.incomplete());
            assert_eq!(space.types().len(), 1);
        }
    }

    /// What was given up stays so through every file, with what it had; what was being put together has
    /// nothing that could be saved.
    #[test]
    fn a_space_that_is_given_up_stays_so() {
        use crate::encoding::effect_text::apply_text;
        use crate::engine::report::Report;
        let mut paused = crate::engine::space::Space::new();
        apply_text(&mut paused, &[b"pause", b"type", b"x"], &mut Report::default()).unwrap();
        let mut begun = crate::engine::space::Space::new();
        take_chunk(&mut begun, b"H\x01\x01\0\0\0\0").unwrap();
        take_chunk(&mut begun, b"T\x01\x01t\0\0\0\0\0").unwrap();
        for (mut space, types) in [(paused, 1), (begun, 0)] {
            space.give_up();
            for _ in 0..2 {
                assert!(space.partial());
                assert_eq!(space.types().len(), types);
                let mut loader = Loader::new();
                save(&space, &mut |chunk| loader.chunk(chunk).unwrap());
                space = *loader.finish().unwrap();
            }
        }
    }
}
