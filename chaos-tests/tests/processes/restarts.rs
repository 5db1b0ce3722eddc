//! Every replica and every worker is restarted in good order, one after the other, while a run is under way.

use chaos_tests::dice::Dice;
use proto::v1::{SubmitRunRequest, TaskState, Verb, Worker};

use crate::cluster::{Cluster, REPLICAS, WORKERS, Wishes};
use crate::project::Project;
use crate::warehouse::Warehouse;
use crate::watch::{Watch, task_in};

/// One for each restart, and what cannot begin before it has opened.
const GATES: [&[&str]; REPLICAS + WORKERS] = [
    &["stg_branches"],
    &["stg_customers"],
    &["stg_recipes", "stg_recipe_ingredients"],
    &["stg_orders"],
    &["stg_order_lines"],
    &["stg_deliveries", "stg_inventory_movements"],
];
/// Locks of the gates are numbered from here.
const LOCK: usize = 7_000;

/// SmartPizza, with models that wait in the middle of their SQL until the test lets them go on; each waits for the one before as well.
fn gated() -> Project {
    let project = Project::new();
    for (gate, behind) in GATES.iter().enumerate() {
        let before = gate.checked_sub(1).map(|before| format!("-- depends_on: {{{{ ref('gate_{before}') }}}}\n"));
        let lock = LOCK + gate;
        let sql = format!("select {gate} as gate where (select pg_advisory_xact_lock_shared({lock}) is not null)\n");
        project.file(&format!("models/staging/gate_{gate}.sql"), &format!("{}{sql}", before.unwrap_or_default()));
        for model in *behind {
            project.depend(&format!("staging/{model}"), &format!("gate_{gate}"));
        }
    }
    project
}

/// Reads on until the gate's model is at work.
fn await_gate(watch: &mut Watch, gate: usize) {
    let node = format!("model.smartpizza.gate_{gate}");
    watch.until(&node, |event| task_in(event, TaskState::Running).is_some_and(|task| task.node_id == node));
}

fn restart_replica(cluster: &mut Cluster, replica: usize) {
    cluster.fleet.replicas[replica].signal("TERM");
    let code = cluster.fleet.replicas[replica].code();
    assert_eq!(code, Some(0), "{}", cluster.fleet.logs());
    cluster.fleet.restart_replica(replica);
    cluster.await_caught_up(replica);
}

/// `let_go` is called when the worker was told, and the cluster knows that it leaves.
fn restart_worker(cluster: &mut Cluster, worker: usize, let_go: impl FnOnce()) {
    let name = cluster.fleet.workers[worker].name.clone();
    cluster.fleet.workers[worker].signal("TERM");
    await_active(cluster, &name, false);
    let_go();
    let code = cluster.fleet.workers[worker].code();
    assert_eq!(code, Some(0), "{}", cluster.fleet.logs());
    cluster.fleet.restart_worker(worker);
    await_active(cluster, &name, true);
}

/// Waits until there is, or is no more, a worker of that name that takes tasks.
fn await_active(cluster: &Cluster, name: &str, active: bool) {
    let is_active = |worker: &Worker| !worker.draining && worker.labels.get("name").is_some_and(|own| own == name);
    let what = if active { "a worker to come" } else { "a worker to drain" };
    cluster.fleet.until(what, || cluster.workers().iter().any(is_active) == active);
}

#[test]
fn a_rolling_restart_costs_no_attempt() {
    // A worker that a slow machine keeps from being heard would cost one as well.
    let wishes =
        Wishes { replica_flags: &["--lease", "600s"], worker_flags: &["--grace", "120s"], ..Wishes::default() };
    let mut cluster = Cluster::start(gated(), Warehouse::new(), wishes);
    let mut keeper = cluster.warehouse.client();
    for gate in 0..GATES.len() {
        keeper.batch_execute(&format!("select pg_advisory_lock({})", LOCK + gate)).unwrap();
    }
    let mut open = |gate: usize| keeper.batch_execute(&format!("select pg_advisory_unlock({})", LOCK + gate)).unwrap();

    let request = SubmitRunRequest { request_id: "one".to_owned(), verb: Verb::Build.into(), ..Default::default() };
    let accepted = cluster.submit(&mut Dice::new(1), request);
    let mut watch = cluster.watch(&accepted.run_id, Dice::new(2));
    for replica in 0..REPLICAS {
        await_gate(&mut watch, replica);
        restart_replica(&mut cluster, replica);
        open(replica);
    }
    for worker in 0..WORKERS {
        let gate = REPLICAS + worker;
        await_gate(&mut watch, gate);
        restart_worker(&mut cluster, worker, || open(gate));
    }
    cluster.expect_success(&mut watch);

    for (index, task) in cluster.run(&accepted.run_id).tasks.iter().enumerate() {
        assert_eq!((task.state(), task.attempt), (TaskState::Success, 1), "{task:?}");
        let count = |state| {
            let of_task = watch.seen.iter().filter_map(|event| task_in(event, state));
            of_task.filter(|seen| seen.node_id == task.node_id).count()
        };
        assert_eq!((count(TaskState::Running), count(TaskState::Success)), (1, 1), "task {index}: {task:?}");
    }
    cluster.await_agreement();
}
