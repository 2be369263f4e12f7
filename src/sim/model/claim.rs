//! WF.CLAIM and WF.RECOVER: tasks go to workers.

use super::arguments::Words;
use super::{Answer, Model, Moment, Refusal, State};
use crate::sim::tree::Tree;

const LONGEST_LEASE: u64 = 30 * 24 * 60 * 60 * 1000;

impl Model {
    /// `WF.CLAIM key worker [TYPES n type ...] [COUNT n] [BLOCK ms] [LEASE ms] [MAXPRIORITY p] [WITHRESULTS]`
    pub fn claim(&mut self, args: &[Vec<u8>], moment: &mut Moment<'_>) -> Result<Answer, Refusal> {
        let mut words = Words(args);
        let worker = words.need()?.to_vec();
        let mut kinds: Vec<&[u8]> = Vec::new();
        let (mut count, mut block, mut lease, mut max_priority, mut results) =
            (1, false, None, u64::MAX, false);
        while !words.0.is_empty() {
            if words.keyword("TYPES") {
                for _ in 0..words.number(1, 1024)? {
                    kinds.push(words.need()?);
                }
            } else if words.keyword("COUNT") {
                count = words.number(1, moment.settings.max_count)?;
            } else if words.keyword("BLOCK") {
                words.number(0, 3_153_600_000_000)?;
                block = true;
            } else if words.keyword("LEASE") {
                lease = Some(words.number(1, LONGEST_LEASE)?);
            } else if words.keyword("MAXPRIORITY") {
                max_priority = words.number(0, 16_777_215)?;
            } else if words.keyword("WITHRESULTS") {
                results = true;
            } else {
                return Err("ERR");
            }
        }
        self.sweep_due(moment);
        self.returned = Some(self.before_claim(&worker, moment.now));
        let mut claimed = Vec::new();
        while (claimed.len() as u64) < count {
            let Some((place, index)) = self.most_urgent(&kinds, max_priority) else { break };
            claimed.push(self.hand_out(place, index, &worker, lease, results, moment));
        }
        if claimed.is_empty() && block && moment.may_block {
            return Ok(Answer::Blocks);
        }
        Ok(Answer::Reply(Tree::Array(claimed)))
    }

    /// The claimable task that comes first: by priority, then by age of the workflow, then by index.
    fn most_urgent(&self, kinds: &[&[u8]], max_priority: u64) -> Option<(usize, usize)> {
        let mut best: Option<(u64, usize, usize)> = None;
        for (place, workflow) in self.workflows.iter().enumerate() {
            for (index, task) in workflow.tasks.iter().enumerate() {
                let claimable = self.is_claimable(workflow, task)
                    && (kinds.is_empty() || kinds.contains(&&*task.kind))
                    && task.priority <= max_priority;
                let order = (task.priority, place, index);
                if claimable && best.is_none_or(|best| order < best) {
                    best = Some(order);
                }
            }
        }
        best.map(|(_, place, index)| (place, index))
    }

    /// Gives one task to a worker; the element of the reply.
    fn hand_out(
        &mut self,
        place: usize,
        index: usize,
        worker: &[u8],
        lease: Option<u64>,
        results: bool,
        moment: &mut Moment<'_>,
    ) -> Tree {
        let usual = self.in_force("default-lease-ms", moment.settings);
        let workflow = &mut self.workflows[place];
        let ready = workflow.tasks[index].ready.expect("it was ready");
        let started = workflow.not_before_push(moment.now).max(ready);
        let options = &workflow.tasks[index].options;
        let lease = lease.or(options.lease_ms).unwrap_or(usual);
        let timeout = options.timeout_ms.map_or(u64::MAX, |timeout| started + timeout);
        let deadline = workflow.not_before_push(moment.now + lease).min(timeout);
        self.happened.extend((deadline == timeout).then_some("a lease up to the timeout"));
        let task = &mut workflow.tasks[index];
        if task.state == State::Ready {
            self.kinds.get_mut(&task.kind).expect("its type was pushed").waits.push(started - ready);
        }
        task.state = State::Running;
        task.attempts += 1;
        task.worker = Some(worker.to_vec());
        task.nonce = Some((moment.random)());
        task.spent = false;
        task.deadline = deadline;
        task.started = Some(started);
        let token = workflow.token(index);
        let task = &workflow.tasks[index];
        let mut element = vec![
            Tree::text(&token),
            Tree::text(&workflow.id),
            Tree::text(&task.name),
            Tree::text(&task.kind),
            Tree::number(task.attempts),
            Tree::number(deadline),
            Tree::text(&task.payload),
            Tree::maybe(workflow.input.as_ref(), Tree::text),
        ];
        if results {
            let pair = |&parent: &usize| {
                let parent = &workflow.tasks[parent];
                [Tree::text(&parent.name), Tree::maybe(parent.result.as_ref(), Tree::text)]
            };
            element.push(Tree::Array(task.parents.iter().flat_map(pair).collect()));
        }
        self.issued.push(token);
        let now = moment.now;
        let deeds = self.workers.entry(worker.to_vec()).or_default();
        deeds.claims += 1;
        deeds.see(now);
        self.forget_workers();
        Tree::Array(element)
    }

    /// `WF.RECOVER key worker [RESUME [LEASE ms]]`
    pub fn recover(&mut self, args: &[Vec<u8>], moment: &mut Moment<'_>) -> Result<Tree, Refusal> {
        let mut words = Words(args);
        let worker = words.need()?;
        let resume = words.keyword("RESUME");
        let lease =
            if resume && words.keyword("LEASE") { Some(words.number(1, LONGEST_LEASE)?) } else { None };
        if !words.0.is_empty() {
            return Err("ERR");
        }
        let mut reply = Vec::new();
        for place in 0..self.workflows.len() {
            for index in 0..self.workflows[place].tasks.len() {
                let task = &self.workflows[place].tasks[index];
                if task.state != State::Running || task.worker.as_deref() != Some(worker) {
                    continue;
                }
                let token = self.workflows[place].token(index);
                let poisoned = self.lose(place, index, "recovered", moment);
                self.worker_of(place, index).see(moment.now);
                if poisoned || !resume {
                    // Taken back.
                    self.workflows[place].tasks[index].nonce = None;
                }
                self.note_if(poisoned, if resume { "poison by RESUME" } else { "poison by WF.RECOVER" });
                match (resume, poisoned) {
                    (true, true) => {}
                    (true, false) => reply.push(self.hand_out(place, index, worker, lease, false, moment)),
                    (false, _) => {
                        reply.push(Tree::Bulk(token));
                        if !poisoned {
                            self.events.insert("task.recovered");
                            self.back_to_ready(place, index, moment.now);
                        }
                    }
                }
            }
        }
        Ok(Tree::Array(reply))
    }
}
