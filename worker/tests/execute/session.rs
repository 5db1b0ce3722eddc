//! The worker's session, with the test as the leader.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use common::diagnostic::Code;
use common::session::{LeaderMessage, WorkerDescription, WorkerMessage};
use common::task::{Assignment, FailureKind, TaskOutcome, TaskReport};
use common::{RunId, WorkerId};
use worker::session::{Outbox, Refusal};
use worker::warehouse::Error;
use worker::{Config, Handle, Opened, Runs};

use crate::support::{Place, Project, assignment};

/// One run that is known under one id.
struct Known(RunId, Opened);

impl Runs for Known {
    fn get(&self, run: RunId) -> Result<Opened, Error> {
        let unknown = || Error::new(FailureKind::System, Code::Internal, "the run is not known to this worker");
        if run == self.0 { Ok(self.1.clone()) } else { Err(unknown()) }
    }
}

struct Leader {
    worker: Handle,
    join: worker::session::Join,
    messages: Receiver<WorkerMessage>,
    run: RunId,
    place: Place,
    _project: Project,
}

impl Leader {
    /// A worker of two slots, and three seeds and three long models to run; a report is sent again soon.
    fn start(resend_after: Duration) -> Self {
        let place = Place::duckdb();
        let mut project = Project::new();
        for name in ["a", "b", "c"] {
            project.seed(name, "id\n1\n");
        }
        // Attempts at one relation would take it from each other.
        for name in ["long", "longer", "longest"] {
            project.model(name, "table", LONG_SQL);
        }
        let run = RunId(uuid::Uuid::now_v7());
        let known = Opened { run: Arc::new(project.run(&place, |_| {})), warehouse: Arc::clone(&place.warehouse) };
        let config = Config {
            worker: WorkerId("w".into()),
            slots: 2,
            offered_per_slot: 2,
            description: WorkerDescription::default(),
            heartbeat_interval: Duration::from_millis(20),
            resend_after,
            runs: Arc::new(Known(run, known)),
        };
        let (worker, join) = worker::start(config).unwrap();
        let (outbox, messages) = sync_channel(64);
        worker.connect(outbox);
        Self { worker, join, messages, run, place, _project: project }
    }

    fn next(&self) -> WorkerMessage {
        loop {
            match self.messages.recv_timeout(Duration::from_secs(30)).unwrap() {
                WorkerMessage::Heartbeat | WorkerMessage::Started { .. } => {}
                message => return message,
            }
        }
    }

    fn report(&self) -> TaskReport {
        match self.next() {
            WorkerMessage::Report(report) => *report,
            other => panic!("a report was expected: {other:?}"),
        }
    }

    fn assign(&self, id: &str) -> Assignment {
        let assignment = assignment(self.run, id, 1);
        self.worker.deliver(LeaderMessage::Assign(assignment.clone()));
        assignment
    }

    fn acknowledge(&self, report: &TaskReport) {
        let (run, node, epoch) = (report.run, report.node.clone(), report.epoch);
        self.worker.deliver(LeaderMessage::Acknowledged { run, node, epoch });
    }
}

const LONG: Duration = Duration::from_secs(3_600);
/// Runs for hours.
const LONG_SQL: &str = "select sum(a.range * b.range) as n from range(10000000) a, range(10000000) b";

#[test]
fn canceling_interrupts_the_sql_in_flight() {
    let leader = Leader::start(LONG);
    leader.next();
    let Assignment { run, node, epoch, .. } = leader.assign("model.p.long");
    let other = leader.assign("model.p.longer");
    let queued = leader.assign("model.p.longest");
    leader.worker.deliver(LeaderMessage::Cancel { run, node, epoch });
    let canceled = leader.report();
    assert_eq!((canceled.epoch, canceled.outcome), (epoch, TaskOutcome::Canceled));
    leader.worker.cancel_all();
    let mut rest = [leader.report(), leader.report()];
    rest.sort_by_key(|report| report.epoch);
    assert_eq!(rest.clone().map(|report| report.epoch), [other.epoch, queued.epoch]);
    assert!(rest.iter().all(|report| report.outcome == TaskOutcome::Canceled));
    // The slots and their connections are still good.
    leader.assign("seed.p.a");
    assert_eq!(leader.report().outcome, TaskOutcome::Success);
    assert_eq!(leader.place.relations(), ["a"]);
}

