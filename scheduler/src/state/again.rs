//! A further run of what an earlier one did not do, or should do again.
//!
//! A task that succeeded is never left: what it published under its run stays that run's result. So doing it again is a run of
//! its own. Hooks go around every run.

use std::collections::BTreeSet;

use common::run::{PlannedTask, RunPlan};
use common::task::TaskState;
use common::{NodeId, RequestId, RunId};

use super::{Rejection, Run, Submission};

impl Run {
    /// `nodes` and everything downstream of them, and whatever did not succeed here, as a run of the same bundle with the same
    /// options.
    pub fn again_from(&self, nodes: &[NodeId], run: RunId, request: RequestId) -> Result<Submission, Rejection> {
        if !self.is_finished() {
            return Err(Rejection::RunActive(self.id));
        }
        let mut chosen = self.downstream_of(nodes)?;
        if chosen.is_empty() {
            return Err(Rejection::NothingToRetry(self.id));
        }
        chosen.extend((0..self.tasks.len() as u32).filter(|&index| self.is_hook(index)));
        let chosen: Vec<u32> = chosen.into_iter().collect();
        // What is not chosen succeeded: nobody need wait for it again.
        let place = |upstream: &u32| chosen.binary_search(upstream).ok().map(|place| place as u32);
        let tasks = chosen.iter().map(|&index| {
            let task = &self.tasks[index as usize];
            let pools =
                self.pool_sets[task.pool_set as usize].iter().map(|&pool| self.pools[pool as usize].0.to_string());
            PlannedTask {
                node: task.node.clone(),
                upstreams: self.upstreams.of(index).iter().filter_map(place).collect(),
                priority: task.priority,
                pools: pools.collect(),
                relation: task.relation.as_ref().map(|relation| relation.to_string()),
            }
        });
        let plan = RunPlan {
            pools: self.pools.iter().map(|(pool, places)| (pool.to_string(), *places)).collect(),
            fail_fast: self.fail_fast,
            retry: self.retry,
            priority: self.priority,
            timeout: self.timeout,
            task_timeout: self.task_timeout,
            worker_labels: self.worker_labels.clone(),
            ..RunPlan::new(run, request, tasks.collect())
        };
        Ok(Submission {
            deployed: self.deployed.clone(),
            selected_besides: self.selected_besides.clone(),
            ..Submission::new(plan, self.options.clone(), self.manifest_digest.clone())
        })
    }

    fn downstream_of(&self, nodes: &[NodeId]) -> Result<BTreeSet<u32>, Rejection> {
        let unsuccessful = |index: &u32| self.tasks[*index as usize].state != TaskState::Success;
        let mut chosen: BTreeSet<u32> = (0..self.tasks.len() as u32).filter(unsuccessful).collect();
        let mut unseen = Vec::new();
        for node in nodes {
            unseen.push(self.find(node).ok_or_else(|| Rejection::UnknownNode(node.clone()))?);
        }
        let mut seen = BTreeSet::new();
        while let Some(index) = unseen.pop() {
            if seen.insert(index) {
                unseen.extend(self.derived.downstreams.of(index));
            }
        }
        chosen.append(&mut seen);
        Ok(chosen)
    }
}
