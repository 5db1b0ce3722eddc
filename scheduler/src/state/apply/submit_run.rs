//! A run begins. The plan is checked before anything changes; the same request id gives the same run.

use std::collections::BTreeMap;
use std::sync::Arc;

use common::run::{PlannedTask, RunPlan};
use common::task::TaskState;
use common::{Attempt, Epoch};

use crate::state::edges::Edges;
use crate::state::planted::Bug;
use crate::state::run::Derived;
use crate::state::{Entry, Event, PLAN_TASKS_MAX, Rejection, Reply, Run, RunState, State, Step, Submission, Task};

pub(super) fn apply(state: &mut State, entry: &mut Entry, submission: Submission) -> Result<Reply, Rejection> {
    let id = submission.plan.run;
    if let Some(&run) = state.requests.get(&submission.plan.request)
        && !state.has(Bug::DeduplicationOff)
    {
        return Ok(Reply::Submitted { run, new: false });
    }
    if state.runs.contains_key(&id) {
        return Err(Rejection::RunExists(id));
    }
    let run = new_run(submission, state.sequence, entry)?;
    state.sequence += 1;
    state.requests.insert(run.request.clone(), id);
    let roots: Vec<u32> =
        run.tasks.iter().enumerate().filter(|(_, task)| task.waiting == 0).map(|(index, _)| index as u32).collect();
    state.runs.insert(id, run);
    entry.events.push(Event::RunSubmitted { run: id });
    for task in roots {
        state.step(id, task, Step::UpstreamsSucceeded);
    }
    state.finish_run(entry, id);
    Ok(Reply::Submitted { run: id, new: true })
}

fn new_run(submission: Submission, sequence: u64, entry: &Entry) -> Result<Run, Rejection> {
    let Submission { plan, options, manifest_digest } = submission;
    validate(&plan)?;
    let RunPlan { run: id, request, tasks: planned, pools, fail_fast, retry } = plan;
    let upstreams = Edges::new(planned.iter().map(|task| task.upstreams.as_slice()));
    let pools: Vec<(Arc<str>, u32)> = pools.into_iter().map(|(name, places)| (name.into(), places)).collect();
    let mut sets = PoolSets { pools: &pools, known: BTreeMap::new(), sets: Vec::new() };
    let tasks: Vec<Task> = planned.into_iter().map(|task| new_task(task, &mut sets)).collect::<Result<_, _>>()?;
    let pool_sets = sets.sets;
    let mut run = Run {
        id,
        request,
        sequence,
        options,
        manifest_digest,
        submitted_at: entry.at,
        state: RunState::Active,
        fail_fast,
        retry,
        pools,
        pool_sets,
        tasks,
        upstreams,
        derived: Derived::default(),
    };
    run.derive();
    let by_node = &run.derived.by_node;
    let twice = by_node.windows(2).find(|two| run.tasks[two[0] as usize].node == run.tasks[two[1] as usize].node);
    match twice {
        Some(two) => Err(Rejection::DuplicateNode(run.tasks[two[0] as usize].node.clone())),
        None => Ok(run),
    }
}

fn validate(plan: &RunPlan) -> Result<(), Rejection> {
    if plan.tasks.len() > PLAN_TASKS_MAX {
        return Err(Rejection::PlanTooLarge { tasks: plan.tasks.len(), max: PLAN_TASKS_MAX });
    }
    if plan.retry.attempts_max == 0 {
        return Err(Rejection::NoAttempts);
    }
    for (index, task) in plan.tasks.iter().enumerate() {
        let distinct = task.upstreams.windows(2).all(|two| two[0] < two[1])
            || task.upstreams.iter().collect::<std::collections::BTreeSet<_>>().len() == task.upstreams.len();
        if !distinct || task.upstreams.iter().any(|&upstream| upstream as usize >= index) {
            return Err(Rejection::UpstreamOutOfOrder(task.node.clone()));
        }
    }
    Ok(())
}

fn new_task(planned: PlannedTask, sets: &mut PoolSets<'_>) -> Result<Task, Rejection> {
    let pool_set = sets.of(&planned)?;
    Ok(Task {
        node: planned.node,
        state: TaskState::Pending,
        priority: planned.priority,
        pool_set,
        attempt: Attempt(0),
        tries: 0,
        epoch: Epoch(0),
        ending: None,
        waiting: 0,
    })
}

/// Finds the distinct sets of pools among the tasks of a plan: a handful, however many tasks there are.
struct PoolSets<'a> {
    pools: &'a [(Arc<str>, u32)],
    known: BTreeMap<Vec<u16>, u16>,
    sets: Vec<Vec<u16>>,
}

impl PoolSets<'_> {
    fn of(&mut self, task: &PlannedTask) -> Result<u16, Rejection> {
        let unknown = |pool: &str| Rejection::UnknownPool { node: task.node.clone(), pool: pool.to_owned() };
        let mut set = Vec::with_capacity(task.pools.len());
        for pool in &task.pools {
            let place = self.pools.binary_search_by(|(name, _)| (**name).cmp(pool)).map_err(|_| unknown(pool))?;
            let index = u16::try_from(place).map_err(|_| unknown(pool))?;
            if self.pools[place].1 == 0 {
                return Err(unknown(pool));
            }
            set.push(index);
        }
        set.sort_unstable();
        set.dedup();
        if let Some(&known) = self.known.get(&set) {
            return Ok(known);
        }
        let next = u16::try_from(self.sets.len()).map_err(|_| unknown("more than 65,536 combinations"))?;
        self.sets.push(set.clone());
        self.known.insert(set, next);
        Ok(next)
    }
}
