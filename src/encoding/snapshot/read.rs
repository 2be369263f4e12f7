//! Chunks into a space. Every byte may lie: see `encoding::bytes`.

use super::{EXTRA_REASON, VERSION, VOID, definitions, flag, kind, options};
use crate::encoding::bytes::{DecodeError, Source};
use crate::engine::edge::On;
use crate::engine::extras::{Extra, Timeout};
use crate::engine::histogram::{BUCKETS, Histogram};
use crate::engine::ids::Id;
use crate::engine::limits::{MAX_ATTEMPT, MAX_EDGES, MAX_LEASE_MS, MAX_PRIORITY};
use crate::engine::notes::NoteKind;
use crate::engine::options::TaskOptions;
use crate::engine::packed::Row;
use crate::engine::restore::{TypeParts, WorkflowParts};
use crate::engine::runs::Run;
use crate::engine::shape::{Shape, distinct};
use crate::engine::space::{Lifetime, Space};
use crate::engine::state::{TaskState, WorkflowState};
use crate::engine::tries::Tried;
use crate::engine::units::{BlueprintId, Millis, Nonce, Sequence, TaskIndex, TypeId, WorkerId};
use crate::engine::workers::Deeds;

/// A space being put together from chunks.
///
/// Between two chunks all there is to know lies in the space itself, because the chunks of a
/// rewritten AOF come as one command each: see [`take_chunk`].
#[derive(Debug)]
pub struct Loader {
    space: Box<Space>,
}

impl Default for Loader {
    fn default() -> Loader {
        Loader::new()
    }
}

impl Loader {
    /// Nothing read yet.
    pub fn new() -> Loader {
        Loader { space: Box::new(Space::new()) }
    }

    /// Takes the next chunk.
    pub fn chunk(&mut self, chunk: &[u8]) -> Result<(), DecodeError> {
        take_chunk(&mut self.space, chunk)
    }

    /// The space, if it is whole and breaks no rule.
    pub fn finish(self) -> Result<Box<Space>, DecodeError> {
        if !self.space.begun() || (self.space.incomplete() && !self.space.partial()) {
            return Err(DecodeError::CutOff);
        }
        Ok(self.space)
    }
}

/// Takes the next chunk of a snapshot into a space that is new, or that the chunks before went
/// into. The space is incomplete from the header to the end, which checks that it breaks no rule.
/// One that was incomplete when it was saved stays so: what is missing is not made good by a save.
pub fn take_chunk(space: &mut Space, chunk: &[u8]) -> Result<(), DecodeError> {
    let mut source = Source(chunk);
    let tag = source.byte()?;
    let mut reader = Reader { space };
    match tag {
        b'H' if reader.space.begun() => return Err(DecodeError::Impossible("a second header")),
        b'H' => reader.header(&mut source)?,
        b'S' | b'V' | b'T' | b'W' | b'w' | b'B' | b'b' | b'P' | b'F' | b'N' | b'R' | b'X' | b'D' | b'E'
            if !reader.space.incomplete() || reader.space.partial() =>
        {
            return Err(DecodeError::Impossible("a section before the header or after the end"));
        }
        b'T' => reader.each(&mut source, Reader::type_)?,
        b'W' => reader.each(&mut source, |reader, source| reader.worker(source, |_| Ok(Deeds::default())))?,
        b'w' => reader.each(&mut source, |reader, source| reader.worker(source, deeds))?,
        b'S' => reader.own(&mut source)?,
        b'V' => reader.space.restore_events(source.text()?)?,
        b'B' => reader.each(&mut source, |reader, source| reader.blueprint(source, &FIRST))?,
        b'b' => reader.each(&mut source, |reader, source| reader.blueprint(source, &SECOND))?,
        b'P' => reader.each(&mut source, |reader, source| reader.blueprint(source, &THIRD))?,
        b'F' => reader.workflows(&mut source)?,
        b'N' => reader.each(&mut source, Reader::note)?,
        b'R' => reader.each(&mut source, Reader::tries)?,
        b'X' => reader.each(&mut source, Reader::extra)?,
        b'D' => reader.each(&mut source, |reader, source| definitions::read(reader.space, source))?,
        b'E' => reader.end(&mut source)?,
        _ => return Err(DecodeError::Impossible("a section that is not known")),
    }
    if !source.is_empty() {
        return Err(DecodeError::Impossible("more than its section has"));
    }
    if tag == b'E' {
        space.restore_end().map_err(DecodeError::Broken)?;
    }
    Ok(())
}

struct Reader<'s> {
    space: &'s mut Space,
}