#[test]
fn greets_runs_reports_and_leaves() {
    let leader = Leader::start(LONG);
    let hello = WorkerMessage::Hello {
        worker: WorkerId("w".into()),
        slots: 4,
        running: Vec::new(),
        description: WorkerDescription::default(),
    };
    assert_eq!(leader.next(), hello);
    let mut expected = BTreeMap::new();
    for id in ["seed.p.a", "seed.p.b", "seed.p.c"] {
        expected.insert(id.to_owned(), leader.assign(id).epoch);
    }
    let mut found = BTreeMap::new();
    for _ in 0..3 {
        let report = leader.report();
        assert_eq!(report.outcome, TaskOutcome::Success);
        assert!(report.result.thread.starts_with("Thread-"));
        found.insert(report.node.to_string(), report.epoch);
        leader.acknowledge(&report);
    }
    assert_eq!(found, expected);
    leader.worker.deliver(LeaderMessage::Drain);
    leader.join.wait();
    assert_eq!(leader.place.rows("select count(*) from main.a, main.b, main.c"), [["1"]]);
}

#[test]
fn a_report_is_sent_again_until_it_is_acknowledged() {
    let leader = Leader::start(Duration::from_millis(10));
    leader.next();
    leader.assign("seed.p.a");
    let first = leader.report();
    assert_eq!(leader.report(), first);
    assert_eq!(leader.report(), first);
    leader.acknowledge(&first);
    leader.worker.deliver(LeaderMessage::Drain);
    leader.join.wait();
}

#[test]
fn a_new_session_hears_of_everything_unacknowledged() {
    let leader = Leader::start(LONG);
    leader.next();
    let assignment = leader.assign("seed.p.a");
    let report = leader.report();
    let (outbox, messages) = sync_channel(64);
    leader.worker.connect(outbox);
    let leader = Leader { messages, ..leader };
    let hello = WorkerMessage::Hello {
        worker: WorkerId("w".into()),
        slots: 4,
        running: vec![assignment],
        description: WorkerDescription::default(),
    };
    assert_eq!(leader.next(), hello);
    assert_eq!(leader.report(), report);
}

#[test]
fn an_assignment_that_arrives_twice_runs_once() {
    let leader = Leader::start(LONG);
    leader.next();
    let assignment = leader.assign("seed.p.a");
    leader.worker.deliver(LeaderMessage::Assign(assignment.clone()));
    let report = leader.report();
    leader.worker.deliver(LeaderMessage::Assign(assignment));
    leader.worker.deliver(LeaderMessage::Drain);
    leader.acknowledge(&report);
    leader.join.wait();
    assert!(leader.messages.iter().all(|message| !matches!(message, WorkerMessage::Report(_))));
}

#[test]
fn a_leaving_worker_takes_nothing_new() {
    let leader = Leader::start(LONG);
    leader.next();
    leader.assign("seed.p.a");
    let unacknowledged = leader.report();
    leader.worker.deliver(LeaderMessage::Drain);
    assert!(!leader.join.wait_for(Duration::from_millis(1)), "a report is not acknowledged yet");
    leader.assign("seed.p.b");
    let refused = leader.report();
    assert!(matches!(refused.outcome, TaskOutcome::Failure { kind: FailureKind::WorkerLost, .. }));
    leader.acknowledge(&refused);
    leader.acknowledge(&unacknowledged);
    leader.join.wait();
}

/// A session that is over, and how often it was asked to take something.
struct Over(Arc<AtomicU32>);

impl Outbox for Over {
    fn offer(&mut self, _: WorkerMessage) -> Result<(), Refusal> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Err(Refusal::Closed)
    }
}

#[test]
fn a_session_that_is_over_is_not_asked_again() {
    let leader = Leader::start(LONG);
    leader.next();
    let asked = Arc::<AtomicU32>::default();
    leader.worker.connect(Over(Arc::clone(&asked)));
    // What a leaving worker is handed ends at once: its report waits for the next session.
    leader.worker.deliver(LeaderMessage::Drain);
    leader.assign("seed.p.a");
    let (outbox, messages) = sync_channel(64);
    leader.worker.connect(outbox);
    let leader = Leader { messages, ..leader };
    assert!(matches!(leader.next(), WorkerMessage::Hello { .. }));
    leader.acknowledge(&leader.report());
    leader.join.wait();
    assert_eq!(asked.load(Ordering::Relaxed), 1, "the greeting alone");
}

#[test]
fn unknown_runs_and_nodes_are_reported() {
    let leader = Leader::start(LONG);
    leader.next();
    leader.assign("seed.p.nothing");
    assert!(matches!(leader.report().outcome, TaskOutcome::Failure { kind: FailureKind::System, .. }));
    leader.worker.deliver(LeaderMessage::Assign(assignment(RunId(uuid::Uuid::nil()), "seed.p.a", 1)));
    assert!(matches!(leader.report().outcome, TaskOutcome::Failure { kind: FailureKind::System, .. }));
}

#[test]
fn heartbeats_come_without_being_asked() {
    let leader = Leader::start(LONG);
    leader.next();
    for _ in 0..3 {
        assert_eq!(leader.messages.recv_timeout(Duration::from_secs(30)).unwrap(), WorkerMessage::Heartbeat);
    }
}
