//! What few spaces, workflows and tasks have: definitions, settings, notes, tries, extras.

use super::{Impossible, countable};
use crate::engine::agenda::deadline_key;
use crate::engine::definitions::{self, Definition};
use crate::engine::extras::Extra;
use crate::engine::limits::{
    MAX_DEFINITIONS, MAX_DURATION_MS, MAX_NAME_BYTES, MAX_PAYLOADS_BYTES, MAX_PRIORITY,
};
use crate::engine::notes::NoteKind;
use crate::engine::overrides;
use crate::engine::space::{Lifetime, Space};
use crate::engine::state::{TaskState, WorkflowState};
use crate::engine::tries::Tried;
use crate::engine::units::{BlueprintId, Millis, Sequence, TaskIndex, TaskRef};
use crate::engine::workflow::MARK_TRIED;

impl Space {
    /// A definition, how many workflows were started from it, and when the last was. Its blueprint was
    /// restored before.
    pub fn restore_definition(
        &mut self,
        parts: definitions::Parts<'_>,
        blueprint: BlueprintId,
        started: u64,
        last_started: Option<Millis>,
    ) -> Result<(), Impossible> {
        if self.definitions.len() >= MAX_DEFINITIONS || self.definitions.get(parts.name).is_some() {
            return Err(Impossible("a definition too many"));
        }
        if parts.workflow.len() > MAX_NAME_BYTES || parts.payloads.len() > MAX_PAYLOADS_BYTES {
            return Err(Impossible("a definition that is too long"));
        }
        if parts.priority.is_some_and(|priority| priority > MAX_PRIORITY)
            || parts.timeout_ms.is_some_and(|timeout| !(1..=MAX_DURATION_MS).contains(&timeout))
        {
            return Err(Impossible("a definition out of range"));
        }
        self.blueprints.retain(blueprint);
        let mut definition = Definition::new(parts, blueprint, self.blueprints.get(blueprint));
        definition.started = started;
        definition.last_started = last_started;
        self.definitions.insert(definition);
        Ok(())
    }

    /// A note, on a task of the workflow of that age.
    pub fn restore_note(
        &mut self,
        sequence: Sequence,
        index: TaskIndex,
        kind: NoteKind,
        text: &[u8],
    ) -> Result<(), Impossible> {
        let slot = self.slot_of_age(sequence).ok_or(Impossible("a note on no workflow"))?;
        let task = TaskRef { slot, index };
        if index.at() >= self.workflow(slot).1.shape.len() || self.notes.get(task, kind).is_some() {
            return Err(Impossible("a note on no task, or twice"));
        }
        self.notes.set(task, kind, text);
        let workflow = self.workflows.at_mut(slot);
        workflow.set_marks(index, kind.mark(), true);
        if kind == NoteKind::Choice {
            workflow.set_choice(true);
        }
        Ok(())
    }

    /// What happened in the life of the space.
    pub fn restore_lifetime(&mut self, lifetime: Lifetime) -> Result<(), Impossible> {
        let Lifetime {
            lease_expiries,
            attempts_retried,
            tasks_timed_out,
            tasks_poisoned,
            workflows_timed_out,
        } = lifetime;
        countable([lease_expiries, attempts_retried, tasks_timed_out, tasks_poisoned, workflows_timed_out])?;
        self.lifetime = lifetime;
        Ok(())
    }

    /// A setting of the space's own.
    pub fn restore_setting(&mut self, name: &[u8], value: u64) -> Result<(), Impossible> {
        let setting = overrides::find(name).ok_or(Impossible("a setting that is not known"))?;
        if !(setting.min..=setting.max).contains(&value) {
            return Err(Impossible("a setting out of range"));
        }
        self.overrides.set(setting, Some(value));
        Ok(())
    }

    /// The key of the stream that is told what happens.
    pub fn restore_events(&mut self, stream: &[u8]) -> Result<(), Impossible> {
        if self.overrides.events().is_some() || !(1..=MAX_NAME_BYTES).contains(&stream.len()) {
            return Err(Impossible("a second stream of events, or one of an impossible name"));
        }
        self.overrides.set_events(Some(stream));
        Ok(())
    }

    /// How often a task of the workflow of that age failed and was lost.
    pub fn restore_tried(
        &mut self,
        sequence: Sequence,
        index: TaskIndex,
        tried: Tried,
    ) -> Result<(), Impossible> {
        let slot = self.slot_of_age(sequence).ok_or(Impossible("tries of no workflow"))?;
        let task = TaskRef { slot, index };
        if index.at() >= self.workflow(slot).1.shape.len() || self.tried(task) != Tried::default() {
            return Err(Impossible("tries of no task, or twice"));
        }
        if tried == Tried::default() {
            return Err(Impossible("tries of a task that was not tried"));
        }
        if self.state_of(task) == TaskState::Delayed && tried.failures > 0 {
            self.totals.retrying += 1;
        }
        self.tries.set(task, tried);
        self.workflows.at_mut(slot).set_marks(index, MARK_TRIED, true);
        Ok(())
    }

    /// What the workflow of that age has that few have.
    pub fn restore_extra(&mut self, sequence: Sequence, extra: Extra) -> Result<(), Impossible> {
        let slot = self.slot_of_age(sequence).ok_or(Impossible("extras of no workflow"))?;
        if self.workflows.at(slot).has_extra() || extra == Extra::default() {
            return Err(Impossible("extras twice, or none"));
        }
        let long = |ms: u64| ms > MAX_DURATION_MS;
        if extra.retain_ms.is_some_and(long)
            || extra.timeout.is_some_and(|timeout| long(timeout.after_ms) || timeout.deadline > Millis::MAX)
        {
            return Err(Impossible("a duration out of range"));
        }
        let timeout = extra.timeout;
        self.extras.set(slot, extra);
        let workflow = self.workflows.at_mut(slot);
        workflow.set_extra(true);
        if let Some(timeout) = timeout.filter(|_| workflow.state() == WorkflowState::Running) {
            self.agenda.deadlines.insert(deadline_key(timeout.deadline, slot));
        }
        Ok(())
    }
}