impl Reader<'_> {
    fn each<'a>(
        &mut self,
        source: &mut Source<'a>,
        item: impl Fn(&mut Self, &mut Source<'a>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        for _ in 0..source.count(1)? {
            item(self, source)?;
        }
        Ok(())
    }

    fn header(&mut self, source: &mut Source<'_>) -> Result<(), DecodeError> {
        let version = source.int()?;
        if version > u64::from(VERSION) {
            return Err(DecodeError::Newer(version));
        }
        let (next_id, next_sequence, latest) = (source.int()?, source.int()?, source.int()?);
        let (paused, partial) = (truth(source)?, truth(source)?);
        Ok(self.space.restore_header(next_id, next_sequence, latest, paused, partial)?)
    }

    fn own(&mut self, source: &mut Source<'_>) -> Result<(), DecodeError> {
        let lifetime = Lifetime {
            lease_expiries: source.int()?,
            attempts_retried: source.int()?,
            tasks_timed_out: source.int()?,
            tasks_poisoned: source.int()?,
            workflows_timed_out: source.int()?,
        };
        self.space.restore_lifetime(lifetime)?;
        for _ in 0..source.count(2)? {
            let name = source.text()?;
            self.space.restore_setting(name, source.int()?)?;
        }
        Ok(())
    }

    fn type_(&mut self, source: &mut Source<'_>) -> Result<(), DecodeError> {
        let parts = TypeParts {
            name: source.text()?,
            paused: truth(source)?,
            completed: source.int()?,
            failed: source.int()?,
            waits: histogram(source)?,
            runs: histogram(source)?,
        };
        Ok(self.space.restore_type(parts)?)
    }

    fn worker(
        &mut self,
        source: &mut Source<'_>,
        read_deeds: fn(&mut Source<'_>) -> Result<Deeds, DecodeError>,
    ) -> Result<(), DecodeError> {
        let name = source.text()?;
        Ok(self.space.restore_worker(name, read_deeds(source)?)?)
    }

    fn blueprint(&mut self, source: &mut Source<'_>, layout: &Layout) -> Result<(), DecodeError> {
        let id = BlueprintId(source.int32()?);
        let name = source.text()?;
        let goes_on = layout.flow && truth(source)?;
        let count = source.count(4)?;
        let (mut names, mut types, mut all_options) = (Vec::new(), Vec::new(), Vec::new());
        let mut edges = Vec::new();
        for task in 0..count as u32 {
            let type_id = u16::try_from(source.int()?);
            types.push(TypeId(type_id.map_err(|_| DecodeError::Impossible("a task of an unknown type"))?));
            names.push(source.text()?);
            for _ in 0..source.count(1)? {
                let (parent, on) =
                    if layout.flow { conditional(source)? } else { (source.int32()?, On::Success) };
                edges.push((parent, task, on));
            }
            if edges.len() > MAX_EDGES {
                return Err(DecodeError::Impossible("more edges than a shape can have"));
            }
            all_options.push((layout.options)(source)?);
        }
        let (types, type_of) = distinct(types.into_iter());
        let shape = Shape::rebuild(&names, &type_of, &all_options, edges, goes_on)?;
        Ok(self.space.restore_blueprint(id, shape, &types, name)?)
    }

    fn workflows(&mut self, source: &mut Source<'_>) -> Result<(), DecodeError> {
        let count = source.count(7)?;
        let mut sequence = 0u64;
        let sequences = column(count, || {
            sequence =
                sequence.checked_add(source.int()?).ok_or(DecodeError::Impossible("an age out of range"))?;
            Ok(Sequence(sequence))
        })?;
        let flags = column(count, || source.byte())?;
        let mut ids = Vec::with_capacity(count);
        for flags in &flags {
            ids.push(if flags & flag::TEXT_ID != 0 {
                Id::Text(source.text()?)
            } else {
                Id::Integer(source.int()?)
            });
        }
        let mut created = 0i64;
        let createds = column(count, || {
            created = created.wrapping_add(unzigzag(source.int()?));
            Ok(Millis(u64::try_from(created).map_err(|_| DecodeError::Impossible("a time out of range"))?))
        })?;
        let blueprints = column(count, || Ok(BlueprintId(source.int32()?)))?;
        let priorities = column(count, || source.int32())?;
        let mut texts = Vec::with_capacity(count);
        for place in 0..count {
            texts.push(self.texts(source, flags[place], blueprints[place])?);
        }
        for (place, texts) in texts.into_iter().enumerate() {
            let state = WorkflowState::ALL.get((flags[place] >> 4) as usize);
            let state = *state.ok_or(DecodeError::Impossible("a state that is not known"))?;
            if matches!(ids[place], Id::Text(text) if Id::of(text) != ids[place]) {
                return Err(DecodeError::Impossible("an integer id that is a text"));
            }
            let tasks = self.tasks(source, blueprints[place], createds[place])?;
            if (state == WorkflowState::Completed) != (tasks.kind == kind::COMPLETED) {
                return Err(DecodeError::Impossible("a workflow that is completed or not against its state"));
            }
            let parts = WorkflowParts {
                id: ids[place],
                sequence: sequences[place],
                created: createds[place],
                finished: tasks.finished,
                blueprint: blueprints[place],
                priority: priorities[place],
                state,
                paused: flags[place] & flag::PAUSED != 0,
                own_name: texts.own_name,
                input: texts.input,
                payloads: texts.payloads,
                tasks: tasks.states.as_deref(),
                runs: tasks.runs.as_deref(),
            };
            self.space.restore_workflow(&parts)?;
        }
        Ok(())
    }

    /// Name, INPUT and payloads of a workflow.
    fn texts<'a>(
        &self,
        source: &mut Source<'a>,
        flags: u8,
        blueprint: BlueprintId,
    ) -> Result<Texts<'a>, DecodeError> {
        if flags & 0xf & !flag::ALL != 0 || flags >> 6 != 0 {
            return Err(DecodeError::Impossible("a flag that is not known"));
        }
        let count = self.tasks_of(blueprint)?;
        let name = if flags & flag::OWN_NAME != 0 { Some(source.text()?) } else { None };
        let input = if flags & flag::INPUT != 0 { Some(source.text()?) } else { None };
        let completed = flags >> 4 == WorkflowState::Completed as u8;
        let payloads = if completed { Row::default() } else { source.row(count)? };
        Ok(Texts { own_name: name, input, payloads })
    }

    fn tasks_of(&self, blueprint: BlueprintId) -> Result<usize, DecodeError> {
        if !self.space.blueprints().contains(blueprint) {
            return Err(DecodeError::Impossible("a workflow without a blueprint"));
        }
        Ok(self.space.blueprints().get(blueprint).shape.len())
    }

    fn tasks(
        &self,
        source: &mut Source<'_>,
        blueprint: BlueprintId,
        created: Millis,
    ) -> Result<Tasks, DecodeError> {
        let count = self.tasks_of(blueprint)?;
        let kind = source.byte()?;
        let mut tasks = Tasks { kind, states: None, runs: None, finished: None };
        match kind {
            kind::FRESH => return Ok(tasks),
            kind::STATES | kind::RUNS | kind::COMPLETED => {}
            _ => return Err(DecodeError::Impossible("a kind of workflow that is not known")),
        }
        tasks.states = Some(column(count, || {
            let byte = source.byte()?;
            let state = TaskState::ALL.get((byte & !VOID) as usize);
            Ok((*state.ok_or(DecodeError::Impossible("a state that is not known"))?, byte & VOID != 0))
        })?);
        if kind != kind::STATES {
            tasks.finished = time(source, created)?;
            tasks.runs = Some(column(count, || self.run(source, created))?);
        }
        Ok(tasks)
    }

    fn run(&self, source: &mut Source<'_>, created: Millis) -> Result<Run, DecodeError> {
        let attempt = source.int32()?;
        if attempt > MAX_ATTEMPT {
            return Err(DecodeError::Impossible("an attempt out of range"));
        }
        let mut run = Run { attempt, ready: time(source, created)?, ..Run::NONE };
        if attempt > 0 {
            let nonce = source.take(4)?;
            run.nonce = Nonce(u32::from_le_bytes(nonce.try_into().map_err(|_| DecodeError::CutOff)?));
            // Workers of a new space are numbered in the order in which they came.
            run.worker = WorkerId(source.int32()?);
            run.started = time(source, created)?;
        }
        run.finished = time(source, created)?;
        Ok(run)
    }

    fn note(&mut self, source: &mut Source<'_>) -> Result<(), DecodeError> {
        let sequence = Sequence(source.int()?);
        let index = TaskIndex(source.int32()?);
        let kind = NoteKind::ALL.get(source.byte()? as usize);
        let kind = *kind.ok_or(DecodeError::Impossible("a note of a kind that is not known"))?;
        let text = source.text()?;
        Ok(self.space.restore_note(sequence, index, kind, text)?)
    }

    fn tries(&mut self, source: &mut Source<'_>) -> Result<(), DecodeError> {
        let sequence = Sequence(source.int()?);
        let index = TaskIndex(source.int32()?);
        let mut count =
            || u16::try_from(source.int()?).map_err(|_| DecodeError::Impossible("a task tried too often"));
        let tried = Tried { failures: count()?, lost: count()? };
        Ok(self.space.restore_tried(sequence, index, tried)?)
    }

    fn extra(&mut self, source: &mut Source<'_>) -> Result<(), DecodeError> {
        let sequence = Sequence(source.int()?);
        let tag = source.byte()?;
        let timeout = match tag & !EXTRA_REASON {
            0 => None,
            state @ (1 | 2) => {
                Some(Timeout { deadline: Millis(source.int()?), after_ms: source.int()?, passed: state == 2 })
            }
            _ => return Err(DecodeError::Impossible("a timeout that is not known")),
        };
        let retain_ms = source.int()?.checked_sub(1);
        let reason = if tag & EXTRA_REASON != 0 { Some(source.text()?.into()) } else { None };
        Ok(self.space.restore_extra(sequence, Extra { timeout, retain_ms, reason })?)
    }

    fn end(&mut self, source: &mut Source<'_>) -> Result<(), DecodeError> {
        let space = &self.space;
        for count in [
            space.types().len(),
            space.workers().len(),
            space.blueprints().len(),
            space.workflows().len(),
            space.notes().len(),
        ] {
            if source.int()? != count as u64 {
                return Err(DecodeError::Impossible("another number of things than it has"));
            }
        }
        for count in [space.tries().len(), space.extras().len(), space.definitions().len()] {
            // The first layout has none of them, the second no definitions.
            if !source.is_empty() && source.int()? != count as u64 {
                return Err(DecodeError::Impossible("another number of things than it has"));
            }
        }
        Ok(())
    }
}

