//! From what a client asked for to the run that is proposed: select and plan, as on a laptop.
//!
//! Invariant: what enters the log is decided here, once; no replica decides it again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::diagnostic::Code;
use common::run::{Deployed, RunPlan, Verb};
use common::target::{AdapterType, Target};
use common::{ContentDigest, Diagnostic, NodeId, RunId};
use dbt::graph::PlanOptions;
use dbt::select::{Purpose, Selection};
use proto::run::Submit;

use super::manifests::Ready;
use crate::durations;
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
    pub fn of(state: &State, submit: &Submit) -> Self {
        let deployments = state.projects().deployments(&submit.project);
        let bundle = match submit.bundle {
            None => deployments.map(|deployment| deployment.bundle).next_back(),
            Some(bundle) => deployments.map(|deployment| deployment.bundle).find(|known| *known == bundle),
        };
        let workers = state.workers().filter(|(_, worker)| !worker.draining && worker.carries(&submit.worker_labels));
        Self {
            bundle,
            durations: durations::of(earlier(state, &submit.project)),
            workers: workers.count(),
            pools: state.pools().map(|(pool, _)| pool.to_owned()).collect(),
        }
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
    findings.extend(one_writer(&submit.target, known.workers));
    let selected = select(&submit, ready, findings)?;
    findings.extend(dbt::graph::unsupported(&ready.manifest, selected.iter()));
    if findings.iter().any(Diagnostic::is_error) {
        return None;
    }
    let (exposures, wanted): (BTreeSet<NodeId>, BTreeSet<NodeId>) =
        selected.into_iter().partition(|id| ready.manifest.exposures.contains_key(id));
    let options = PlanOptions { tests_block: submit.options.verb == Verb::Build };
    let mut tasks = dbt::graph::plan(&ready.manifest, &ready.graph, &wanted, &known.durations, options);
    let is_empty = wanted.is_empty() && exposures.is_empty();
    let executes = !matches!(submit.options.verb, Verb::Compile | Verb::Show);
    if executes && !is_empty {
        tasks = dbt::hooks::around(&ready.manifest, tasks);
    }
    let pool = format!("target:{}.{}", submit.target.profile_name, submit.target.name);
    for task in &mut tasks {
        let tags = ready.manifest.nodes.get(&task.node).map(|node| node.config.tags.as_slice()).unwrap_or_default();
        let tagged = tags.iter().map(|tag| format!("tag:{tag}")).filter(|pool| known.pools.contains(pool));
        task.pools = std::iter::once(pool.clone()).chain(tagged).collect();
    }
    let planned: BTreeSet<&NodeId> = tasks.iter().map(|task| &task.node).collect();
    let besides = wanted.iter().filter(|id| !planned.contains(id)).chain(&exposures);
    let selected_besides: Vec<NodeId> = besides.cloned().collect();
    let plan = RunPlan {
        fail_fast: submit.options.fail_fast,
        retry: submit.retry,
        // dbt's threads bound what runs at once on a target, over all of its runs.
        pools: BTreeMap::from([(pool, submit.target.threads)]),
        priority: submit.priority,
        timeout: submit.timeout,
        task_timeout: submit.task_timeout,
        worker_labels: submit.worker_labels,
        ..RunPlan::new(RunId(super::fresh::id()), submit.request, tasks)
    };
    let deployed = Deployed { project: submit.project, bundle, target: (&submit.target).into() };
    let submission = Submission::new(plan, submit.options, ready.digest.clone());
    Some(Submission { deployed: Some(deployed), selected_besides, ..submission })
}

fn select(submit: &Submit, ready: &Ready, findings: &mut Vec<Diagnostic>) -> Option<BTreeSet<NodeId>> {
    let indirect = match submit.indirect_selection.as_str() {
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
        purpose: Purpose::Run(submit.options.verb),
        select: submit.select.clone(),
        exclude: submit.exclude.clone(),
        selector: submit.selector.clone(),
        indirect,
        resource_types: submit.resource_types.clone(),
        exclude_resource_types: submit.exclude_resource_types.clone(),
        results: Some(&submit.results).filter(|results| !results.is_empty()).cloned(),
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
