//! What a space appends to its stream: what happened, in order, told when it happened.

use super::{Model, State, Workflow};

/// An entry: the event, then the other fields.
pub type Entry = (&'static str, Vec<(&'static str, Vec<u8>)>);

fn number(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// What is told of a long text.
fn beginning(text: &[u8]) -> Vec<u8> {
    text.iter().take(1_024).copied().collect()
}

impl Workflow {
    fn fields(&self, now: u64) -> Vec<(&'static str, Vec<u8>)> {
        vec![("workflow", self.id.clone()), ("name", self.name.clone()), ("at", number(now))]
    }
}

impl Model {
    /// A workflow was pushed.
    pub fn tell_pushed(&mut self, place: usize, now: u64) {
        let workflow = &self.workflows[place];
        let mut fields = workflow.fields(now);
        fields.push(("tasks", number(workflow.tasks.len() as u64)));
        self.tell("workflow.pushed", fields);
    }

    /// A workflow is finished.
    pub fn tell_finished(&mut self, place: usize, event: &'static str, now: u64) {
        let workflow = &self.workflows[place];
        let ended =
            |state: State| number(workflow.tasks.iter().filter(|task| task.state == state).count() as u64);
        let mut fields = workflow.fields(now);
        fields.extend([
            ("pushed", number(workflow.created)),
            ("tasks", number(workflow.tasks.len() as u64)),
            ("completed", ended(State::Completed)),
            ("failed", ended(State::Failed)),
            ("skipped", ended(State::Skipped)),
            ("cancelled", ended(State::Cancelled)),
        ]);
        if let Some(reason) = &workflow.cancelled {
            fields.push(("reason", reason.as_deref().map(beginning).unwrap_or_default()));
        }
        self.tell(event, fields);
    }

    /// A delivery of a task was lost, or it failed for good.
    pub fn tell_task(
        &mut self,
        place: usize,
        index: usize,
        event: &'static str,
        cause: &'static str,
        now: u64,
    ) {
        let workflow = &self.workflows[place];
        let task = &workflow.tasks[index];
        let mut fields = workflow.fields(now);
        fields.extend([
            ("task", task.name.clone()),
            ("type", task.kind.clone()),
            ("worker", task.worker.clone().unwrap_or_default()),
            ("attempt", number(task.attempts)),
            ("cause", cause.as_bytes().to_vec()),
            ("error", task.error.as_deref().map(beginning).unwrap_or_default()),
        ]);
        self.tell(event, fields);
    }

    fn tell(&mut self, event: &'static str, fields: Vec<(&'static str, Vec<u8>)>) {
        if self.stream.is_some() {
            self.entries.push((event, fields));
        }
    }

    /// A workflow goes: whether its end is told by the same command.
    pub fn note_if_told(&mut self, place: usize) {
        let id = &self.workflows[place].id;
        let told = self.entries.iter().any(|(_, fields)| fields[0].1 == *id);
        self.note_if(told, "an event of a workflow that goes at once");
    }
}
