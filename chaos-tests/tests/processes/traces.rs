//! The trace of a run whose leader was killed, as a collector received it.

use chaos_tests::dice::Dice;
use proto::v1::{SubmitRunRequest, Task, TaskState, Verb};
use testing::collector::{Collector, Trace};

use crate::cluster::{Cluster, Wishes};
use crate::fault::Fault;
use crate::project::Project;
use crate::warehouse::Warehouse;
use crate::watch::task_in;

/// Tasks that have ended when the leader dies. What it recorded of the last of them has not been sent yet.
const ENDED: usize = 30;

#[test]
fn a_run_that_outlives_its_leader_is_one_whole_trace() {
    let collector = Collector::start();
    let environment = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address.clone()),
        // Spans wait for so many milliseconds; what waits in a process that is killed is gone.
        ("OTEL_BSP_SCHEDULE_DELAY", "2000".to_owned()),
    ];
    let wishes = Wishes { replica_flags: &["--lease", "600s"], environment, ..Wishes::default() };
    let mut cluster = Cluster::start(Project::new(), Warehouse::new(), wishes);
    cluster.warehouse.slow_down();
    let mut dice = Dice::new(1);
    let request = SubmitRunRequest { request_id: "one".to_owned(), verb: Verb::Build.into(), ..Default::default() };
    let accepted = cluster.submit(&mut dice, request);
    let mut watch = cluster.watch(&accepted.run_id, Dice::new(2));
    for _ in 0..ENDED {
        watch.until("enough tasks", |event| task_in(event, TaskState::Success).is_some());
    }
    cluster.strike(Fault::KillLeader, &mut dice, "");
    cluster.expect_success(&mut watch);

    let tasks = cluster.run(&accepted.run_id).tasks;
    cluster.fleet.obtain("the whole trace", || is_whole(&collector, &tasks));
}

/// Whether the trace has come as a whole: a tree in which each task has its one attempt, and that what it consists of.
fn is_whole(collector: &Collector, tasks: &[Task]) -> Result<(), String> {
    let trace = Trace::complete(collector.spans())?;
    for task in tasks {
        let [attempt] = trace.attempts(&task.node_id)[..] else {
            return Err(format!("{} has {} attempts", task.node_id, trace.attempts(&task.node_id).len()));
        };
        let below = trace.names_below(attempt);
        if !below.contains("queue") || !below.contains("execute") {
            return Err(format!("an attempt at {} has only {below:?}", task.node_id));
        }
    }
    Ok(())
}
