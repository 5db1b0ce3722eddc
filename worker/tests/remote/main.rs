//! A worker of a cluster, with the test as its replicas.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod replica;

use std::sync::Arc;

use common::RunId;
use common::diagnostic::Code;
use common::session::{LeaderMessage, WorkerMessage};
use common::task::{FailureKind, TaskOutcome, TaskReport};
use worker::Runs;
use worker::remote::{Ended, Stop};

use replica::{Cluster, Heard, Place};

fn failure(report: &TaskReport) -> (FailureKind, Code, &str) {
    match &report.outcome {
        TaskOutcome::Failure { kind, code, message } => (*kind, *code, message),
        other => panic!("not a failure: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_finds_the_leader_fetches_the_project_and_runs_it() {
    let place = Place::new();
    let mut cluster = Cluster::start(&place).await;
    let worker = cluster.worker(&place, &[&cluster.follower, &cluster.leader]);
    let WorkerMessage::Hello { slots, running, .. } = cluster.hello().await else { panic!("no greeting") };
    assert_eq!((slots, running), (4, vec![]));

    let report = cluster.run("seed.p.s", 7).await;
    assert_eq!(report.outcome, TaskOutcome::Success);
    assert_eq!(report.result.message.as_deref(), Some("INSERT 2"));
    cluster.acknowledge(&report).await;
    let report = cluster.run("model.p.a", 8).await;
    assert_eq!(report.outcome, TaskOutcome::Success);
    cluster.acknowledge(&report).await;
    assert_eq!(cluster.downloads(), 4, "each file once");

    worker.stop.send(Stop::Drain).unwrap();
    assert_eq!(cluster.next().await, Heard::Drained(worker.id(&cluster)));
    assert_eq!(worker.ended().await, Ended::Drained);
    assert_eq!(place.rows("select n from main.a order by n"), ["10", "20"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_outlives_its_session() {
    let place = Place::new();
    let mut cluster = Cluster::start(&place).await;
    let _worker = cluster.worker(&place, &[&cluster.leader]);
    cluster.hello().await;
    let report = cluster.run("seed.p.s", 7).await;
    // The leader is gone before it acknowledges; the worker finds it again.
    cluster.end_session();
    let WorkerMessage::Hello { running, .. } = cluster.hello().await else { panic!("no greeting") };
    assert_eq!(running.iter().map(|held| (held.node.as_str(), held.epoch.0)).collect::<Vec<_>>(), [("seed.p.s", 7)]);
    assert_eq!(cluster.report().await, report);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_manifest_than_the_plan_s_is_refused() {
    let place = Place::new();
    let mut cluster = Cluster::start(&place).await;
    cluster.describe(|description| description.manifest_digest = "0".repeat(64));
    let _worker = cluster.worker(&place, &[&cluster.leader]);
    cluster.hello().await;
    let report = cluster.run("seed.p.s", 7).await;
    let (kind, code, message) = failure(&report);
    assert_eq!((kind, code), (FailureKind::System, Code::BundleDiffers));
    assert!(message.contains("to another manifest than the scheduler did"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_leads_elsewhere_on_this_worker_is_refused() {
    let place = Place::new();
    let mut cluster = Cluster::start(&place).await;
    cluster.describe(|description| description.target.database = "elsewhere".to_owned());
    let _worker = cluster.worker(&place, &[&cluster.leader]);
    cluster.hello().await;
    let report = cluster.run("seed.p.s", 7).await;
    assert_eq!(
        failure(&report),
        (
            FailureKind::System,
            Code::ProfileInvalid,
            "the run's target names the database 'elsewhere', but on this worker the output of that name has 'db'"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_were_tampered_with_are_refused() {
    let place = Place::new();
    let mut cluster = Cluster::start(&place).await;
    cluster.spoil("seeds/s.csv");
    let _worker = cluster.worker(&place, &[&cluster.leader]);
    cluster.hello().await;
    let report = cluster.run("seed.p.s", 7).await;
    let (kind, code, message) = failure(&report);
    assert_eq!((kind, code), (FailureKind::Transient, Code::Io));
    assert!(message.contains("arrived with other content"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_worker_gives_its_attempts_to_others() {
    let place = Place::new();
    let mut cluster = Cluster::start(&place).await;
    let worker = cluster.worker(&place, &[&cluster.leader]);
    cluster.hello().await;
    cluster.assign("model.p.long", 7).await;
    cluster.started().await;
    worker.stop.send(Stop::Drain).unwrap();
    assert!(matches!(cluster.next().await, Heard::Drained(_)));
    worker.stop.send(Stop::Interrupt).unwrap();
    let report = cluster.report().await;
    assert_eq!(failure(&report), (FailureKind::WorkerLost, Code::WorkerLost, "the worker was stopped"));
    cluster.acknowledge(&report).await;
    assert_eq!(worker.ended().await, Ended::Drained);
}

#[tokio::test(flavor = "multi_thread")]
async fn canceling_reaches_the_sql() {
    let place = Place::new();
    let mut cluster = Cluster::start(&place).await;
    let _worker = cluster.worker(&place, &[&cluster.leader]);
    cluster.hello().await;
    let assignment = cluster.assign("model.p.long", 7).await;
    cluster.started().await;
    let (run, node, epoch) = (assignment.run, assignment.node, assignment.epoch);
    cluster.say(LeaderMessage::Cancel { run, node, epoch }).await;
    assert_eq!(cluster.report().await.outcome, TaskOutcome::Canceled);
}

#[test]
fn a_run_is_at_hand_once_it_was_opened() {
    let place = Place::new();
    let run = RunId(uuid::Uuid::now_v7());
    let remote = place.remote();
    assert!(remote.at_hand(run).is_none());
    let opened = remote.get(run).unwrap();
    assert!(remote.at_hand(run).is_some_and(|at_hand| Arc::ptr_eq(&at_hand, &opened.run)));
    drop((remote, opened));
    std::fs::write(place.path("profiles.yml"), "{}").unwrap();
    let refused = place.remote();
    assert!(refused.get(run).is_err() && refused.at_hand(run).is_none());
}
