//! Microbatch models: which batches a run builds, and that each is published once however many attempts it takes.

use common::microbatch::{BatchSize, EventTime, Span};
use common::task::{FailureKind, NodeStatus, TaskOutcome};
use common::{NodeId, RunId, Timestamp};
use serde_json::json;

use crate::support::{Place, Project, assignment, places};

const MODEL: &str = "model.p.daily";

fn at(text: &str) -> Timestamp {
    Timestamp::parse_iso(&format!("{text}T00:00:00Z")).unwrap()
}

fn days(start: &str, end: &str) -> EventTime {
    EventTime { start: Some(at(start)), end: Some(at(end)) }
}

/// `daily` reads `visits`, which is there, with one row for each of the first days of 2024.
fn project(place: &Place) -> Project {
    let mut project = Project::new();
    let rows: Vec<String> =
        (1..=6).map(|day| format!("select {day} as id, timestamp '2024-01-0{day} 12:00:00' as visited_on")).collect();
    project.model("visits", "table", &rows.join(" union all ")).config.event_time = Some(json!("visited_on"));
    let node = project.model("daily", "incremental", "");
    node.depends_on.nodes = vec![NodeId::from("model.p.visits")];
    node.config.incremental_strategy = Some("microbatch".to_owned());
    node.config.event_time = Some(json!("visited_on"));
    node.config.extra = json!({ "begin": "2024-01-01", "batch_size": "day" }).as_object().unwrap().clone();
    if !place.is_duckdb() {
        node.config.unique_key = vec!["id".to_owned()];
    }
    write(&mut project, "1 as version", "");
    place.build(&project.run(place, |_| {}), "model.p.visits");
    project
}

/// The model's SQL: a further column, and what one batch cannot do.
fn write(project: &mut Project, column: &str, failing: &str) {
    let broken = format!("{{% if model.batch.id == '{failing}' %}}, nothing{{% endif %}}");
    let from = "from {{ ref('visits') }}";
    project.node("daily").raw_code =
        format!("select id, visited_on, '{{{{ model.batch.id }}}}' as batch, {column}{broken} {from}");
}

fn built(place: &Place) -> Vec<String> {
    place.rows("select id, batch, version from main.daily order by id").iter().map(|row| row.join(" ")).collect()
}

#[test]
fn a_batch_replaces_its_own_rows_only() {
    for place in places() {
        let mut project = project(&place);
        let run = project.run(&place, |options| options.event_time = days("2024-01-01", "2024-01-04"));
        assert_eq!(place.build(&run, MODEL), "SUCCESS");
        assert_eq!(built(&place), ["1 20240101 1", "2 20240102 1", "3 20240103 1"]);
        write(&mut project, "2 as version", "");
        let run = project.run(&place, |options| options.event_time = days("2024-01-02", "2024-01-03"));
        let report = place.execute(&run, MODEL);
        assert_eq!(report.result.batches.unwrap().successful().len(), 1);
        assert_eq!(built(&place), ["1 20240101 1", "2 20240102 2", "3 20240103 1"]);
        let run = project.run(&place, |options| {
            options.event_time = days("2024-01-03", "2024-01-05");
            options.full_refresh = true;
        });
        place.build(&run, MODEL);
        assert_eq!(
            built(&place),
            ["3 20240103 2", "4 20240104 2"],
            "the first batch begins anew, the second adds to it"
        );
    }
}

