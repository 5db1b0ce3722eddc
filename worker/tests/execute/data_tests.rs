//! Data tests: verdicts, limits, failing rows that are kept.

use common::diagnostic::Code;
use common::node_config::TestSeverity;
use common::task::{FailureKind, NodeStatus, TaskOutcome};

use crate::support::{Project, places};

const THREE_ROWS: &str = "select 1 as id union all select 2 union all select 3";

#[test]
fn failing_rows_are_counted_and_judged() {
    for place in places() {
        let mut project = Project::new();
        project.data_test("pass", "select 1 as id where 1 = 0");
        project.data_test("fail", THREE_ROWS);
        project.data_test("warn", THREE_ROWS).config.severity = TestSeverity::Warn;
        let between = project.data_test("between", THREE_ROWS);
        between.config.warn_if = ">= 2".to_owned();
        between.config.error_if = ">= 10".to_owned();
        project.data_test("limited", THREE_ROWS).config.limit = Some(2);
        project.data_test("sum", THREE_ROWS).config.fail_calc = "sum(id)".to_owned();
        let run = project.run(&place, |_| {});
        for (name, status, failures, message) in [
            ("pass", NodeStatus::Pass, 0, None),
            ("fail", NodeStatus::Fail, 3, Some("Got 3 results, configured to fail if != 0")),
            ("warn", NodeStatus::Warn, 3, Some("Got 3 results, configured to warn if != 0")),
            ("between", NodeStatus::Warn, 3, Some("Got 3 results, configured to warn if >= 2")),
            ("limited", NodeStatus::Fail, 2, Some("Got 2 results, configured to fail if != 0")),
            ("sum", NodeStatus::Fail, 6, Some("Got 6 results, configured to fail if != 0")),
        ] {
            let report = place.execute(&run, &format!("test.p.{name}"));
            let result = report.result;
            assert_eq!(
                (result.status, result.failures, result.message.as_deref()),
                (status, Some(failures), message),
                "{name}"
            );
            let failed = matches!(report.outcome, TaskOutcome::Failure { kind: FailureKind::TestFailed, .. });
            assert_eq!(failed, status == NodeStatus::Fail, "{name}");
        }
        assert_eq!(place.relations(), [""; 0]);
    }
}

#[test]
fn a_test_that_cannot_run_is_an_error() {
    for place in places() {
        let mut project = Project::new();
        project.data_test("broken", "select nothing");
        let report = place.execute(&project.run(&place, |_| {}), "test.p.broken");
        assert_eq!(report.result.status, NodeStatus::Error);
        assert!(matches!(report.outcome, TaskOutcome::Failure { kind: FailureKind::User, code: Code::SqlError, .. }));
        assert_eq!(report.result.failures, None);
    }
}

#[test]
fn failing_rows_are_kept_where_it_is_asked_for() {
    for place in places() {
        let mut project = Project::new();
        project.data_test("kept", THREE_ROWS).config.store_failures = Some(true);
        project.data_test("as_view", THREE_ROWS).config.store_failures_as = Some("view".to_owned());
        project.data_test("counted", THREE_ROWS).config.store_failures_as = Some("ephemeral".to_owned());
        project.data_test("flagged", "select 7 as id");
        let run = project.run(&place, |options| options.store_failures = true);
        for name in ["kept", "as_view", "counted", "flagged"] {
            for _ in 0..2 {
                assert_eq!(place.execute(&run, &format!("test.p.{name}")).result.status, NodeStatus::Fail, "{name}");
            }
        }
        let counts = "select (select count(*) from main_dbt_test__audit.kept), \
                      (select count(*) from main_dbt_test__audit.as_view), (select id from main_dbt_test__audit.flagged)";
        assert_eq!(place.rows(counts), [["3", "3", "7"]]);
        assert_eq!(place.relations_in("main_dbt_test__audit"), ["as_view view", "flagged table", "kept table"]);

        project.node("kept").raw_code = "select 1 as id where 1 = 0".to_owned();
        let report = place.execute(&project.run(&place, |_| {}), "test.p.kept");
        assert_eq!(report.result.status, NodeStatus::Pass);
        assert_eq!(place.rows("select count(*) from main_dbt_test__audit.kept"), [["0"]]);
    }
}
