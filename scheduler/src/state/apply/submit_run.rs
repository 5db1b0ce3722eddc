//! A run begins. The plan is checked before anything changes; the same request id gives the same run.

use std::collections::BTreeMap;
use std::sync::Arc;

use common::run::{PlannedTask, RunPlan};
use common::task::TaskState;
use common::{Attempt, Epoch, RunId};

use crate::state::edges::Edges;
use crate::state::journal::Journal;
use crate::state::planted::Bug;
use crate::state::run::Derived;
use crate::state::schedules::Origin;
use crate::state::{Entry, Event, PLAN_TASKS_MAX, Rejection, Reply, Run, RunState, State, Step, Submission, Task};

pub(super) fn apply(state: &mut State, entry: &mut Entry, submission: Submission) -> Result<Reply, Rejection> {
    begin(state, entry, submission, None).map(|(run, new)| Reply::Submitted { run, new })
}

/// For a tick of a schedule where there is one. Gives the request's run, and whether it is new.
pub(super) fn begin(
    state: &mut State,
    entry: &mut Entry,
    submission: Submission,
    origin: Option<&Origin>,
) -> Result<(RunId, bool), Rejection> {
    let id = submission.plan.run;
    if let Some(&run) = state.requests.get(&submission.plan.request)
        && !state.has(Bug::DeduplicationOff)
    {
        return Ok((run, false));
    }
    if state.runs.contains_key(&id) {
        return Err(Rejection::RunExists(id));
    }
    let run = new_run(submission, state, entry)?;
    if let Some(deployed) = &run.deployed {
        state.projects.retain(&deployed.bundle)?;
    }
    state.sequence += 1;
    state.requests.insert(run.request.clone(), id);
    let roots: Vec<u32> =
        run.tasks.iter().enumerate().filter(|(_, task)| task.waiting == 0).map(|(index, _)| index as u32).collect();
    if let Some(deadline) = run.deadline {
        state.index.run_deadlines.insert((deadline, id));
    }
    state.runs.insert(id, run);
    if let Some(origin) = origin {
        state.originate(id, origin.clone());
    }
    entry.events.push(Event::RunSubmitted { run: id });
    for task in roots {
        state.step(id, task, Step::UpstreamsSucceeded);
    }
    state.finish_run(entry, id);
    Ok((id, true))
}

fn new_run(submission: Submission, state: &State, entry: &Entry) -> Result<Run, Rejection> {
    let Submission { plan, options, manifest_digest, deployed, selected_besides, traceparent } = submission;
    validate(&plan)?;
    let RunPlan { run: id, request, tasks: planned, pools, fail_fast, retry, .. } = plan;
    let RunPlan { priority, timeout, task_timeout, worker_labels, .. } = plan;
    let upstreams = Edges::new(planned.iter().map(|task| task.upstreams.as_slice()));
    // Pools that only operators define have no limit of the plan's.
    let named = planned.iter().flat_map(|task| &task.pools);
    let configured = named.filter_map(|name| state.pools.get_key_value(name.as_str()));
    let configured = configured.map(|(name, _)| (name.clone(), u32::MAX));
    let pools: BTreeMap<Arc<str>, u32> =
        configured.chain(pools.into_iter().map(|(name, places)| (name.into(), places))).collect();
    let pools: Vec<(Arc<str>, u32)> = pools.into_iter().collect();
    let mut sets = PoolSets { pools: &pools, known: BTreeMap::new(), sets: Vec::new() };
    let tasks: Vec<Task> = planned.into_iter().map(|task| new_task(task, &mut sets)).collect::<Result<_, _>>()?;
    let pool_sets = sets.sets;
    let mut run = Run {
        id,
        request,
        sequence: state.sequence,
        options,
        manifest_digest,
        deployed,
        traceparent,
        submitted_at: entry.at,
        state: RunState::Active,
        priority,
        timeout,
        deadline: timeout.map(|timeout| entry.at.plus(timeout)),
        task_timeout,
        worker_labels,
        fail_fast,
        retry,
        selected_besides,
        pools,
        pool_sets,
        tasks,
        upstreams,
        past: BTreeMap::new(),
        journal: Journal::default(),
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
        return Err(Rejection::PlanTooLarge { tasks: plan.tasks.len() as u64, max: PLAN_TASKS_MAX as u64 });
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
        relation: planned.relation.map(Into::into),
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
