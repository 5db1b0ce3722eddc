//! Data tests: count the failing rows and compare with what the test allows.

use common::diagnostic::Code;
use common::manifest::Node;
use common::node_config::TestSeverity;
use common::relation::RelationType;
use common::table::{Datum, Table};
use common::task::{FailureKind, NodeStatus};
use dbt::compile::{Session, values};
use dbt::jinja::value::Value;

use super::Attempt;
use super::publish::{Approach, unexpected};
use crate::failure::{Failure, Heading, Result};
use crate::materialize::{Request, table, view};

/// What the wrapped query answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub failures: i64,
    pub should_warn: bool,
    pub should_error: bool,
}

/// How a test ended, in dbt's words.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    status: NodeStatus,
    failures: i64,
    message: Option<String>,
}

impl Attempt<'_> {
    pub(super) fn test(&mut self, session: &mut Session<'_>) -> Result<()> {
        let failing_rows = match self.node.config.limit {
            Some(limit) => format!("{}\nlimit {limit}", self.compiled()),
            None => self.compiled().to_owned(),
        };
        let counted = match stored_as(self.node, self.run.options.store_failures)? {
            Some(kind) => {
                let target = self.node.relation(self.run.manifest().quoting);
                self.store(session, &failing_rows, kind)?;
                self.result.relation_name = Some(target.render());
                format!("select *\nfrom {target}")
            }
            None => failing_rows,
        };
        let sql = self.count_sql(session, &counted)?;
        self.write_run(&sql)?;
        let (response, table) = self.adapter.query(&sql)?;
        self.result.response = response;
        self.judge(read_count(&table)?)
    }

    /// The query that counts; the project may have its own `get_test_sql`.
    fn count_sql(&self, session: &mut Session<'_>, rows: &str) -> Result<String> {
        if !session.overridden("get_test_sql") {
            return Ok(count_query(self.node, rows));
        }
        let config = &self.node.config;
        let arguments =
            [rows, &config.fail_calc, &config.warn_if, &config.error_if].map(|text| (None, Value::str(text)));
        let arguments = arguments.into_iter().chain([(Some("limit"), Value::None)]).collect();
        Ok(values::text(&session.call_macro("get_test_sql", arguments)?))
    }

    /// Ends the test by what was counted.
    pub(super) fn judge(&mut self, count: Count) -> Result<()> {
        let verdict = Verdict::of(self.node, count);
        self.result.status = verdict.status;
        self.result.failures = Some(verdict.failures);
        self.result.message.clone_from(&verdict.message);
        match verdict {
            Verdict { status: NodeStatus::Fail, message: Some(message), .. } => Err(Failure {
                kind: FailureKind::TestFailed,
                code: Code::TestFailed,
                heading: Heading::Runtime,
                message,
                sql: None,
                position: None,
            }),
            _ => Ok(()),
        }
    }

    /// Keeps the failing rows for people to look at.
    fn store(&mut self, session: &mut Session<'_>, sql: &str, kind: RelationType) -> Result<()> {
        let target = self.node.relation(self.run.manifest().quoting);
        let Approach::Open { existing } = self.approach(&target)? else { return Ok(()) };
        let request = Request {
            node: self.node,
            target: &target,
            existing: existing.as_ref(),
            sql,
            dialect: self.adapter.kind(),
            full_refresh: true,
            builder: self.builder(),
            columns: &[],
            held_grants: &[],
            batch: None,
        };
        let mut macros = self.macros(session);
        let plan = match kind {
            RelationType::View => view::plan(&request, &mut macros)?,
            _ => table::plan(&request, &mut macros)?,
        };
        self.carry_out(session, plan, &target, kind)
    }
}

impl Verdict {
    fn of(node: &Node, count: Count) -> Self {
        let results = if count.failures == 1 { "result" } else { "results" };
        let got = format!("Got {} {results}", count.failures);
        let config = &node.config;
        if config.severity == TestSeverity::Error && count.should_error {
            let message = format!("{got}, configured to fail if {}", config.error_if);
            Self { status: NodeStatus::Fail, failures: count.failures, message: Some(message) }
        } else if count.should_warn {
            let message = format!("{got}, configured to warn if {}", config.warn_if);
            Self { status: NodeStatus::Warn, failures: count.failures, message: Some(message) }
        } else {
            Self { status: NodeStatus::Pass, failures: 0, message: None }
        }
    }
}

