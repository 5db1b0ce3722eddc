//! Views that reach a slot together: published in one transaction, and apart from each other where one of them fails.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use common::diagnostic::Code;
use common::node_config::Hook;
use common::session::{LeaderMessage, WorkerDescription, WorkerMessage};
use common::task::{Assignment, FailureKind, TaskOutcome, TaskReport};
use common::{RunId, WorkerId};
use worker::warehouse::Error;
use worker::{Config, Handle, Opened, Run, Runs};

use crate::support::{Place, Project, assignment, places};

/// One run that is known under one id, and at hand.
struct Known(RunId, Opened);

impl Runs for Known {
    fn get(&self, run: RunId) -> Result<Opened, Error> {
        let unknown = || Error::new(FailureKind::System, Code::Internal, "the run is not known to this worker");
        if run == self.0 { Ok(self.1.clone()) } else { Err(unknown()) }
    }

    fn at_hand(&self, run: RunId) -> Option<Arc<Run>> {
        self.get(run).ok().map(|opened| opened.run)
    }
}

/// A worker of one slot, with the test as its leader.
struct Leader {
    worker: Handle,
    messages: Receiver<WorkerMessage>,
    run: RunId,
}

impl Leader {
    fn start(project: &Project, place: &Place) -> Self {
        let run = RunId(uuid::Uuid::now_v7());
        let opened = Opened { run: Arc::new(project.run(place, |_| {})), warehouse: Arc::clone(&place.warehouse) };
        let config = Config {
            worker: WorkerId("w".into()),
            description: WorkerDescription::default(),
            slots: 1,
            offered_per_slot: 32,
            heartbeat_interval: Duration::from_secs(3_600),
            resend_after: Duration::from_secs(3_600),
            runs: Arc::new(Known(run, opened)),
        };
        let (worker, _) = worker::start(config).unwrap();
        let (outbox, messages) = sync_channel(256);
        worker.connect(outbox);
        Self { worker, messages, run }
    }

    fn assign(&self, nodes: &[&str]) -> Vec<Assignment> {
        let assignments: Vec<Assignment> =
            nodes.iter().map(|node| assignment(self.run, &format!("model.p.{node}"), 1)).collect();
        self.worker.deliver_all(assignments.iter().cloned().map(LeaderMessage::Assign).collect());
        assignments
    }

    fn cancel(&self, assignment: &Assignment) {
        let Assignment { run, node, epoch, .. } = assignment.clone();
        self.worker.deliver(LeaderMessage::Cancel { run, node, epoch });
    }

    /// What the next reports say, by node.
    fn outcomes(&self, count: usize) -> BTreeMap<String, TaskReport> {
        let reports = std::iter::from_fn(|| Some(self.messages.recv_timeout(Duration::from_secs(60)).unwrap()));
        let reports = reports.filter_map(|message| match message {
            WorkerMessage::Report(report) => Some((report.node.as_str().replace("model.p.", ""), *report)),
            _ => None,
        });
        reports.take(count).collect()
    }
}

/// Transactions that wrote to the publish log: its times are those at which transactions began.
const TRANSACTIONS: &str =
    "select count(*), count(distinct node), count(distinct published_at) from kontiki.publish_log";

fn succeeded(reports: &BTreeMap<String, TaskReport>) -> Vec<&str> {
    let succeeded = reports.iter().filter(|(_, report)| report.outcome == TaskOutcome::Success);
    succeeded.map(|(node, _)| node.as_str()).collect()
}

#[test]
fn views_that_come_together_are_published_in_one_transaction() {
    for place in places() {
        let mut project = Project::new();
        for name in ["a", "b", "c"] {
            project.model(name, "view", &format!("select '{name}' as name"));
        }
        let leader = Leader::start(&project, &place);
        leader.assign(&["a", "b", "c"]);
        let reports = leader.outcomes(3);
        assert_eq!(succeeded(&reports), ["a", "b", "c"]);
        let message = if place.is_duckdb() { "OK" } else { "CREATE VIEW" };
        assert!(reports.values().all(|report| report.result.message.as_deref() == Some(message)));
        assert_eq!(place.rows("select a.name, b.name, c.name from main.a, main.b, main.c"), [["a", "b", "c"]]);
        assert_eq!(place.rows(TRANSACTIONS), [["3", "3", "1"]]);
    }
}

