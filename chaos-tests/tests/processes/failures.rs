//! Runs while whatever there is dies or stands still.

use std::collections::BTreeMap;

use chaos_tests::dice::Dice;
use proto::v1::{RetryPolicy, RunState, SubmitRunRequest, TaskState, Verb};

use crate::cluster::{Cluster, REPLICAS, Wishes, program};
use crate::fault;
use crate::project::Project;
use crate::reader::Reader;
use crate::seed::seeds;
use crate::warehouse::Warehouse;
use crate::watch::{Watch, task_in};

/// Builds of the whole project, one after the other; the second replaces what the first made.
const BUILDS: usize = 2;
/// What is submitted beside a build: it reads raw data only, so it can be built at any time.
const SIDE: [&str; 6] =
    ["stg_branches", "stg_customers", "stg_recipes", "stg_orders", "stg_deliveries", "stg_inventory_movements"];

/// What a build leaves behind when nothing happens to it: one process, no cluster.
fn undisturbed() -> BTreeMap<String, String> {
    let (project, warehouse) = (Project::new(), Warehouse::new());
    let built = program(&project, &warehouse, &["build"]).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stdout));
    warehouse.contents()
}

/// A run that a replica has acknowledged, and what is told of it.
struct Submitted {
    request: SubmitRunRequest,
    tasks: u32,
    watch: Watch,
}

fn submit(cluster: &Cluster, dice: &mut Dice, request: SubmitRunRequest) -> Submitted {
    // Faults that cost attempts are what this is about: none of them may be the last.
    let retry = RetryPolicy { attempts_max: 50, ..RetryPolicy::default() };
    let request = SubmitRunRequest { retry: Some(retry), ..request };
    let accepted = cluster.submit(dice, request.clone());
    let watch = cluster.watch(&accepted.run_id, Dice::new(dice.roll()));
    Submitted { request, tasks: accepted.tasks, watch }
}

/// The whole project, struck while it is built; and a further run for each strike.
fn build(cluster: &mut Cluster, dice: &mut Dice, number: usize, strikes: &[fault::Strike]) -> Vec<Submitted> {
    let request = SubmitRunRequest {
        request_id: format!("build-{number}"),
        verb: Verb::Build.into(),
        full_refresh: number > 0,
        ..SubmitRunRequest::default()
    };
    let mut all = vec![submit(cluster, dice, request)];
    let mut busy = String::new();
    let mut strikes = strikes.iter();
    let mut next = strikes.next();
    while let Some(event) = all[0].watch.next() {
        if let Some(task) = task_in(event, TaskState::Running) {
            busy.clone_from(&task.worker);
        }
        while let Some(strike) = next.filter(|strike| strike.is_due(all[0].tasks, all[0].watch.seen.len())) {
            cluster.strike(strike.fault, dice, &busy);
            next = strikes.next();
            let request = SubmitRunRequest {
                request_id: format!("side-{number}-{}", all.len()),
                verb: Verb::Run.into(),
                select: dice.pick(&SIDE).map(|model| (*model).to_owned()).into_iter().collect(),
                ..SubmitRunRequest::default()
            };
            all.push(submit(cluster, dice, request));
        }
    }
    assert!(next.is_none(), "every strike has its moment in the run");
    all
}

fn try_seed(seed: u64, undisturbed: &BTreeMap<String, String>) {
    let mut dice = Dice::new(seed);
    let plan = fault::plan(&mut dice, BUILDS);
    eprintln!("seed {seed}: {plan:?}");
    let wishes = Wishes {
        replica_flags: &["--lease", "2s"],
        worker_flags: &["--heartbeat-interval", "200ms"],
        ..Wishes::default()
    };
    let mut cluster = Cluster::start(Project::new(), Warehouse::new(), wishes);
    cluster.warehouse.slow_down();

    let mut all = Vec::new();
    for (number, strikes) in plan.iter().enumerate() {
        let reader = (number > 0).then(|| Reader::begin(cluster.warehouse.clone(), undisturbed.clone()));
        all.extend(build(&mut cluster, &mut dice, number, strikes));
        for submitted in &mut all {
            cluster.expect_success(&mut submitted.watch);
        }
        if let Some(reader) = reader {
            reader.end();
        }
        assert_eq!(cluster.warehouse.contents(), *undisturbed, "after build {number}");
    }
    cluster.expect_all_run();
    nothing_is_lost(&cluster, &mut dice, &all);
    everything_is_published_once(&cluster, &all);
    nothing_is_left_behind(&cluster, &mut dice);
    cluster.await_agreement();
}

/// Every run that was acknowledged is known to each replica with the history that was told, and known by its request.
fn nothing_is_lost(cluster: &Cluster, dice: &mut Dice, all: &[Submitted]) {
    for submitted in all {
        for replica in 0..REPLICAS {
            let told = cluster.history(replica, &submitted.watch.run);
            assert_eq!(told, submitted.watch.seen, "as replica {replica} tells run {}", submitted.watch.run);
        }
        let again = cluster.submit(dice, submitted.request.clone());
        assert_eq!((again.run_id, again.is_new), (submitted.watch.run.clone(), false));
    }
    let mut known: Vec<(String, RunState)> =
        cluster.runs().into_iter().map(|run| (run.run_id.clone(), run.state())).collect();
    known.sort();
    let mut wanted: Vec<(String, RunState)> =
        all.iter().map(|submitted| (submitted.watch.run.clone(), RunState::Success)).collect();
    wanted.sort();
    assert_eq!(known, wanted);
}

fn everything_is_published_once(cluster: &Cluster, all: &[Submitted]) {
    let mut wanted = Vec::new();
    for submitted in all {
        let nodes = cluster.run(&submitted.watch.run).tasks.into_iter().map(|task| task.node_id);
        let published = nodes.filter(|node| node.starts_with("model.") || node.starts_with("seed."));
        wanted.extend(published.map(|node| (submitted.watch.run.clone(), node)));
    }
    wanted.sort();
    assert_eq!(cluster.warehouse.published(), wanted);
}

/// What dead attempts had staged is gone once somebody builds after the warehouse has noticed their end.
fn nothing_is_left_behind(cluster: &Cluster, dice: &mut Dice) {
    let mut number = 0;
    cluster.fleet.until("what dead attempts staged to go", || {
        if cluster.warehouse.staged().is_empty() {
            return true;
        }
        number += 1;
        let request = SubmitRunRequest {
            request_id: format!("after-{number}"),
            verb: Verb::Run.into(),
            select: vec![SIDE[0].to_owned()],
            ..SubmitRunRequest::default()
        };
        cluster.expect_success(&mut submit(cluster, dice, request).watch);
        false
    });
}

#[test]
fn runs_outlive_whatever_is_killed_or_paused() {
    let undisturbed = undisturbed();
    for seed in seeds() {
        try_seed(seed.0, &undisturbed);
    }
}