/// Where failing rows are kept; `None` where they are only counted.
pub(super) fn stored_as(node: &Node, flag: bool) -> Result<Option<RelationType>> {
    match node.config.store_failures_as.as_deref() {
        Some("table") => Ok(Some(RelationType::Table)),
        Some("view") => Ok(Some(RelationType::View)),
        Some("ephemeral") => Ok(None),
        Some(other) => {
            let message = format!(
                "'{other}' is not a valid value for `store_failures_as`. Accepted values are: ['ephemeral', 'table', 'view']"
            );
            Err(Failure::user(Code::InvalidConfig, message))
        }
        None => Ok(node.config.store_failures.unwrap_or(flag).then_some(RelationType::Table)),
    }
}

fn count_query(node: &Node, sql: &str) -> String {
    let config = &node.config;
    let (calc, warn_if, error_if) = (&config.fail_calc, &config.warn_if, &config.error_if);
    format!(
        "select\n  {calc} as failures,\n  {calc} {warn_if} as should_warn,\n  {calc} {error_if} as should_error\nfrom \
         (\n{sql}\n) dbt_internal_test"
    )
}

fn read_count(table: &Table) -> Result<Count> {
    let [row] = table.rows.as_slice() else {
        let message = format!("the test returned {} rows, but expected 1 row", table.rows.len());
        return Err(unexpected(message));
    };
    let [failures, should_warn, should_error] = row.as_slice() else {
        return Err(unexpected(format!("the test returned {} columns, but expected 3 columns", row.len())));
    };
    Ok(Count { failures: number(failures)?, should_warn: truth(should_warn)?, should_error: truth(should_error)? })
}

fn number(datum: &Datum) -> Result<i64> {
    let number = match datum {
        Datum::Int(number) => Some(*number),
        Datum::Decimal(text) | Datum::Other(text) => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            whole.parse().ok().filter(|_| fraction.bytes().all(|digit| digit == b'0'))
        }
        Datum::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => Some(*number as i64),
        _ => None,
    };
    number.ok_or_else(|| unexpected(format!("the test's fail_calc must give a whole number, not {datum:?}")))
}

/// Comparisons answer true and false, or 0 and 1.
fn truth(datum: &Datum) -> Result<bool> {
    match datum {
        Datum::Bool(truth) => Ok(*truth),
        Datum::Int(number @ (0 | 1)) => Ok(*number == 1),
        other => Err(unexpected(format!("the test's warn_if and error_if must give a boolean, not {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::materialize::fixture::node;

    fn verdict(configure: impl FnOnce(&mut Node), failures: i64, should_warn: bool, should_error: bool) -> Verdict {
        let mut node = node("test");
        configure(&mut node);
        Verdict::of(&node, Count { failures, should_warn, should_error })
    }

    #[test]
    fn messages_are_those_of_dbt() {
        let fail = verdict(|_| {}, 3, true, true);
        assert_eq!(fail.status, NodeStatus::Fail);
        assert_eq!(fail.message.as_deref(), Some("Got 3 results, configured to fail if != 0"));
        let warn = verdict(|node| node.config.severity = TestSeverity::Warn, 1, true, true);
        assert_eq!(warn.status, NodeStatus::Warn);
        assert_eq!(warn.message.as_deref(), Some("Got 1 result, configured to warn if != 0"));
        let between = verdict(|node| node.config.warn_if = ">= 2".to_owned(), 5, true, false);
        assert_eq!(between.message.as_deref(), Some("Got 5 results, configured to warn if >= 2"));
        let pass = verdict(|_| {}, 5, false, false);
        assert_eq!(pass, Verdict { status: NodeStatus::Pass, failures: 0, message: None });
    }

    #[test]
    fn failures_are_stored_where_the_config_or_the_flag_says() {
        let mut node = node("test");
        assert_eq!(stored_as(&node, false), Ok(None));
        assert_eq!(stored_as(&node, true), Ok(Some(RelationType::Table)));
        node.config.store_failures = Some(false);
        assert_eq!(stored_as(&node, true), Ok(None));
        node.config.store_failures_as = Some("view".to_owned());
        assert_eq!(stored_as(&node, false), Ok(Some(RelationType::View)));
        node.config.store_failures_as = Some("file".to_owned());
        assert_eq!(stored_as(&node, false).map_err(|failure| failure.code), Err(Code::InvalidConfig));
    }

    #[test]
    fn counts_may_be_any_whole_number_but_not_null() {
        let row =
            |failures| Table { columns: Vec::new(), rows: vec![vec![failures, Datum::Bool(true), Datum::Int(0)]] };
        let count = Count { failures: 4, should_warn: true, should_error: false };
        assert_eq!(read_count(&row(Datum::Decimal("4.00".to_owned()))), Ok(count));
        assert_eq!(read_count(&row(Datum::Float(4.0))), Ok(count));
        assert!(read_count(&row(Datum::Decimal("4.5".to_owned()))).is_err());
        assert!(read_count(&row(Datum::Null)).is_err());
    }
}