#[test]
fn a_view_that_fails_fails_alone() {
    for place in places() {
        let mut project = Project::new();
        project.model("a", "view", "select 1 as id");
        project.model("broken", "view", "select nope from main.nothing");
        project.model("untemplated", "view", "select {{ nothing_of_this_name() }}");
        project.model("z", "view", "select 2 as id");
        let leader = Leader::start(&project, &place);
        leader.assign(&["a", "broken", "untemplated", "z"]);
        let reports = leader.outcomes(4);
        assert_eq!(succeeded(&reports), ["a", "z"]);
        for node in ["broken", "untemplated"] {
            let outcome = &reports[node].outcome;
            assert!(matches!(outcome, TaskOutcome::Failure { kind: FailureKind::User, .. }), "{outcome:?}");
        }
        assert_eq!(place.relations(), ["a", "z"]);
        assert_eq!(place.rows(TRANSACTIONS), [["2", "2", "2"]]);
        // The connection is as good as before.
        leader.assign(&["a", "z"]);
        assert_eq!(succeeded(&leader.outcomes(2)).len(), 2);
    }
}

#[test]
fn what_is_not_only_a_view_is_published_alone() {
    for place in places() {
        let mut project = Project::new();
        project.model("table", "table", "select 1 as id");
        project.model("was_table", "table", "select 1 as id");
        let hook =
            Hook { sql: "create table main.by_hook as select 1 as id".to_owned(), transaction: true, index: None };
        project.model("hooked", "view", "select 1 as id").config.post_hook = vec![hook];
        place.build(&project.run(&place, |_| {}), "model.p.was_table");
        project.node("was_table").config.materialized = "view".to_owned().into();
        project.model("two", "view", "select 1 as id");
        project.model("two_more", "view", "select 1 as id");
        let leader = Leader::start(&project, &place);
        leader.assign(&["two", "table", "was_table", "hooked", "two_more"]);
        assert_eq!(leader.outcomes(5).values().filter(|report| report.outcome == TaskOutcome::Success).count(), 5);
        let kinds = ["by_hook table", "hooked view", "table table", "two view", "two_more view", "was_table view"];
        assert_eq!(place.relations_in("main"), kinds);
        let this_run = format!("{TRANSACTIONS} where run = '{}'", leader.run);
        assert_eq!(place.rows(&this_run), [["5", "5", "4"]]);
    }
}

#[test]
fn canceling_one_of_a_group_leaves_the_others() {
    for place in places() {
        let mut project = Project::new();
        // Blocks while its template is rendered, until it is interrupted.
        let endless = if place.is_duckdb() {
            "select sum(a.range * b.range) from range(10000000) a, range(10000000) b"
        } else {
            "select pg_sleep(3600)"
        };
        project.model(
            "blocks",
            "view",
            &format!("{{% do adapter.execute(\"{endless}\", fetch=true) %}} select 1 as id"),
        );
        project.model("canceled", "view", "select 1 as id");
        project.model("stays", "view", "select 1 as id");
        project.model("stays_too", "view", "select 1 as id");
        let leader = Leader::start(&project, &place);
        let assigned = leader.assign(&["blocks", "canceled", "stays", "stays_too"]);
        leader.cancel(&assigned[1]);
        leader.cancel(&assigned[0]);
        let reports = leader.outcomes(4);
        assert_eq!(succeeded(&reports), ["stays", "stays_too"]);
        for node in ["blocks", "canceled"] {
            assert_eq!(reports[node].outcome, TaskOutcome::Canceled, "{node}");
        }
        assert_eq!(place.relations(), ["stays", "stays_too"]);
        // PostgreSQL may hear of the interruption so late that it hits the group, whose members then go alone.
        assert_eq!(place.rows(TRANSACTIONS)[0][..2], ["2", "2"]);
    }
}