#[test]
fn the_batches_of_a_run_follow_from_its_end() {
    for place in places() {
        let project = project(&place);
        let until = |end: &str| EventTime { start: None, end: Some(at(end)) };
        place.build(&project.run(&place, |options| options.event_time = until("2024-01-03")), MODEL);
        assert_eq!(built(&place), ["1 20240101 1", "2 20240102 1"], "from its begin on");
        let later = project.run(&place, |options| options.event_time = until("2024-01-06"));
        let batches = place.execute(&later, MODEL).result.batches.unwrap();
        assert_eq!((batches.batches.size, batches.failed()), (BatchSize::Day, Vec::new()));
        let expected = ["2024-01-04", "2024-01-05", "2024-01-06"].map(at);
        let spans: Vec<Span> = expected.windows(2).map(|pair| Span { start: pair[0], end: pair[1] }).collect();
        assert_eq!(batches.successful(), spans, "back by the lookback of one");
        assert_eq!(built(&place), ["1 20240101 1", "2 20240102 1", "4 20240104 1", "5 20240105 1"]);
    }
}

#[test]
fn a_failed_batch_leaves_the_others_and_is_all_that_the_next_attempt_builds() {
    for place in places() {
        let mut project = project(&place);
        write(&mut project, "1 as version", "20240102");
        let id = RunId(uuid::Uuid::now_v7());
        let run = project.run(&place, |options| options.event_time = days("2024-01-01", "2024-01-05"));
        let report = place.attempt(&run, &assignment(id, MODEL, 1));
        let TaskOutcome::Failure { kind, message, .. } = report.outcome else { panic!("it was built") };
        assert_eq!(kind, FailureKind::User);
        assert!(message.contains("batch 2024-01-02: "), "{message}");
        assert_eq!(report.result.status, NodeStatus::PartialSuccess);
        assert!(report.result.message.unwrap().starts_with("PARTIAL SUCCESS (3/4)\n"));
        assert_eq!(report.result.batches.unwrap().failed, [(1, 2)]);
        assert_eq!(built(&place), ["1 20240101 1", "3 20240103 1", "4 20240104 1"]);

        // The table is there by now, and the run's options say nothing of event times: what was decided first stands.
        write(&mut project, "2 as version", "");
        let again = project.run(&place, |_| {});
        let report = place.attempt(&again, &assignment(id, MODEL, 2));
        assert_eq!((report.outcome, report.result.message.as_deref()), (TaskOutcome::Success, Some("SUCCESS")));
        assert_eq!(report.result.batches.unwrap().counts(), (4, 4));
        assert_eq!(built(&place), ["1 20240101 1", "2 20240102 2", "3 20240103 1", "4 20240104 1"]);
    }
}

#[test]
fn no_batch_follows_a_first_one_that_fails() {
    for place in places() {
        let mut project = project(&place);
        write(&mut project, "1 as version", "20240101");
        let run = project.run(&place, |options| options.event_time = days("2024-01-01", "2024-01-04"));
        let report = place.execute(&run, MODEL);
        assert_eq!(report.result.status, NodeStatus::Error);
        assert!(report.result.message.unwrap().starts_with("ERROR\n"));
        assert_eq!(report.result.batches.unwrap().failed, [(0, 3)]);
        assert_eq!(place.relations(), ["visits"]);
    }
}

#[test]
fn an_older_attempt_publishes_no_batch() {
    for place in places() {
        let project = project(&place);
        let run = project.run(&place, |options| options.event_time = days("2024-01-01", "2024-01-03"));
        let old = assignment(RunId(uuid::Uuid::now_v7()), MODEL, 1);
        place.build(&run, MODEL);
        let report = place.attempt(&run, &old);
        assert!(matches!(report.outcome, TaskOutcome::Failure { kind: FailureKind::Fenced, .. }));
        assert_eq!(built(&place), ["1 20240101 1", "2 20240102 1"]);
    }
}

#[test]
fn more_batches_than_a_run_may_have_are_refused() {
    let place = Place::duckdb();
    let mut project = project(&place);
    project.node("daily").config.extra.insert("batch_size".to_owned(), json!("hour"));
    let run = project.run(&place, |options| options.event_time = days("1900-01-01", "2024-01-03"));
    let TaskOutcome::Failure { message, .. } = place.execute(&run, MODEL).outcome else { panic!("it was built") };
    assert!(message.contains("more than 100000 batches of one hour"), "{message}");
}