/// What a worker did. The first layout does not say.
fn deeds(source: &mut Source<'_>) -> Result<Deeds, DecodeError> {
    Ok(Deeds {
        seen: Millis(source.int()?),
        claims: source.int()?,
        completions: source.int()?,
        failures: source.int()?,
        lost: source.int()?,
    })
}

/// How a blueprint is written.
struct Layout {
    /// Edges have conditions, and it says whether it goes on after a failure.
    flow: bool,
    /// The options of a task.
    options: fn(&mut Source<'_>) -> Result<TaskOptions, DecodeError>,
}

const FIRST: Layout = Layout { flow: false, options: first_options };
const SECOND: Layout = Layout { flow: false, options: options::read };
const THIRD: Layout = Layout { flow: true, options: options::read };

/// A parent, and the condition of the edge to it.
pub fn conditional(source: &mut Source<'_>) -> Result<(u32, On), DecodeError> {
    let number = source.int32()?;
    let on = On::ALL.get(number as usize & 0b11).copied();
    Ok((number >> 2, on.ok_or(DecodeError::Impossible("a condition that is not known"))?))
}

/// The options of a task in the first layout.
fn first_options(source: &mut Source<'_>) -> Result<TaskOptions, DecodeError> {
    let priority = source.int()?.checked_sub(1);
    let lease_ms = Some(source.int()?).filter(|&lease| lease > 0);
    if priority.is_some_and(|p| p > u64::from(MAX_PRIORITY)) || lease_ms.is_some_and(|l| l > MAX_LEASE_MS) {
        return Err(DecodeError::Impossible("an option out of range"));
    }
    Ok(TaskOptions { priority: priority.map(|p| p as u32), lease_ms, ..TaskOptions::default() })
}

struct Texts<'a> {
    own_name: Option<&'a [u8]>,
    input: Option<&'a [u8]>,
    payloads: Row<'a>,
}

struct Tasks {
    kind: u8,
    states: Option<Vec<(TaskState, bool)>>,
    runs: Option<Vec<Run>>,
    finished: Option<Millis>,
}

fn column<T>(count: usize, mut next: impl FnMut() -> Result<T, DecodeError>) -> Result<Vec<T>, DecodeError> {
    // The callers have seen that so many can be there.
    let mut column = Vec::with_capacity(count);
    for _ in 0..count {
        column.push(next()?);
    }
    Ok(column)
}

fn truth(source: &mut Source<'_>) -> Result<bool, DecodeError> {
    match source.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(DecodeError::Impossible("a flag that is not known")),
    }
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

fn time(source: &mut Source<'_>, created: Millis) -> Result<Option<Millis>, DecodeError> {
    Ok(source.int()?.checked_sub(1).map(|offset| created.plus(offset)))
}

fn histogram(source: &mut Source<'_>) -> Result<Histogram, DecodeError> {
    let count = source.count(1)?;
    if count > BUCKETS {
        return Err(DecodeError::Impossible("a histogram that is too long"));
    }
    let buckets = column(count, || source.int())?;
    Histogram::from_buckets(buckets).ok_or(DecodeError::Impossible("a histogram that is none"))
}
