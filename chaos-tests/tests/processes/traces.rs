//! The trace of a run whose leader was killed, as a collector received it.

use std::process::Command;

use chaos_tests::dice::Dice;
use proto::v1::{SubmitRunRequest, Task, TaskState, Verb};
use testing::Process;
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
    build_without_the_leader(&collector, &collector.address);
}

/// Through a collector of another make, `KONTIKI_ROTEL`, as it would be sent on from there; `cargo xtask test` names one.
#[test]
#[ignore = "needs a program from the Python package rotel"]
fn another_s_collector_receives_and_passes_on_the_whole_trace() {
    let rotel = std::env::var_os("KONTIKI_ROTEL").expect("KONTIKI_ROTEL names the program");
    let collector = Collector::start();
    let [address, other] = [0, 1].map(|_| format!("127.0.0.1:{}", testing::ports::free(1)[0]));
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(rotel);
    command.arg("start").args(["--otlp-grpc-endpoint", &address, "--exporter", "otlp"]);
    command.args(["--otlp-exporter-endpoint", &collector.address, "--otlp-exporter-protocol", "grpc"]);
    // Its other receiver must not meet anybody else's.
    command.args(["--otlp-http-endpoint", &other]);
    command.args(["--batch-timeout", "200ms"]);
    let _rotel = Process::start("rotel", folder.path(), command);
    build_without_the_leader(&collector, &format!("http://{address}"));
}

/// Kills the leader in the midst of a build whose spans go to `endpoint`, and waits for all of them to be at the collector.
fn build_without_the_leader(collector: &Collector, endpoint: &str) {
    let environment = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.to_owned()),
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
    cluster.fleet.obtain("the whole trace", || is_whole(collector, &tasks));
}

/// Whether the trace has come as a whole: a tree in which each task has its one attempt, and that what it consists of.
fn is_whole(collector: &Collector, tasks: &[Task]) -> Result<(), String> {
    let trace = Trace::complete(collector.spans())?;
    for task in tasks {
        let [attempt] = trace.attempts(&task.node_id)[..] else {
            return Err(format!("{} has {} attempts", task.node_id, trace.attempts(&task.node_id).len()));
        };
        let below = trace.names_below(attempt);
        if !["queue", "session", "execute"].iter().all(|name| below.contains(name)) {
            return Err(format!("an attempt at {} has only {below:?}", task.node_id));
        }
    }
    Ok(())
}
