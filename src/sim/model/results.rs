//! Results that nobody can want any more are gone.

use super::{Model, State};

impl Model {
    /// Frees results of tasks with children, unless they are kept: in a workflow where nothing can be
    /// skipped when all children have completed, elsewhere when the workflow has.
    pub fn free_results(&mut self) {
        let mut happened = Vec::new();
        for workflow in &mut self.workflows {
            let skips =
                workflow.is_flow() || workflow.tasks.iter().any(|task| !task.chose_to_skip.is_empty());
            let over = workflow.state() == "completed";
            for index in 0..workflow.tasks.len() {
                let children = workflow.tasks.iter().filter(|task| task.parents.contains(&index));
                let (mut any, mut all) = (false, true);
                for child in children {
                    any = true;
                    all &= child.state == State::Completed;
                }
                let task = &mut workflow.tasks[index];
                let unwanted = over || (all && !skips);
                if task.result.is_none() || !unwanted {
                    continue;
                }
                happened.push(match (any, task.options.keep_result, over) {
                    (false, ..) => "a result of a task without children",
                    (true, true, _) => "a result that is kept",
                    (true, false, true) => "a result that is freed at the end",
                    (true, false, false) => "a result that is freed",
                });
                if any && !task.options.keep_result {
                    task.result = None;
                }
            }
        }
        self.happened.extend(happened);
    }
}
