//! From what a client asked for to the run that is proposed: select and plan, as on a laptop.
//!
//! Invariant: what enters the log is decided here, once; no replica decides it again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::diagnostic::Code;
use common::run::{Deployed, RunPlan, RunRequest, Verb};
use common::target::{AdapterType, Target};
use common::{ContentDigest, Diagnostic, NodeId, RunId, WorkerId};
use dbt::graph::PlanOptions;
use dbt::select::{Purpose, Selection};
use proto::run::Submit;

use super::manifests::Ready;
use crate::durations;
use crate::leader::Leader;
use crate::state::{Run, State, Submission};

/// Earlier runs of a project that are looked at for how long its nodes take, and most tasks of them.
const RUNS_MAX: usize = 5;
const TASKS_MAX: usize = 20_000;

/// What the state has to say about a run that is to begin.
pub struct Known {
    /// None where the project has no such deployment.
    pub bundle: Option<ContentDigest>,
    pub durations: BTreeMap<NodeId, Duration>,
    /// Workers that could get tasks of the run.
    pub workers: usize,
    /// Pools that operators set up.
    pub pools: BTreeSet<String>,
}

impl Known {
    /// `leader` knows which workers there are still: one that died is registered until its lease ends.
    pub fn of(state: &State, leader: Option<&Leader>, run: &RunRequest) -> Self {
        let is_here = |worker: &WorkerId| leader.is_none_or(|leader| leader.has_session(worker));
        let workers = state
            .workers()
            .filter(|(id, worker)| !worker.draining && worker.carries(&run.worker_labels) && is_here(id));
        Self {
            bundle: bundle(state, run),
            durations: durations::of(earlier(state, &run.project)),
            workers: workers.count(),
            pools: state.pools().map(|(pool, _)| pool.to_owned()).collect(),
        }
    }
}

/// The bundle that a request means now, where the project has it.
pub fn bundle(state: &State, run: &RunRequest) -> Option<ContentDigest> {
    let mut bundles = state.projects().deployments(&run.project).map(|deployment| deployment.bundle);
    match run.bundle {
        None => bundles.next_back(),
        Some(bundle) => bundles.find(|known| *known == bundle),
    }
}

/// The project's latest finished runs, as far as they are not too large to look at.
fn earlier<'s>(state: &'s State, project: &'s str) -> impl Iterator<Item = &'s Run> {
    let is_of = move |run: &&Run| run.deployed.as_ref().is_some_and(|deployed| deployed.project == project);
    let runs = state.runs().rev().filter(is_of).filter(|run| run.is_finished() && durations::is_telling(run));
    let mut tasks = 0;
    runs.take(RUNS_MAX).take_while(move |run| {
        tasks += run.tasks().len();
        tasks <= TASKS_MAX
    })
}

/// The run, or what is wrong with it. Warnings go to `findings` either way.
pub fn plan(
    submit: Submit,
    bundle: ContentDigest,
    ready: &Ready,
    known: &Known,
    findings: &mut Vec<Diagnostic>,
) -> Option<Submission> {
    let Submit { request, run, results } = submit;
    let target = Target::from(run.target.clone());
    findings.extend(one_writer(&target, known.workers));
    let selected = select(&run, results, ready, findings)?;
    if findings.iter().any(Diagnostic::is_error) {
        return None;
    }
    let (exposures, wanted): (BTreeSet<NodeId>, BTreeSet<NodeId>) =
        selected.into_iter().partition(|id| ready.manifest.exposures.contains_key(id));
    let options = PlanOptions::of(run.options.verb);
    let mut tasks = dbt::graph::plan(&ready.manifest, &ready.graph, &wanted, &known.durations, options);
    let is_empty = wanted.is_empty() && exposures.is_empty();
    let executes = !matches!(run.options.verb, Verb::Compile | Verb::Show);
    if executes && !is_empty {
        tasks = dbt::hooks::around(&ready.manifest, tasks);
    }
    let pool = format!("target:{}.{}", target.profile_name, target.name);
    for task in &mut tasks {
        let tags = ready.manifest.nodes.get(&task.node).map(|node| node.config.tags.as_slice()).unwrap_or_default();
        let tagged = tags.iter().map(|tag| format!("tag:{tag}")).filter(|pool| known.pools.contains(pool));
        task.pools = std::iter::once(pool.clone()).chain(tagged).collect();
    }
    let planned: BTreeSet<&NodeId> = tasks.iter().map(|task| &task.node).collect();
    let besides = wanted.iter().filter(|id| !planned.contains(id)).chain(&exposures);
    let selected_besides: Vec<NodeId> = besides.cloned().collect();
    let plan = RunPlan {
        fail_fast: run.options.fail_fast,
        retry: run.retry,
        // dbt's threads bound what runs at once on a target, over all of its runs.
        pools: BTreeMap::from([(pool, target.threads)]),
        priority: run.priority,
        timeout: run.timeout,
        task_timeout: run.task_timeout,
        worker_labels: run.worker_labels,
        ..RunPlan::new(RunId(super::fresh::id()), request, tasks)
    };
    let deployed = Deployed { project: run.project, bundle, target: run.target };
    let submission = Submission::new(plan, run.options, ready.digest.clone());
    Some(Submission { deployed: Some(deployed), selected_besides, ..submission })
}

fn select(
    run: &RunRequest,
    results: BTreeMap<NodeId, String>,
    ready: &Ready,
    findings: &mut Vec<Diagnostic>,
) -> Option<BTreeSet<NodeId>> {
    let indirect = match run.indirect_selection.as_str() {
        "" => Ok(Default::default()),
        named => named.parse().map_err(|problem: String| Diagnostic::error(Code::SelectorInvalid, problem)),
    };
    let indirect = match indirect {
        Ok(indirect) => indirect,
        Err(finding) => {
            findings.push(finding);
            return None;
        }
    };
    let selection = Selection {
        purpose: Purpose::Run(run.options.verb),
        select: run.select.clone(),
        exclude: run.exclude.clone(),
        selector: run.selector.clone(),
        indirect,
        resource_types: run.resource_types.clone(),
        exclude_resource_types: run.exclude_resource_types.clone(),
        results: Some(results).filter(|results| !results.is_empty()),
    };
    dbt::select::select(&ready.manifest, &ready.graph, &selection, findings)
}

/// A DuckDB file has one writing process, so all tasks have to go to one worker.
fn one_writer(target: &Target, workers: usize) -> Option<Diagnostic> {
    if target.adapter_type != AdapterType::Duckdb || workers < 2 {
        return None;
    }
    let message = format!(
        "target '{}' is a DuckDB file, which one process writes, but {workers} workers could get tasks",
        target.name
    );
    let hint = "give one worker a label of its own, and name it among the run's worker labels";
    Some(Diagnostic::error(Code::OneWriter, message).hint(hint))
}
